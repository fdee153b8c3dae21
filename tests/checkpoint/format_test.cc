#include "checkpoint/format.h"

#include "tests/support/catch.h"

#include <cstring>
#include <string>
#include <vector>

// The bytes of a checkpoint's files: records, blocks, names.
namespace actable::checkpoint {
namespace {

constexpr std::uint64_t k_store = 0x1122334455667788;

std::vector<std::byte> encoded(const Record& record) {
  std::vector<std::byte> bytes(record_bytes(record.key.size(), record.value.size()));
  encode(record, bytes.data());
  return bytes;
}

std::vector<std::byte> sealed(const BlockHeader& header) {
  std::vector<std::byte> block(block_bytes(header.payload_bytes));
  for (std::size_t i = 0; i < header.payload_bytes; ++i)
    block[k_block_header_bytes + i] = static_cast<std::byte>(i * 7);
  (void)seal_block(header, k_store, block);
  return block;
}

}  // namespace

TEST_CASE("a record of a checkpoint comes back as it was") {
  const std::string key("k\0y", 3), value(300, '\xff');
  for (const Record& record : {Record{1, 0, "a", ""}, Record{Seq{1} << 62, 7, key, value}}) {
    const auto bytes = encoded(record);
    std::span<const std::byte> rest = bytes;
    const auto found = take_record(rest);
    REQUIRE(found);
    CHECK(rest.empty());
    CHECK(found->seq == record.seq);
    CHECK(found->space == record.space);
    CHECK(found->key == record.key);
    CHECK(found->value == record.value);
  }
}

TEST_CASE("bytes that are no record of a checkpoint are not taken for one") {
  const auto whole = encoded({5, 1, "key", "value"});
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    std::span<const std::byte> rest(whole.data(), bytes);
    CHECK_FALSE(take_record(rest));
  }
  const auto refused = [&whole](std::size_t at, std::uint8_t value) {
    auto bytes = whole;
    bytes[at] = static_cast<std::byte>(value);
    std::span<const std::byte> rest = bytes;
    return !take_record(rest);
  };
  CHECK(refused(0, 0));      // Number 0.
  CHECK(refused(7, 0x80));   // A number above all.
  CHECK(refused(16, 0));     // No key.
  CHECK(refused(15, 0x01));  // A value above the limit.
}

TEST_CASE("a block is whole as it was sealed, and with any bit flipped it is not") {
  const BlockHeader header{
      .flags = BlockHeader::k_piece, .file_number = 3, .number = 9, .payload_bytes = 100, .records = 2};
  auto block = sealed(header);
  CHECK(block.size() == base::k_block_bytes);
  const auto decoded = decode_block_header(block);
  REQUIRE(decoded);
  CHECK(decoded->flags == header.flags);
  CHECK(decoded->file_number == 3);
  CHECK(decoded->number == 9);
  CHECK(decoded->payload_bytes == 100);
  CHECK(decoded->records == 2);
  CHECK(decoded->store_id == k_store);
  REQUIRE(whole_block_sum(*decoded, k_store, block));
  CHECK_FALSE(whole_block_sum(*decoded, k_store + 1, block));
  for (std::size_t bit = 0; bit < (k_block_header_bytes + 100) * 8; ++bit) {
    block[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    const auto found = decode_block_header(block);
    CHECK_FALSE((found && whole_block_sum(*found, k_store, block)));
    block[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
  }
}

TEST_CASE("a block that claims to be longer than any is none") {
  auto block = sealed({.file_number = 1, .payload_bytes = 10, .records = 1});
  const std::uint32_t bytes = k_payload_bytes_max + 1;
  std::memcpy(block.data() + 24, &bytes, sizeof bytes);
  CHECK_FALSE(decode_block_header(block));
}

TEST_CASE("what a crash leaves of a file is told from other files") {
  const auto block = sealed({.file_number = 4, .payload_bytes = 10, .records = 1});
  CHECK(may_be_ours({}, 4, k_store));
  CHECK(may_be_ours(std::vector<std::byte>(64), 4, k_store));
  CHECK(may_be_ours(block, 4, k_store));
  CHECK_FALSE(may_be_ours(block, 5, k_store));
  CHECK_FALSE(may_be_ours(block, 4, k_store + 1));
  CHECK_FALSE(may_be_ours(std::vector<std::byte>(64, std::byte{'x'}), 4, k_store));
}

TEST_CASE("each number has one file name") {
  CHECK(file_name(1) == "ckpt-00000001");
  CHECK(file_name(123'456'789) == "ckpt-123456789");
  for (const std::uint64_t number : {1ULL, 99'999'999ULL, 100'000'000ULL, ~0ULL}) {
    CHECK(file_number_of(file_name(number)) == number);
  }
  for (const char* const name : {"ckpt-", "ckpt-1", "ckpt-00000000", "ckpt-000000001", "ckpt-0000001x", "log-00000001",
                                 "ckpt-99999999999999999999", "xckpt-00000001"}) {
    CHECK_FALSE(file_number_of(name));
  }
}

TEST_CASE("groups divide the hashes evenly") {
  CHECK(group_of(0) == 0);
  CHECK(group_of(~std::uint64_t{0}) == k_groups - 1);
  for (unsigned group = 1; group < k_groups; ++group) {
    CHECK(group_of(first_hash_of(group)) == group);
    CHECK(group_of(first_hash_of(group) - 1) == group - 1);
  }
  CHECK(first_hash_of(k_groups) == 0);
}

}  // namespace actable::checkpoint
