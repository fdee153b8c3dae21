#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace actable::base {

/// Whether hashing the key takes no call. Reads and writes have a copy of the way for
/// such keys.
[[nodiscard]] constexpr bool is_9_to_16_bytes(std::string_view key) noexcept { return key.size() - 9 < 8; }

/// Hash of a key, XXH3 with the store's own random seed, so that nobody who can
/// choose keys can choose which collide. All 64 bits are good; the table uses
/// the top ones for its directory and the low ones within a segment.
[[nodiscard, gnu::always_inline]] inline std::uint64_t hash_key(std::string_view key, std::uint64_t seed) noexcept {
  // The library's own function for them, and its own constants: tests/base/hash_test.cc
  // sees to it that they are what it uses.
  if (is_9_to_16_bytes(key)) [[likely]] {
    return XXH3_len_9to16_64b(reinterpret_cast<const xxh_u8*>(key.data()), key.size(), XXH3_kSecret, seed);
  }
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

/// Checksum of what goes to disk, salted with the store's identity so that
/// another store's bytes never pass.
[[nodiscard]] inline std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t salt) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), salt);
}

}  // namespace actable::base
