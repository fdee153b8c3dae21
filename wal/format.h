#pragma once

#include "base/bytes.h"
#include "base/file.h"

#include <actable/options.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

/// What the log's bytes mean. docs/log-format.md has the grammar and a worked
/// example; these are its encoders and decoders. Decoders take any bytes.
///
/// Thread safety: pure functions.
namespace actable::wal {

inline constexpr std::uint32_t k_format_version = 1;

/// What a log that is opened may hold at most; no store comes near it. Above
/// them what the next life writes might not fit its fields.
inline constexpr std::uint64_t k_era_max = (std::uint64_t{1} << 31) - 1;
/// In any file of it, spare ones too: the next life takes an era above them, and one more
/// for each healing.
inline constexpr std::uint64_t k_opening_era_max = k_era_max - (std::uint64_t{1} << 20);
inline constexpr std::uint64_t k_frame_number_max = std::uint64_t{1} << 62;
inline constexpr Seq k_opening_seq_max = Seq{1} << 61;

/// The generations of an era have its number above these bits, but for those of
/// the first, which begin at 1.
inline constexpr unsigned k_generation_bits = 32;

/// "1ACTLOG1", which a segment begins with.
inline constexpr std::uint64_t k_segment_magic = 0x31474f4c54434131;

/// First block of a segment file.
struct SegmentHeader {
  /// Higher with each use of a file, in any file: bytes of an earlier use never
  /// pass for bytes of this one.
  std::uint64_t generation = 0;
  /// Number of the first frame.
  std::uint64_t first_frame = 0;
  /// One more with each opening of the store.
  std::uint64_t era = 0;
  /// The one in the file's name: a header that another file was given does not
  /// pass for this one's.
  std::uint64_t file_number = 0;
};

inline constexpr std::size_t k_segment_header_bytes = 64;

/// Fills a block of `base::k_block_bytes`.
void encode(const SegmentHeader& header, std::uint64_t store_id, std::span<std::byte> block) noexcept;

/// What a segment's first block turned out to be.
enum class HeaderState { whole, foreign, newer, broken };
struct DecodedHeader {
  HeaderState state;
  SegmentHeader header;
  /// Of a header of a newer version.
  std::uint32_t version;
};
[[nodiscard]] DecodedHeader decode_segment_header(std::span<const std::byte> block, std::uint64_t store_id) noexcept;

/// Header of a frame; its records follow, and zeros up to the next block.
struct FrameHeader {
  enum Flag : std::uint32_t {
    /// First frame of an era. What came before it and is not below the cut
    /// then recovered is void; its own cut is where the numbers continue.
    k_recovery = 1,
    /// Last frame before a clean close: nothing was in flight.
    k_clean = 2,
  };
  std::uint32_t flags = 0;
  std::uint64_t generation = 0;
  /// Without gaps over the life of the log.
  std::uint64_t number = 0;
  std::uint64_t era = 0;
  /// Not 0: a marker. All records numbered below it are in this frame or in
  /// earlier ones.
  Seq cut = 0;
  /// The highest marker known to be on disk when this frame was written.
  Seq durable = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t records = 0;
};

inline constexpr std::size_t k_frame_header_bytes = 64;

/// Bytes of a frame in the file, padding included.
[[nodiscard]] constexpr std::uint64_t frame_bytes(std::uint64_t payload_bytes) noexcept {
  return base::round_up(k_frame_header_bytes + payload_bytes, base::k_block_bytes);
}

/// Writes the header in front of the payload: `frame` holds both.
void seal_frame(const FrameHeader& header, std::uint64_t store_id, std::span<std::byte> frame) noexcept;

/// The header's fields, if these bytes can begin a frame; no checksum yet.
[[nodiscard]] std::optional<FrameHeader> decode_frame_header(std::span<const std::byte> bytes) noexcept;

/// True when header and payload are as they were sealed.
[[nodiscard]] bool frame_whole(const FrameHeader& header, std::uint64_t store_id,
                               std::span<const std::byte> frame) noexcept;

/// A write, as it is in a frame.
struct LogRecord {
  Seq seq;
  std::uint32_t space;
  bool tombstone;
  std::string_view key;
  std::string_view value;
};

inline constexpr std::size_t k_record_header_bytes = 20;
/// In the word that holds the value's length, above it.
inline constexpr std::uint32_t k_tombstone_flag = std::uint32_t{1} << 24;
/// A life that begins at `k_opening_seq_max` does not come to it.
inline constexpr Seq k_seq_max = Seq{1} << 62;

[[nodiscard]] constexpr std::size_t record_bytes(std::size_t key_bytes, std::size_t value_bytes) noexcept {
  return k_record_header_bytes + key_bytes + value_bytes;
}

/// Replaces the number of a record that was written to `to`.
inline void encode_number(Seq seq, std::byte* to) noexcept { base::store_le(to, seq); }

/// Writes `record_bytes` bytes.
inline void encode(const LogRecord& record, std::byte* to) noexcept {
  encode_number(record.seq, to);
  // Fields that lie side by side in one store: the space, then the value's length
  // and the flag above it; the key's length, then zeros.
  const std::uint64_t value_and_flag = record.value.size() | (record.tombstone ? k_tombstone_flag : 0);
  base::store_le(to + 8, record.space | value_and_flag << 32);
  base::store_le(to + 16, static_cast<std::uint32_t>(record.key.size()));
  char* const bytes = reinterpret_cast<char*>(to + k_record_header_bytes);
  base::copy_bytes(bytes, record.key.data(), record.key.size());
  if (!record.value.empty()) std::memcpy(bytes + record.key.size(), record.value.data(), record.value.size());
}

/// Takes the first record off `payload`. Empty when the bytes are no record.
[[nodiscard]] std::optional<LogRecord> take_record(std::span<const std::byte>& payload) noexcept;

}  // namespace actable::wal
