#include "checkpoint/compression.h"

#include "checkpoint/checksum.h"
#include "checkpoint/file_reader.h"
#include "checkpoint/file_writer.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"

#include <sys/resource.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

// Checkpoints' files whose blocks are compressed.
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
using Bytes = std::vector<std::byte>;

/// Words in no order: zstd makes a third of it.
std::string prose(Random& random, std::size_t bytes) {
  constexpr std::array k_words{"store ", "record ", "of ", "the ", "block ", "frame ", "written ", "behind ", "it "};
  std::string text;
  while (text.size() < bytes) text += k_words[random.below(k_words.size())];
  text.resize(bytes);
  return text;
}

std::string noise(Random& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::ranges::generate(text, [&random] { return static_cast<char>(random()); });
  return text;
}

struct Kept {
  std::string key;
  std::string value;
  bool operator==(const Kept&) const = default;
};

FileEntry write(SimulatedDisk& disk, const std::vector<Kept>& records, int level = 1) {
  const auto writer = must(FileWriter::create(disk, k_directory, 2, k_store, {.level = level}));
  for (const Kept& record : records) {
    Bytes bytes(record_bytes(record.key.size(), record.value.size()));
    encode({5, 1, record.key, record.value}, bytes.data());
    must(writer->append(bytes, 5));
  }
  return must(writer->finish());
}

Result<std::vector<Kept>> read(SimulatedDisk& disk, const FileEntry& entry) {
  std::vector<Kept> records;
  FileReader reader(disk, k_path, entry, k_store);
  auto done = reader.read([&records](const Record& record) -> Result<void> {
    records.push_back({std::string(record.key), std::string(record.value)});
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return records;
}

struct Block {
  std::size_t offset;
  BlockHeader header;
  Bytes payload;
  [[nodiscard]] bool compressed() const { return (header.flags & BlockHeader::k_compressed) != 0; }
  [[nodiscard]] bool piece() const { return (header.flags & BlockHeader::k_piece) != 0; }
};

std::vector<Block> blocks_of(const Bytes& file) {
  std::vector<Block> blocks;
  for (std::size_t at = 0; at < file.size(); at += block_bytes(blocks.back().header.payload_bytes)) {
    const auto rest = std::span(file).subspan(at);
    const auto header = decode_block_header(rest);
    REQUIRE(header);
    REQUIRE(whole_block_sum(*header, k_store, rest));
    const auto payload = rest.subspan(k_block_header_bytes, header->payload_bytes);
    blocks.push_back({at, *header, {payload.begin(), payload.end()}});
  }
  return blocks;
}

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// What zstd makes of the payload; without saying how long that is, if asked to.
Bytes frame_of(const Bytes& payload, bool says_size = true) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, says_size ? 1 : 0);
  Bytes frame(ZSTD_compressBound(payload.size()));
  const std::size_t bytes = ZSTD_compress2(context, frame.data(), frame.size(), payload.data(), payload.size());
  ZSTD_freeCCtx(context);
  REQUIRE_FALSE(ZSTD_isError(bytes));
  frame.resize(bytes);
  return frame;
}

Bytes record_of(std::string_view key, std::string_view value) {
  Bytes bytes(record_bytes(key.size(), value.size()));
  encode({5, 1, key, value}, bytes.data());
  return bytes;
}

/// A file of one block with this payload, whole by its checksums.
FileEntry forge(SimulatedDisk& disk, const Bytes& payload, std::uint32_t flags = BlockHeader::k_compressed) {
  Bytes block(block_bytes(payload.size()));
  std::ranges::copy(payload, block.begin() + k_block_header_bytes);
  const BlockHeader header{
      .flags = flags, .file_number = 2, .payload_bytes = static_cast<std::uint32_t>(payload.size()), .records = 1};
  const std::uint64_t sum = seal_block(header, k_store, block);
  FileEntry entry{.number = 2, .bytes = block.size(), .blocks = 1, .records = 1, .seq_end = 6};
  entry.checksum = next_checksum(0, sum);
  disk.put(file_name(2), std::move(block));
  return entry;
}

void check_refused(const Result<std::vector<Kept>>& found, const std::string& why) {
  INFO(why);
  REQUIRE(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message, ContainsSubstring("ckpt-00000002: offset 0: the block cannot be decompressed: "));
  CHECK_THAT(found.error().message, ContainsSubstring(why));
  CHECK_THAT(found.error().message, ContainsSubstring("restore the directory from a backup"));
}

}  // namespace

