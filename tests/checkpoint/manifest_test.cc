#include "checkpoint/manifest.h"

#include "base/control_record.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/simulated_disk.h"

#include <string>
#include <tuple>
#include <vector>

// The file that publishes a checkpoint, whole and amiss.
namespace actable::checkpoint {
namespace {

using test::ContainsSubstring;
using test::must;
using test::outcome;
using test::SimulatedDisk;

constexpr const char* k_directory = "/simulated";
constexpr std::uint64_t k_store = 77;
constexpr std::uint64_t k_magic = 0x3154504b43544341;

Manifest example() {
  Manifest manifest{.store_id = k_store, .hash_seed = 5, .serial = 12, .next_space_id = 9};
  for (unsigned i = 0; i < k_groups; ++i) manifest.groups[i] = {i < 8 ? 3U : 0U, 100 + i, 40 - i};
  manifest.files = {{3, 8192, 2, 20, 150, 0xabcdef}};
  manifest.spaces = {{0, "", 2}, {4, "users", 18}};
  manifest.log_generation = 17;
  manifest.log_first_frame = 25;
  return manifest;
}

Result<std::optional<Manifest>> read_back(std::vector<std::byte> bytes) {
  SimulatedDisk disk;
  disk.put(k_manifest_file, std::move(bytes));
  return read_manifest(disk, k_directory, k_store);
}

template <class T>
std::vector<std::byte> file_of(const T& fields) {
  msgpack::sbuffer packed;
  msgpack::pack(packed, fields);
  return base::seal_control_record(k_magic, std::span(packed.data(), packed.size()));
}

}  // namespace

TEST_CASE("a manifest comes back as it was written") {
  SimulatedDisk disk;
  CHECK_FALSE(must(read_manifest(disk, k_directory, k_store)));
  const Manifest manifest = example();
  REQUIRE_FALSE(write_manifest(disk, k_directory, manifest).error);
  CHECK(must(read_manifest(disk, k_directory, k_store)) == manifest);
  CHECK(disk.names() == std::vector<std::string>{k_manifest_file});

  CHECK(manifest.seq_end() == 150);
  CHECK(manifest.cut_max() == 115);
  CHECK(manifest.first_frame() == 25);
  CHECK(manifest.records() == 20);
  CHECK(manifest.bytes() == 8192);
  CHECK(manifest.file(4) == nullptr);
}

TEST_CASE("ten thousand spaces fit a manifest") {
  SimulatedDisk disk;
  Manifest manifest = example();
  for (std::uint32_t id = 5; id < 10'005; ++id) manifest.spaces.push_back({id, "space" + std::to_string(id), id});
  REQUIRE_FALSE(write_manifest(disk, k_directory, manifest).error);
  CHECK(must(read_manifest(disk, k_directory, k_store)) == manifest);
}

TEST_CASE("a manifest with any bit flipped is corrupt") {
  SimulatedDisk disk;
  REQUIRE_FALSE(write_manifest(disk, k_directory, example()).error);
  auto bytes = disk.bytes(k_manifest_file);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    const auto found = read_back(bytes);
    REQUIRE(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message, ContainsSubstring("/simulated/CHECKPOINT: "));
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(outcome(read_back({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)})) == "corrupt");
  }
}

TEST_CASE("a manifest of another store, of a newer version, or that makes no sense is refused") {
  SimulatedDisk disk;
  REQUIRE_FALSE(write_manifest(disk, k_directory, example()).error);
  const auto foreign = read_manifest(disk, k_directory, k_store + 1);
  CHECK(outcome(foreign) == "corrupt");
  CHECK_THAT(foreign.error().message, ContainsSubstring("checkpoint of another store"));

  const auto newer = read_back(file_of(std::make_tuple(k_format_version + 1, "something else")));
  CHECK(outcome(newer) == "unsupported");
  CHECK_THAT(newer.error().message, ContainsSubstring("newer version"));

  CHECK(outcome(read_back(file_of(std::make_tuple(k_format_version, k_store)))) == "corrupt");
  CHECK(outcome(read_back(file_of(std::string("no array")))) == "corrupt");
  using Three = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
  using Six = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>;
  using Space = std::tuple<std::uint32_t, std::string, std::uint64_t>;
  const auto of = [](const std::vector<Three>& groups, const std::vector<Six>& files) {
    return read_back(file_of(std::make_tuple(1, k_store, 5, 1, 1, groups, files, std::vector<Space>())));
  };
  const Six file{3, 4096, 1, 1, 9, 9};
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{3, 1, 1}), {file})) == "ok");
  CHECK(outcome(of(std::vector<Three>(k_groups - 1, Three{3, 1, 1}), {file})) == "corrupt");  // A group is missing.
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{4, 1, 1}), {file})) == "corrupt");      // Of a file not there.
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{3, ~0ULL, 1}), {file})) == "corrupt");  // A cut above all.
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{3, 1, ~0ULL}), {file})) == "corrupt");
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{3, 1, 1}), {{3, 4096, 1, 1, ~0ULL, 9}})) == "corrupt");
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{~0ULL, 1, 1}), {{~0ULL, 4096, 1, 1, 9, 9}})) == "corrupt");
  CHECK(outcome(of(std::vector<Three>(k_groups, Three{3, 1, 1}), {file, file})) == "corrupt");  // A file twice.
}

}  // namespace actable::checkpoint
