#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Text from elsewhere as it can be passed on: a peer, a file name or a value
/// may hold any bytes.
///
/// Thread safety: pure functions.
namespace actable::debug {

/// UTF-8: bytes that are none as \xNN.
[[nodiscard]] std::string as_utf8(std::string_view bytes);

/// What a printable text may keep of white space.
enum class White { none, lines_and_tabs };

/// UTF-8 that does nothing to a terminal or to the lines of a log: control
/// characters (C0, C1 and DEL, new lines among them unless they are kept) and
/// bytes that are no UTF-8 as \xNN.
[[nodiscard]] std::string printable(std::string_view bytes, White kept = White::none);

/// No more than so many of the bytes, and no half of a character.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t bytes_max) noexcept;

}  // namespace actable::debug
