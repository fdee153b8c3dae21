#include "wal/identity.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include <string>
#include <vector>

// The file that says which store a directory holds, whole and in every way amiss.
namespace actable::wal {
namespace {

using test::ContainsSubstring;
using test::must;
using test::outcome;
using test::SimulatedDisk;

const std::filesystem::path k_directory = test::log_options().directory;
constexpr std::uint64_t k_magic = 0x31454c4241544341;
constexpr std::size_t k_head_bytes = 24;

/// A file of this body, with a head that fits it.
std::vector<std::byte> file_of(std::string_view body) {
  std::vector<std::byte> bytes(k_head_bytes + body.size());
  const auto content = std::as_bytes(std::span(body));
  std::ranges::copy(content, bytes.begin() + k_head_bytes);
  base::store_le(bytes.data(), k_magic);
  base::store_le(bytes.data() + 8, std::uint64_t{body.size()});
  base::store_le(bytes.data() + 16, base::checksum(content, body.size()));
  return bytes;
}

template <class T>
std::string packed(const T& fields) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, fields);
  return {buffer.data(), buffer.size()};
}

Result<std::optional<Identity>> read_back(std::vector<std::byte> file) {
  SimulatedDisk disk;
  disk.put(k_identity_file, std::move(file));
  return read_identity(disk, k_directory);
}

void expect_corrupt(std::vector<std::byte> file, const std::string& why, std::size_t offset) {
  const auto found = read_back(std::move(file));
  INFO(why);
  REQUIRE(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message, ContainsSubstring(why + " at offset " + std::to_string(offset) + ";"));
  CHECK_THAT(found.error().message, ContainsSubstring(std::string("/") + k_identity_file + ": "));
}

using Fields = std::vector<std::uint64_t>;

TEST_CASE("an identity comes back field by field, with fields of later versions behind it too") {
  for (const Fields& fields : {Fields{1, 22, 333, 4444, 55555}, Fields{1, 22, 333, 4444, 55555, 6}}) {
    const auto found = must(read_back(file_of(packed(fields))));
    REQUIRE(found);
    CHECK(found->format_version == 1);
    CHECK(found->store_id == 22);
    CHECK(found->hash_seed == 333);
    CHECK(found->first_generation == 4444);
    CHECK(found->first_frame == 55555);
  }
}

TEST_CASE("what is written as an identity is what is read, and nothing is left beside it") {
  SimulatedDisk disk;
  const Identity written = make_identity();
  for (int i = 0; i < 2; ++i) must(write_identity(disk, k_directory, written));
  CHECK(disk.names() == std::vector<std::string>{k_identity_file});
  const auto found = must(read_identity(disk, k_directory));
  REQUIRE(found);
  CHECK(found->store_id == written.store_id);
  CHECK(found->hash_seed == written.hash_seed);
  CHECK(found->first_generation == 1);
  CHECK(found->first_frame == 1);
  // Neither repeats: they keep stores and their keys apart.
  CHECK(make_identity().store_id != written.store_id);
  CHECK(make_identity().hash_seed != written.hash_seed);
}

TEST_CASE("an identity whose head is damaged is refused, and the damage named") {
  const auto whole = file_of(packed(Fields{1, 2, 3, 4, 5}));
  const auto changed = [&whole](std::size_t at) {
    auto file = whole;
    file[at] ^= std::byte{1};
    return file;
  };
  const std::string none = "this is no store's identity, damaged";
  expect_corrupt({}, none, 0);
  for (std::size_t bytes = 1; bytes < k_head_bytes; ++bytes)
    expect_corrupt({whole.begin(), whole.begin() + bytes}, none, 0);
  for (std::size_t at = 0; at < 8; ++at) expect_corrupt(changed(at), none, 0);
  for (std::size_t at = 8; at < 16; ++at) expect_corrupt(changed(at), "damaged length", 8);
  for (std::size_t at = 16; at < whole.size(); ++at) expect_corrupt(changed(at), "checksum does not match", 16);
  expect_corrupt({whole.begin(), whole.end() - 1}, "damaged length", 8);
  // A head and nothing behind it, which says so itself.
  expect_corrupt(file_of(""), "fields cannot be read", k_head_bytes);
}

TEST_CASE("an identity whose fields are missing, of other types or too many is refused") {
  expect_corrupt(file_of(packed(Fields{})), "no fields", k_head_bytes);
  expect_corrupt(file_of(packed(Fields{1})), "fields missing", k_head_bytes);
  expect_corrupt(file_of(packed(Fields{1, 2, 3, 4})), "fields missing", k_head_bytes);
  expect_corrupt(file_of(packed(std::string("text"))), "fields cannot be read", k_head_bytes);
  expect_corrupt(file_of(packed(std::vector<std::string>{"1", "2", "3", "4", "5"})), "fields cannot be read",
                 k_head_bytes);
  expect_corrupt(file_of(packed(Fields(65, 1))), "fields cannot be read", k_head_bytes);
  CHECK(outcome(read_back(file_of(packed(Fields(64, 1))))) == "ok");
}

TEST_CASE("an identity of a later format is not damage: it says which version to open it with") {
  const auto found = read_back(file_of(packed(Fields{k_format_version + 1})));
  REQUIRE(outcome(found) == "unsupported");
  CHECK_THAT(found.error().message, ContainsSubstring("written in format 2, this build reads up to 1"));
}

TEST_CASE("an identity may have 4096 bytes, and a longer one is refused") {
  constexpr std::size_t k_bytes_max = 4096;
  const auto padded_to = [](std::size_t bytes) {
    std::string body = packed(Fields{1, 22, 333, 4444, 55555});
    body.resize(bytes - k_head_bytes);
    return file_of(body);
  };
  const auto found = must(read_back(padded_to(k_bytes_max)));
  REQUIRE(found);
  CHECK(found->store_id == 22);
  CHECK(found->first_frame == 55555);
  expect_corrupt(padded_to(k_bytes_max + 1), "damaged length", 8);
  expect_corrupt(padded_to(2 * k_bytes_max), "damaged length", 8);
}

TEST_CASE("an identity that cannot be written says so, and the one before stays what it was") {
  using test::Call;
  for (const Call call : {Call::open, Call::write, Call::sync, Call::rename}) {
    INFO("call " << static_cast<int>(call));
    SimulatedDisk disk;
    test::FaultyFileSystem files(disk);
    files.fail_nth(call, 1);
    CHECK(outcome(write_identity(files, k_directory, {1, 2, 3, 4, 5})) == "io_error");
    CHECK_FALSE(must(read_identity(disk, k_directory)));
    must(write_identity(files, k_directory, {1, 2, 3, 4, 5}));
    files.fail_nth(call, 1);
    CHECK(outcome(write_identity(files, k_directory, {1, 2, 3, 44, 55})) == "io_error");
    CHECK(must(read_identity(disk, k_directory))->first_frame == 5);
  }
  // The name may be there already, and need not stay.
  SimulatedDisk disk;
  test::FaultyFileSystem files(disk);
  files.fail_nth(Call::sync_directory, 1);
  CHECK(outcome(write_identity(files, k_directory, {1, 2, 3, 4, 5})) == "io_error");
}

TEST_CASE("a directory without an identity has none") {
  SimulatedDisk disk;
  CHECK_FALSE(must(read_identity(disk, k_directory)));
}

}  // namespace
}  // namespace actable::wal
