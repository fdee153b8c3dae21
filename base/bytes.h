#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

/// Integers in bytes, little-endian, at any alignment.
namespace actable::base {

static_assert(std::endian::native == std::endian::little, "the file format is little-endian; swap here to port");

template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <std::unsigned_integral T>
inline void store_le(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

[[nodiscard]] constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) noexcept {
  return (bytes + unit - 1) / unit * unit;
}

/// As memcmp of so many bytes, for keys: most are short, and calling memcmp would
/// be most of the work.
///
/// Both branches give a word and not a truth value, which would be made and tested.
[[nodiscard, gnu::always_inline]] inline bool equal_bytes(const char* a, const char* b, std::size_t bytes) noexcept {
  constexpr std::size_t k_word = sizeof(std::uint64_t);
  // Pairs of words that overlap where they must.
  const auto differ = [a, b](std::size_t at) {
    return load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(a + at)) ^
           load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(b + at));
  };
  std::uint64_t difference = 0;
  if (bytes < k_word || bytes > 4 * k_word) [[unlikely]] {
    difference = static_cast<std::uint64_t>(std::memcmp(a, b, bytes));
  } else {
    difference = differ(0) | differ(bytes - k_word);
    if (bytes > 2 * k_word) difference |= differ(k_word) | differ(bytes - 2 * k_word);
  }
  return difference == 0;
}

/// As memcpy of so many bytes, for keys, with as little ado as `equal_bytes`.
inline void copy_bytes(char* to, const char* from, std::size_t bytes) noexcept {
  constexpr std::size_t k_word = sizeof(std::uint64_t);
  if (bytes < k_word || bytes > 4 * k_word) {
    std::memcpy(to, from, bytes);
    return;
  }
  const auto copy_word = [to, from](std::size_t at) { std::memcpy(to + at, from + at, k_word); };
  copy_word(0);
  if (bytes > 2 * k_word) {
    copy_word(k_word);
    copy_word(bytes - 2 * k_word);
  }
  copy_word(bytes - k_word);
}

/// As `to.assign(from)`, where `from` is no part of `to`, with less ado.
inline void assign_bytes(std::string& to, std::string_view from) {
  if (to.size() == from.size()) {
    std::memcpy(to.data(), from.data(), from.size());
    return;
  }
  // What the library of GCC 12 hands over as the size may be the capacity.
  to.resize_and_overwrite(from.size(), [from](char* bytes, std::size_t) noexcept {
    std::memcpy(bytes, from.data(), from.size());
    return from.size();
  });
}

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace actable::base
