#pragma once

#include "base/bytes.h"
#include "base/file.h"

#include <actable/options.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// What the bytes of a checkpoint's files mean. docs/checkpoint-format.md has
/// the grammar; these are its encoders and decoders. Decoders take any bytes.
///
/// Thread safety: pure functions.
namespace actable::checkpoint {

/// The keys of a store fall into so many groups by the first bits of their
/// hashes. Each group is in one file of the checkpoint at most, and has a cut of
/// its own.
inline constexpr unsigned k_group_bits = 4;
inline constexpr unsigned k_groups = 1U << k_group_bits;
[[nodiscard]] constexpr unsigned group_of(std::uint64_t hash) noexcept {
  return static_cast<unsigned>(hash >> (64 - k_group_bits));
}
/// The first hash of a group; 0 for `k_groups`, which stands for 2^64.
[[nodiscard]] constexpr std::uint64_t first_hash_of(unsigned group) noexcept {
  return std::uint64_t{group} << (64 - k_group_bits);
}

inline constexpr std::string_view k_file_prefix = "ckpt-";
[[nodiscard]] std::string file_name(std::uint64_t number);
/// The number in a file's name; nothing for another name.
[[nodiscard]] std::optional<std::uint64_t> file_number_of(std::string_view name) noexcept;

/// Header of a block; its payload follows, and zeros up to the next 4 KiB.
struct BlockHeader {
  enum Flag : std::uint32_t {
    /// The payload is the next piece of a record longer than a block.
    k_piece = 1,
    /// And its last one.
    k_last_piece = 2,
    /// The payload is compressed (checkpoint/compression.h): what else is said of a
    /// payload is said of the one that it was made of.
    k_compressed = 4,
  };
  static constexpr std::uint32_t k_known_flags = k_piece | k_last_piece | k_compressed;
  std::uint32_t flags = 0;
  /// Of the file: blocks of two files never mix.
  std::uint64_t file_number = 0;
  /// From 0, without gaps.
  std::uint64_t number = 0;
  /// As it is in the file.
  std::uint32_t payload_bytes = 0;
  /// Of a record in pieces, its last piece counts 1.
  std::uint32_t records = 0;
  /// Set by `seal_block`.
  std::uint64_t store_id = 0;
};

inline constexpr std::size_t k_block_header_bytes = 64;
/// Of a block in the file, header and padding included.
inline constexpr std::size_t k_block_bytes_max = std::size_t{1} << 20;
inline constexpr std::size_t k_payload_bytes_max = k_block_bytes_max - k_block_header_bytes;

[[nodiscard]] constexpr std::size_t block_bytes(std::size_t payload_bytes) noexcept {
  return base::round_up(k_block_header_bytes + payload_bytes, base::k_block_bytes);
}

/// Writes the header in front of the payload: `block` holds both. Returns the
/// block's checksum.
std::uint64_t seal_block(const BlockHeader& header, std::uint64_t store_id, std::span<std::byte> block) noexcept;

/// The header's fields, if these bytes can begin a block; no checksum yet.
[[nodiscard]] std::optional<BlockHeader> decode_block_header(std::span<const std::byte> bytes) noexcept;

/// The block's checksum, where header and payload are as they were sealed.
[[nodiscard]] std::optional<std::uint64_t> whole_block_sum(const BlockHeader& header, std::uint64_t store_id,
                                                           std::span<const std::byte> block) noexcept;

/// True for the first bytes of a file that a crash may have left of a checkpoint
/// of the store: none at all, zeros, or a block's header with file and store.
[[nodiscard]] bool may_be_ours(std::span<const std::byte> bytes, std::uint64_t file_number,
                               std::uint64_t store_id) noexcept;

/// A key's version, as it is in a checkpoint. There are no tombstones.
struct Record {
  Seq seq;
  std::uint32_t space;
  std::string_view key;
  std::string_view value;
};

inline constexpr std::size_t k_record_header_bytes = 18;

[[nodiscard]] constexpr std::size_t record_bytes(std::size_t key_bytes, std::size_t value_bytes) noexcept {
  return k_record_header_bytes + key_bytes + value_bytes;
}

/// Writes `record_bytes` bytes.
void encode(const Record& record, std::byte* to) noexcept;

/// Takes the first record off `payload`. Empty when the bytes are no record.
[[nodiscard]] std::optional<Record> take_record(std::span<const std::byte>& payload) noexcept;

}  // namespace actable::checkpoint
