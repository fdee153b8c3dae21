#pragma once

#include <bit>
#include <cstddef>
#include <string_view>

namespace actable::base {

/// The UTF-8 sequence at the front of some bytes, which are at least one.
struct CodePoint {
  /// 0: the sequence is malformed (overlong, a surrogate, cut off, out of range).
  std::size_t bytes;
  char32_t value;
};

[[nodiscard]] inline CodePoint first_code_point(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = static_cast<std::size_t>(std::countl_one(lead));
  if (bytes < 2 || bytes > 4 || text.size() < bytes) return {0, 0};
  char32_t value = lead & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    value = value << 6 | (byte(i) & 0x3fU);
  }
  constexpr char32_t k_least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < k_least[bytes] || value > 0x10ffff || surrogate) return {0, 0};
  return {bytes, value};
}

[[nodiscard]] constexpr bool is_control(char32_t value) noexcept {
  return value < 0x20 || (value >= 0x7f && value < 0xa0);
}

/// True where the bytes are UTF-8 from end to end.
[[nodiscard]] inline bool is_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    if (point.bytes == 0) return false;
    bytes.remove_prefix(point.bytes);
  }
  return true;
}

/// True where the bytes are UTF-8 without control characters.
[[nodiscard]] inline bool is_plain_text(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    if (point.bytes == 0 || is_control(point.value)) return false;
    bytes.remove_prefix(point.bytes);
  }
  return true;
}

}  // namespace actable::base
