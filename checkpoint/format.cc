#include "checkpoint/format.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/hash.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace actable::checkpoint {
namespace {

using base::load_le;
using base::store_le;

constexpr std::uint32_t k_block_magic = 0x43544341;  // "ACTC"
// Where a block has its sum, the last field of its header.
constexpr std::size_t k_sum_at = 56;
constexpr std::size_t k_number_digits = 8;
// No write's number is higher.
constexpr Seq k_seq_max = Seq{1} << 62;

/// The sum of the payload stands in the place of the block's sum while that is
/// taken over the 64 bytes of the header.
std::uint64_t sum_of(std::span<const std::byte> block, std::size_t payload_bytes, std::uint64_t store_id) noexcept {
  std::array<std::byte, k_block_header_bytes> header;
  std::copy_n(block.begin(), header.size(), header.begin());
  store_le(header.data() + k_sum_at, base::checksum(block.subspan(k_block_header_bytes, payload_bytes), store_id));
  return base::checksum(header, store_id);
}

}  // namespace

std::string file_name(std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < k_number_digits) digits.insert(0, k_number_digits - digits.size(), '0');
  return std::string(k_file_prefix) + digits;
}

std::optional<std::uint64_t> file_number_of(std::string_view name) noexcept {
  if (!name.starts_with(k_file_prefix)) return std::nullopt;
  const std::string_view digits = name.substr(k_file_prefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || number == 0) return std::nullopt;
  // One name for each number.
  const bool padded = digits.size() == k_number_digits || (digits.size() > k_number_digits && digits.front() != '0');
  return padded ? std::optional(number) : std::nullopt;
}

std::uint64_t seal_block(const BlockHeader& header, std::uint64_t store_id, std::span<std::byte> block) noexcept {
  ACTABLE_ASSERT(block.size() >= k_block_header_bytes + header.payload_bytes);
  std::byte* const at = block.data();
  std::memset(at, 0, k_block_header_bytes);
  store_le(at, k_block_magic);
  store_le(at + 4, header.flags);
  store_le(at + 8, header.file_number);
  store_le(at + 16, header.number);
  store_le(at + 24, header.payload_bytes);
  store_le(at + 28, header.records);
  store_le(at + 32, store_id);
  const std::uint64_t sum = sum_of(block, header.payload_bytes, store_id);
  store_le(at + k_sum_at, sum);
  return sum;
}

std::optional<BlockHeader> decode_block_header(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < k_block_header_bytes) return std::nullopt;
  const std::byte* const at = bytes.data();
  if (load_le<std::uint32_t>(at) != k_block_magic) return std::nullopt;
  BlockHeader header;
  header.flags = load_le<std::uint32_t>(at + 4);
  header.file_number = load_le<std::uint64_t>(at + 8);
  header.number = load_le<std::uint64_t>(at + 16);
  header.payload_bytes = load_le<std::uint32_t>(at + 24);
  header.records = load_le<std::uint32_t>(at + 28);
  header.store_id = load_le<std::uint64_t>(at + 32);
  if (header.payload_bytes > k_payload_bytes_max) return std::nullopt;
  return header;
}

std::optional<std::uint64_t> whole_block_sum(const BlockHeader& header, std::uint64_t store_id,
                                             std::span<const std::byte> block) noexcept {
  if (block.size() < k_block_header_bytes + std::size_t{header.payload_bytes}) return std::nullopt;
  const std::uint64_t sum = sum_of(block, header.payload_bytes, store_id);
  if (load_le<std::uint64_t>(block.data() + k_sum_at) != sum) return std::nullopt;
  return sum;
}

bool may_be_ours(std::span<const std::byte> bytes, std::uint64_t file_number, std::uint64_t store_id) noexcept {
  if (std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) return true;
  const auto header = decode_block_header(bytes);
  return header && header->file_number == file_number && header->store_id == store_id;
}

void encode(const Record& record, std::byte* to) noexcept {
  store_le(to, record.seq);
  store_le(to + 8, record.space);
  store_le(to + 12, static_cast<std::uint32_t>(record.value.size()));
  store_le(to + 16, static_cast<std::uint16_t>(record.key.size()));
  std::byte* const bytes = to + k_record_header_bytes;
  std::memcpy(bytes, record.key.data(), record.key.size());
  if (!record.value.empty()) std::memcpy(bytes + record.key.size(), record.value.data(), record.value.size());
}

std::optional<Record> take_record(std::span<const std::byte>& payload) noexcept {
  if (payload.size() < k_record_header_bytes) return std::nullopt;
  const std::byte* const at = payload.data();
  const auto seq = load_le<std::uint64_t>(at);
  const std::size_t value_bytes = load_le<std::uint32_t>(at + 12);
  const std::size_t key_bytes = load_le<std::uint16_t>(at + 16);
  if (seq == 0 || seq > k_seq_max || key_bytes == 0 || value_bytes > k_value_bytes_max) return std::nullopt;
  if (payload.size() < record_bytes(key_bytes, value_bytes)) return std::nullopt;
  const std::string_view text = base::as_text(payload);
  const Record record{seq, load_le<std::uint32_t>(at + 8), text.substr(k_record_header_bytes, key_bytes),
                      text.substr(k_record_header_bytes + key_bytes, value_bytes)};
  payload = payload.subspan(record_bytes(key_bytes, value_bytes));
  return record;
}

}  // namespace actable::checkpoint
