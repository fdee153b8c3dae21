#include "wal/format.h"

#include "base/assert.h"
#include "base/hash.h"

#include <algorithm>
#include <array>

namespace actable::wal {
namespace {

using base::load_le;
using base::store_le;

constexpr std::uint32_t k_frame_magic = 0x46544341;  // "ACTF"
// Where both headers have their sum, which is their last field.
constexpr std::size_t k_sum_at = 56;
constexpr std::uint32_t k_value_mask = k_tombstone_flag - 1;

/// The sum of the payload stands in the place of the frame's sum while that is
/// taken over the 64 bytes of the header.
std::uint64_t frame_sum(std::span<const std::byte> frame, std::size_t payload_bytes, std::uint64_t store_id) noexcept {
  std::array<std::byte, k_frame_header_bytes> header;
  std::copy_n(frame.begin(), header.size(), header.begin());
  store_le(header.data() + k_sum_at, base::checksum(frame.subspan(k_frame_header_bytes, payload_bytes), store_id));
  return base::checksum(header, store_id);
}

}  // namespace

void encode(const SegmentHeader& header, std::uint64_t store_id, std::span<std::byte> block) noexcept {
  ACTABLE_ASSERT(block.size() == base::k_block_bytes);
  std::ranges::fill(block, std::byte{0});
  std::byte* const at = block.data();
  store_le(at, k_segment_magic);
  store_le(at + 8, k_format_version);
  store_le(at + 12, static_cast<std::uint32_t>(base::k_block_bytes));
  store_le(at + 16, store_id);
  store_le(at + 24, header.generation);
  store_le(at + 32, header.first_frame);
  store_le(at + 40, header.era);
  store_le(at + 48, header.file_number);
  store_le(at + k_sum_at, base::checksum(block.first(k_sum_at), store_id));
}

DecodedHeader decode_segment_header(std::span<const std::byte> block, std::uint64_t store_id) noexcept {
  DecodedHeader decoded{HeaderState::broken, {}, 0};
  if (block.size() < k_segment_header_bytes) return decoded;
  const std::byte* const at = block.data();
  const auto written_by = load_le<std::uint64_t>(at + 16);
  if (load_le<std::uint64_t>(at) != k_segment_magic) return decoded;
  // The sum is salted with the store's number as written, so that a whole
  // header of another store is told from a broken one of this.
  if (load_le<std::uint64_t>(at + k_sum_at) != base::checksum(block.first(k_sum_at), written_by)) return decoded;
  decoded.version = load_le<std::uint32_t>(at + 8);
  decoded.header = {load_le<std::uint64_t>(at + 24), load_le<std::uint64_t>(at + 32), load_le<std::uint64_t>(at + 40),
                    load_le<std::uint64_t>(at + 48)};
  if (decoded.version != k_format_version) {
    decoded.state = HeaderState::newer;
  } else {
    decoded.state = written_by == store_id ? HeaderState::whole : HeaderState::foreign;
  }
  return decoded;
}

void seal_frame(const FrameHeader& header, std::uint64_t store_id, std::span<std::byte> frame) noexcept {
  ACTABLE_ASSERT(frame.size() >= k_frame_header_bytes + header.payload_bytes);
  std::byte* const at = frame.data();
  store_le(at, k_frame_magic);
  store_le(at + 4, header.flags);
  store_le(at + 8, header.generation);
  store_le(at + 16, header.number);
  store_le(at + 24, header.era);
  store_le(at + 32, header.cut);
  store_le(at + 40, header.durable);
  store_le(at + 48, header.payload_bytes);
  store_le(at + 52, header.records);
  store_le(at + k_sum_at, frame_sum(frame, header.payload_bytes, store_id));
}

std::optional<FrameHeader> decode_frame_header(std::span<const std::byte> bytes) noexcept {
  if (bytes.size() < k_frame_header_bytes) return std::nullopt;
  const std::byte* const at = bytes.data();
  if (load_le<std::uint32_t>(at) != k_frame_magic) return std::nullopt;
  FrameHeader header;
  header.flags = load_le<std::uint32_t>(at + 4);
  header.generation = load_le<std::uint64_t>(at + 8);
  header.number = load_le<std::uint64_t>(at + 16);
  header.era = load_le<std::uint64_t>(at + 24);
  header.cut = load_le<std::uint64_t>(at + 32);
  header.durable = load_le<std::uint64_t>(at + 40);
  header.payload_bytes = load_le<std::uint32_t>(at + 48);
  header.records = load_le<std::uint32_t>(at + 52);
  return header;
}

bool frame_whole(const FrameHeader& header, std::uint64_t store_id, std::span<const std::byte> frame) noexcept {
  if (frame.size() < k_frame_header_bytes + std::size_t{header.payload_bytes}) return false;
  return load_le<std::uint64_t>(frame.data() + k_sum_at) == frame_sum(frame, header.payload_bytes, store_id);
}

std::optional<LogRecord> take_record(std::span<const std::byte>& payload) noexcept {
  if (payload.size() < k_record_header_bytes) return std::nullopt;
  const std::byte* const at = payload.data();
  const auto value_and_flags = load_le<std::uint32_t>(at + 12);
  const std::size_t key_bytes = load_le<std::uint16_t>(at + 16);
  const std::size_t value_bytes = value_and_flags & k_value_mask;
  const std::uint32_t flags = value_and_flags & ~k_value_mask;
  if ((flags & ~k_tombstone_flag) != 0 || load_le<std::uint16_t>(at + 18) != 0 || key_bytes == 0) return std::nullopt;
  if (value_bytes > k_value_bytes_max || payload.size() < record_bytes(key_bytes, value_bytes)) return std::nullopt;
  const auto seq = load_le<std::uint64_t>(at);
  if (seq > k_seq_max) return std::nullopt;
  const std::string_view text = base::as_text(payload);
  LogRecord record{seq, load_le<std::uint32_t>(at + 8), flags != 0, text.substr(k_record_header_bytes, key_bytes),
                   text.substr(k_record_header_bytes + key_bytes, value_bytes)};
  payload = payload.subspan(record_bytes(key_bytes, value_bytes));
  return record;
}

}  // namespace actable::wal
