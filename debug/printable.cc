#include "debug/printable.h"

#include "base/utf8.h"

#include <algorithm>
#include <cstddef>

namespace actable::debug {
namespace {

void escape(std::string& into, std::string_view bytes) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    into += {'\\', 'x', k_digits[byte >> 4], k_digits[byte & 0xf]};
  }
}

/// The text with those code points escaped, and what is none.
template <class Escaped>
[[nodiscard]] std::string rewritten(std::string_view bytes, Escaped&& escaped) {
  std::string text;
  while (!bytes.empty()) {
    const base::CodePoint point = base::first_code_point(bytes);
    const std::string_view sequence = bytes.substr(0, std::max<std::size_t>(1, point.bytes));
    if (point.bytes == 0 || escaped(point.value)) {
      escape(text, sequence);
    } else {
      text += sequence;
    }
    bytes.remove_prefix(sequence.size());
  }
  return text;
}

}  // namespace

std::string as_utf8(std::string_view bytes) {
  return rewritten(bytes, [](char32_t) { return false; });
}

std::string printable(std::string_view bytes, White kept) {
  return rewritten(bytes, [kept](char32_t value) {
    const bool white = kept == White::lines_and_tabs && (value == '\n' || value == '\t');
    return base::is_control(value) && !white;
  });
}

std::string_view cut(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max) return text;
  const auto inside = [text](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80; };
  // A character has three bytes behind its first at most: what has more is no text.
  for (std::size_t back = 0; back <= 3 && back <= bytes_max; ++back) {
    if (!inside(bytes_max - back)) return text.substr(0, bytes_max - back);
  }
  return text.substr(0, bytes_max);
}

}  // namespace actable::debug
