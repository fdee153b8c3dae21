#include "checkpoint/file_reader.h"
#include "checkpoint/file_writer.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"

#include <map>
#include <string>
#include <vector>

// A checkpoint's file, from the records that are written to it to those that are read.
namespace actable::checkpoint {
namespace {

using test::ContainsSubstring;
using test::must;
using test::outcome;
using test::Random;
using test::SimulatedDisk;

constexpr const char* k_directory = "/simulated";
constexpr std::uint64_t k_store = 77;
const std::filesystem::path k_path = std::filesystem::path(k_directory) / file_name(2);

struct Kept {
  Seq seq;
  std::uint32_t space;
  std::string key;
  std::string value;

  bool operator==(const Kept&) const = default;
};

void append(FileWriter& writer, const Kept& record) {
  std::vector<std::byte> bytes(record_bytes(record.key.size(), record.value.size()));
  encode({record.seq, record.space, record.key, record.value}, bytes.data());
  must(writer.append(bytes, record.seq));
}

FileEntry write(SimulatedDisk& disk, const std::vector<Kept>& records) {
  const auto writer = must(FileWriter::create(disk, k_directory, 2, k_store));
  for (const Kept& record : records) append(*writer, record);
  return must(writer->finish());
}

Result<std::vector<Kept>> read(SimulatedDisk& disk, const FileEntry& entry) {
  std::vector<Kept> records;
  FileReader reader(disk, k_path, entry, k_store);
  auto done = reader.read([&records](const Record& record) -> Result<void> {
    records.push_back({record.seq, record.space, std::string(record.key), std::string(record.value)});
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return records;
}

std::vector<Kept> small_file() { return {{5, 1, "a", "1"}, {9, 2, "b", ""}, {7, 1, "c", std::string(5'000, 'x')}}; }

}  // namespace

TEST_CASE("a checkpoint's file gives back every record, however long") {
  Random random(test::seed());
  std::vector<Kept> records;
  for (std::size_t i = 0; i < 3'000; ++i) {
    // Some around the length of a block, where a record begins to be written in pieces.
    const std::size_t bytes = i % 500 == 0   ? k_payload_bytes_max - 40 + random.below(80)
                              : i % 500 == 1 ? k_value_bytes_max - random.below(3)
                                             : random.skewed(900);
    records.push_back({1 + random.below(1'000'000), static_cast<std::uint32_t>(random.below(9)),
                       "key" + std::to_string(i), std::string(bytes, static_cast<char>('a' + i % 26))});
  }
  SimulatedDisk disk;
  const FileEntry entry = write(disk, records);
  CHECK(entry.records == records.size());
  CHECK(entry.bytes == disk.bytes(file_name(2)).size());
  CHECK(entry.bytes % base::k_block_bytes == 0);
  CHECK(must(read(disk, entry)) == records);
}

TEST_CASE("a file's blocks are a MiB at most, and it is synced when it is finished") {
  SimulatedDisk disk;
  const FileEntry entry = write(disk, {{1, 1, "k", std::string(k_value_bytes_max, 'v')}, {2, 1, "l", "w"}});
  CHECK(entry.seq_end == 3);
  // Pieces of the first, and a block with the second.
  CHECK(entry.blocks == k_value_bytes_max / k_payload_bytes_max + 2);
  const auto& bytes = disk.bytes(file_name(2));
  std::uint64_t at = 0, blocks = 0;
  for (; at < bytes.size(); ++blocks) {
    const auto header = decode_block_header(std::span(bytes).subspan(at));
    REQUIRE(header);
    CHECK(block_bytes(header->payload_bytes) <= k_block_bytes_max);
    at += block_bytes(header->payload_bytes);
  }
  CHECK(blocks == entry.blocks);
  Random random(test::seed());
  const auto left = disk.image(test::Survival::none, random);
  CHECK(left.at(file_name(2)) == bytes);
}

TEST_CASE("a file with any bit flipped is corrupt, and the message says where") {
  SimulatedDisk disk;
  const FileEntry entry = write(disk, small_file());
  auto& bytes = disk.bytes(file_name(2));
  const auto header = decode_block_header(bytes);
  REQUIRE(header);
  // Padding is not used.
  for (std::size_t bit = 0; bit < (k_block_header_bytes + header->payload_bytes) * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    const auto found = read(disk, entry);
    REQUIRE(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message, ContainsSubstring("ckpt-00000002: offset 0: "));
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
  }
  CHECK(must(read(disk, entry)) == small_file());
}

TEST_CASE("a file that is not the one that the manifest names is refused") {
  SimulatedDisk disk;
  const FileEntry entry = write(disk, small_file());
  const auto refused = [&disk](const FileEntry& as, const std::string& why) {
    const auto found = read(disk, as);
    INFO(why);
    REQUIRE(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message, ContainsSubstring(why));
  };
  FileEntry other = entry;
  other.checksum ^= 1;
  refused(other, "not the one that the checkpoint names");
  other = entry;
  ++other.records;
  refused(other, "not the one that the checkpoint names");
  other = entry;
  other.bytes += base::k_block_bytes;
  refused(other, "bytes, and the checkpoint says");
  other = entry;
  other.seq_end = 9;
  refused(other, "make no sense");
  other = entry;
  ++other.number;
  refused(other, "there is no block 0 of this file");
  disk.drop(file_name(2));
  refused(entry, "the file is missing");
}

TEST_CASE("two blocks that changed places are found") {
  SimulatedDisk disk;
  const std::string value(k_payload_bytes_max / 2, 'v');
  const FileEntry entry = write(disk, {{1, 1, "a", value}, {2, 1, "b", value}});
  REQUIRE(entry.blocks == 2);
  auto& bytes = disk.bytes(file_name(2));
  const auto half = static_cast<std::ptrdiff_t>(bytes.size() / 2);
  REQUIRE(block_bytes(decode_block_header(bytes)->payload_bytes) == bytes.size() / 2);
  std::swap_ranges(bytes.begin(), bytes.begin() + half, bytes.begin() + half);
  CHECK(outcome(read(disk, entry)) == "corrupt");
}

TEST_CASE("a file of that name is not written over") {
  SimulatedDisk disk;
  disk.put(file_name(2), {std::byte{'x'}});
  CHECK(outcome(FileWriter::create(disk, k_directory, 2, k_store)) == "io_error");
  CHECK(disk.bytes(file_name(2)) == std::vector<std::byte>{std::byte{'x'}});
}

}  // namespace actable::checkpoint