TEST_CASE("a compressed file gives back every record, at each level, and is shorter", "[compression]") {
  Random random(test::seed());
  std::vector<Kept> records;
  for (int i = 0; i < 3'000; ++i) {
    // Some in pieces.
    const std::size_t bytes =
        i % 1'000 == 0 ? k_payload_bytes_max + random.below(k_payload_bytes_max) : random.skewed(2'000);
    records.push_back({"key" + std::to_string(i), prose(random, bytes)});
  }
  SimulatedDisk disk;
  const std::uint64_t plain = write(disk, records, 0).bytes;
  disk.drop(file_name(2));
  for (const int level : {1, 3, 19}) {
    const FileEntry entry = write(disk, records, level);
    INFO("level " << level << ": " << entry.bytes << " of " << plain);
    CHECK(entry.bytes < plain / 2);
    CHECK(entry.bytes == disk.bytes(file_name(2)).size());
    CHECK(entry.bytes % base::k_block_bytes == 0);
    CHECK(must(read(disk, entry)) == records);
    const auto blocks = blocks_of(disk.bytes(file_name(2)));
    for (const bool piece : {false, true}) {
      CHECK(std::ranges::any_of(blocks, [piece](const Block& b) { return b.compressed() && b.piece() == piece; }));
    }
    disk.drop(file_name(2));
  }
}

