#pragma once

#include "debug/document.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Figures and bytes as people read them.
namespace shell {

/// "1,234,567"
[[nodiscard]] std::string count_text(std::uint64_t count);
/// "1.5 MiB"; plain bytes below 1 KiB.
[[nodiscard]] std::string bytes_text(double bytes);
/// "85 ns", "12 us", "3.4 ms", "2.0 s", "5 min"
[[nodiscard]] std::string time_text(double microseconds);
/// "12.3 k/s"
[[nodiscard]] std::string rate_text(double per_second);
[[nodiscard]] std::string percent_text(double share);
/// "[######....] 60.0 %": so much is done of `all`, which is not 0.
[[nodiscard]] std::string bar_text(double done, double all);

/// Bytes as pairs of hexadecimal digits, no more than so many bytes of them.
[[nodiscard]] std::string hex_text(std::string_view bytes, std::size_t bytes_max);

/// A key of so many bytes, of which `shown` are the first: in quotes where they
/// need them, and how long it is where that is not all of it.
[[nodiscard]] std::string key_text(std::string_view shown, std::uint64_t bytes);

/// How a value is to be shown.
enum class ValueView { automatic, text, hex, json };
/// Text where it is text, else JSON where it is msgpack, else hexadecimal; or as
/// it was asked for. No more than so many bytes of it, and says how many it has.
[[nodiscard]] std::string value_text(std::string_view value, ValueView view, std::size_t bytes_max);

/// A string of JSON. Control characters as \u00NN, those too that JSON would
/// allow; bytes that are no UTF-8 as the text \xNN.
[[nodiscard]] std::string json_string(std::string_view text);

/// JSON. Bytes that are UTF-8 become a string, others {"hex": "..."}.
[[nodiscard]] std::string json_text(const actable::debug::Document& document);

}  // namespace shell
