#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace bench {

/// The 8 hexadecimal digits of a number, as a word that holds them in the
/// order of memory, most significant digit first. About 2 ns: the nibbles are
/// spread to bytes and turned into digits all at once.
[[nodiscard]] inline std::uint64_t hex_word(std::uint32_t number) noexcept {
  std::uint64_t x = number;
  x = ((x & 0x00000000ffff0000u) << 16) | (x & 0x000000000000ffffu);
  x = ((x & 0x0000ff000000ff00u) << 8) | (x & 0x000000ff000000ffu);
  x = ((x & 0x00f000f000f000f0u) << 4) | (x & 0x000f000f000f000fu);
  const std::uint64_t is_letter = ((x + 0x0606060606060606u) >> 4) & 0x0101010101010101u;
  const std::uint64_t digits = x + 0x3030303030303030u + is_letter * ('a' - '0' - 10);
  return std::endian::native == std::endian::little ? std::byteswap(digits) : digits;
}

/// Room for a few keys and their values.
///
/// A key is a number in hexadecimal, padded with zeros in front, so that the
/// order of bytes is that of the numbers. A value begins with the last 8 bytes
/// of its key, by which whoever reads it can tell that it is the right one;
/// what follows is noise.
///
/// Keys and values are prepared some operations ahead. Written just before an
/// operation they would still be in the processor's store buffer, from where
/// the wider loads of a copy or a hash cannot take them without a stall.
///
/// Thread safety: *confined*.
class KeyBlock {
 public:
  /// Bytes of a key that differ, and bytes of a value that are checked.
  static constexpr std::size_t k_stamp_bytes = 8;

  struct Shape {
    std::size_t slots;
    std::size_t key_bytes;
    std::size_t value_bytes;
  };

  /// A key, and the value that belongs to it.
  struct Slot {
    std::string_view key;
    std::string_view value;
    char* key_stamp;
    char* value_stamp;

    /// `digits` as `hex_word` gives them.
    void set(std::uint64_t digits) const noexcept {
      std::memcpy(key_stamp, &digits, k_stamp_bytes);
      std::memcpy(value_stamp, &digits, k_stamp_bytes);
    }

    /// Whether `read` is a value that belongs to the key.
    [[nodiscard]] bool matches(std::string_view read) const noexcept {
      return read.size() == value.size() && std::memcmp(read.data(), value.data(), k_stamp_bytes) == 0;
    }
  };

  /// `noise` is at least one value long. Keys and values are at least
  /// `k_stamp_bytes` long.
  KeyBlock(Shape shape, std::string_view noise)
      : keys_(shape.slots * shape.key_bytes, '0'), values_(shape.slots * shape.value_bytes, '\0'), slots_(shape.slots) {
    for (std::size_t i = 0; i < shape.slots; ++i) {
      char* const key = keys_.data() + i * shape.key_bytes;
      char* const value = values_.data() + i * shape.value_bytes;
      noise.copy(value, shape.value_bytes);
      slots_[i] = {.key = {key, shape.key_bytes},
                   .value = {value, shape.value_bytes},
                   .key_stamp = key + shape.key_bytes - k_stamp_bytes,
                   .value_stamp = value};
    }
  }

  /// As `Slot::set`.
  void set(std::size_t slot, std::uint64_t digits) noexcept { slots_[slot].set(digits); }

  [[nodiscard]] std::size_t slots() const noexcept { return slots_.size(); }
  [[nodiscard]] std::span<const Slot> slots(std::size_t first, std::size_t end) const noexcept {
    return std::span(slots_).subspan(first, end - first);
  }
  [[nodiscard]] std::string_view key(std::size_t slot) const noexcept { return slots_[slot].key; }
  [[nodiscard]] std::string_view value(std::size_t slot) const noexcept { return slots_[slot].value; }

  /// Whether `value` is one that belongs to the key in the slot.
  [[nodiscard]] bool matches(std::size_t slot, std::string_view value) const noexcept {
    return slots_[slot].matches(value);
  }

 private:
  std::vector<char> keys_;
  std::vector<char> values_;
  std::vector<Slot> slots_;
};

}  // namespace bench