TEST_CASE("what compressing does not make shorter by a block of the disk is stored as it is", "[compression]") {
  Random random(test::seed());
  // Blocks of noise, of prose, of a few bytes, and of a record in pieces of either kind.
  std::vector<Kept> records{{"noise", noise(random, k_payload_bytes_max - 100)},
                            {"prose", prose(random, k_payload_bytes_max - 100)},
                            {"both", noise(random, k_payload_bytes_max) + prose(random, k_payload_bytes_max)},
                            {"short", prose(random, 3'000)}};
  SimulatedDisk disk;
  const FileEntry entry = write(disk, records);
  CHECK(must(read(disk, entry)) == records);
  const auto blocks = blocks_of(disk.bytes(file_name(2)));
  std::string kinds;
  for (const Block& block : blocks) kinds += std::string(block.compressed() ? "c" : "-") + (block.piece() ? "p " : " ");
  // The third piece is the few bytes that the key and the header are long.
  CHECK(kinds == "- c -p cp -p - ");
  // A frame that saves less than a block of 4 KiB is not worth being taken apart.
  disk.drop(file_name(2));
  const std::string nearly = noise(random, 8'300) + std::string(300, 'x');
  REQUIRE(frame_of(bytes_of(nearly)).size() < nearly.size());
  write(disk, {{"nearly", nearly}});
  CHECK_FALSE(blocks_of(disk.bytes(file_name(2))).front().compressed());
}

TEST_CASE("a compressed block is read as one that was written without", "[compression]") {
  SimulatedDisk disk;
  const std::string value(5'000, 'x');
  const FileEntry entry = forge(disk, frame_of(record_of("k", value)));
  CHECK(must(read(disk, entry)) == std::vector<Kept>{{"k", value}});
}

TEST_CASE("a compressed file with any bit flipped is corrupt before it is decompressed", "[compression]") {
  SimulatedDisk disk;
  Random random(test::seed());
  const FileEntry entry = write(disk, {{"k", prose(random, 9'000)}});
  auto& bytes = disk.bytes(file_name(2));
  const std::size_t used = k_block_header_bytes + blocks_of(bytes).front().payload.size();
  REQUIRE(blocks_of(bytes).front().compressed());
  for (std::size_t bit = 0; bit < used * 8; bit += 1 + random.below(7)) {
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    const auto found = read(disk, entry);
    REQUIRE(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message, ContainsSubstring("ckpt-00000002: offset 0: "));
    CHECK_THAT(found.error().message, !ContainsSubstring("decompressed"));
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
  }
  // In a later block: its offset is told.
  disk.drop(file_name(2));
  const std::string half = prose(random, k_payload_bytes_max / 2);
  const FileEntry two = write(disk, {{"a", half}, {"b", half}});
  const auto blocks = blocks_of(disk.bytes(file_name(2)));
  REQUIRE(blocks.size() == 2);
  disk.bytes(file_name(2))[blocks[1].offset + 500] ^= std::byte{1};
  CHECK_THAT(read(disk, two).error().message,
             ContainsSubstring("offset " + std::to_string(blocks[1].offset) + ": the block is damaged"));
}

TEST_CASE("a frame that was never written is refused, whatever the checksums say", "[compression]") {
  SimulatedDisk disk;
  const Bytes payload = record_of("k", std::string(5'000, 'x'));
  const Bytes frame = frame_of(payload);
  const auto refused = [&disk](const Bytes& forged, const std::string& why) {
    check_refused(read(disk, forge(disk, forged)), why);
  };
  refused({}, "does not begin with a frame");
  refused(payload, "does not begin with a frame");
  refused(frame_of(payload, false), "does not say how long");
  refused(frame_of({}), "a payload that no block has");
  refused(frame_of(Bytes(k_payload_bytes_max + 1)), "a payload that no block has");
  Bytes forged(frame.begin(), frame.begin() + 5);
  refused(forged, "the header of its frame makes no sense");
  // One that would be 2^63 bytes long: nothing as large is asked for.
  forged = {std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f}, std::byte{0xfd}, std::byte{0xe0}};
  forged.resize(13);
  forged.back() = std::byte{0x80};
  refused(forged, "a payload that no block has");
  for (const std::size_t cut : {std::size_t{1}, frame.size() / 2, frame.size() - 8}) {
    refused({frame.begin(), frame.end() - static_cast<std::ptrdiff_t>(cut)}, "it is not one frame of zstd");
  }
  Bytes twice = frame;
  twice.insert(twice.end(), frame.begin(), frame.end());
  refused(twice, "it is not one frame of zstd");
  // A frame to be passed over, and then one.
  Bytes skipped{std::byte{0x50}, std::byte{0x2a}, std::byte{0x4d}, std::byte{0x18}};
  skipped.resize(8);
  skipped.insert(skipped.end(), frame.begin(), frame.end());
  refused(skipped, "does not begin with a frame");
  // Bytes of it changed: what comes out is what was compressed, if anything.
  const Bytes sealed = [&payload] {
    Bytes bytes(payload.size() * 2);
    bytes.resize(*must(must(Compressor::create(1)).compress(payload, bytes)));
    return bytes;
  }();
  std::size_t refusals = 0;
  for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    Bytes changed = sealed;
    changed[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    INFO("bit " << bit);
    const auto found = read(disk, forge(disk, changed));
    if (found) {
      REQUIRE(*found == std::vector<Kept>{{"k", std::string(5'000, 'x')}});
    } else {
      REQUIRE(outcome(found) == "corrupt");
      ++refusals;
    }
  }
  CHECK(refusals > 7 * sealed.size());
}

TEST_CASE("whatever bytes are said to be a frame, they give a payload or are refused", "[compression]") {
  Random random(test::seed());
  Decompressor decompressor;
  const Bytes frame = frame_of(bytes_of(prose(random, 3'000)));
  std::uint64_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes changed = frame;
    for (std::uint64_t flips = 1 + random.below(4); flips-- > 0;) {
      changed[random.one_in(2) ? random.below(14) : random.below(changed.size())] ^=
          static_cast<std::byte>(1U << random.below(8));
    }
    if (random.one_in(4)) changed.resize(random.below(changed.size()));
    const auto payload = decompressor.decompress(changed);
    if (payload) {
      REQUIRE(payload->size() >= 1);
      REQUIRE(payload->size() <= k_payload_bytes_max);
    } else {
      REQUIRE(outcome(payload) == "corrupt");
      ++refused;
    }
  }
  CHECK(refused > 10'000);
  // And the next one comes out as ever.
  CHECK(must(decompressor.decompress(frame)).size() == 3'000);
}

TEST_CASE("a flag that this build does not know is still for a newer version", "[compression]") {
  SimulatedDisk disk;
  const Bytes frame = frame_of(record_of("k", "v"));
  const auto found = read(disk, forge(disk, frame, BlockHeader::k_compressed | 8U));
  CHECK(outcome(found) == "unsupported");
  CHECK_THAT(found.error().message, ContainsSubstring("offset 0: a kind of block that this build does not know"));
}

TEST_CASE("without memory to compress or decompress with there is an error", "[compression]") {
  if (test::k_address_sanitizer || test::k_thread_sanitizer) return;  // They need address space without limit.
  Random random(test::seed());
  const std::string text = prose(random, k_payload_bytes_max);
  const Bytes payload = bytes_of(text);
  const Bytes frame = frame_of(payload);
  enum Outcome { as_due, no_limit, compressor_made, compressed, decompressed };
  const int outcome_of_child = test::in_forked_child([&]() -> int {
    auto early = Compressor::create(19);
    Bytes room(payload.size());
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    limit.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    if (setrlimit(RLIMIT_AS, &limit) != 0) return no_limit;
    // What the heap has at hand would do; there may be several, and one of them says no.
    void* volatile taken = nullptr;
    for (std::size_t bytes = std::size_t{1} << 20; bytes >= 512; bytes /= 2) {
      for (int refusals = 0; refusals < 100; refusals += taken == nullptr ? 1 : 0) taken = std::malloc(bytes);
    }
    if (auto late = Compressor::create(1); late || late.error().code != ErrorCode::no_memory) return compressor_made;
    if (auto made = early->compress(payload, room); made || made.error().code != ErrorCode::no_memory) {
      return compressed;
    }
    Decompressor decompressor;
    if (auto made = decompressor.decompress(frame); made || made.error().code != ErrorCode::no_memory) {
      return decompressed;
    }
    return as_due;
  });
  CHECK(outcome_of_child == as_due);
}

}  // namespace actable::checkpoint
