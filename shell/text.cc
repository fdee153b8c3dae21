#include "shell/text.h"

#include "base/utf8.h"
#include "debug/printable.h"
#include "shell/words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>

namespace shell {
namespace {

using actable::debug::Document;
namespace debug = actable::debug;

constexpr std::string_view k_digits = "0123456789abcdef";

[[nodiscard]] std::string with_decimals(double number, int decimals) {
  std::array<char, 64> text;
  const int bytes = std::snprintf(text.data(), text.size(), "%.*f", decimals, number);
  return {text.data(), static_cast<std::size_t>(bytes)};
}

/// One decimal, but for what has three digits before the point.
[[nodiscard]] std::string short_number(double number) { return with_decimals(number, number < 99.95 ? 1 : 0); }

[[nodiscard]] std::string json_number(double number) {
  // JSON has no others.
  if (!std::isfinite(number)) return "null";
  std::array<char, 32> text;
  const int bytes = std::snprintf(text.data(), text.size(), "%.17g", number);
  return {text.data(), static_cast<std::size_t>(bytes)};
}

/// A value that is one whole document of msgpack, and not by chance: a single
/// number is one byte of nearly any kind.
[[nodiscard]] std::optional<Document> as_msgpack(std::string_view value) {
  constexpr debug::DocumentLimits k_limits{.depth_max = 64, .elements_max = 1 << 20, .fields_max = 4'096};
  auto document = debug::unpack(value, k_limits);
  if (!document) return std::nullopt;
  return *std::move(document);
}

[[nodiscard]] bool is_text(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const auto point = actable::base::first_code_point(bytes);
    const bool white = point.value == '\n' || point.value == '\t' || point.value == '\r';
    if (point.bytes == 0 || (actable::base::is_control(point.value) && !white)) return false;
    bytes.remove_prefix(point.bytes);
  }
  return true;
}

[[nodiscard]] std::string cut_text(std::string_view text, std::size_t bytes_max, std::size_t value_bytes) {
  std::string shown = debug::printable(debug::cut(text, bytes_max), debug::White::lines_and_tabs);
  if (text.size() > bytes_max) shown += "... (" + count_text(value_bytes) + " bytes)";
  return shown;
}

}  // namespace

std::string count_text(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> k_units{" B", " KiB", " MiB", " GiB", " TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < k_units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return (unit == 0 ? with_decimals(bytes, 0) : short_number(bytes)) + k_units[unit];
}

std::string time_text(double microseconds) {
  if (microseconds > 0 && microseconds < 1) return with_decimals(microseconds * 1e3, 0) + " ns";
  if (microseconds < 1'000) return with_decimals(microseconds, 0) + " us";
  if (microseconds < 1e6) return short_number(microseconds / 1e3) + " ms";
  if (microseconds < 120e6) return short_number(microseconds / 1e6) + " s";
  if (microseconds < 2 * 3600e6) return with_decimals(microseconds / 60e6, 0) + " min";
  if (microseconds < 2 * 86400e6) return short_number(microseconds / 3600e6) + " h";
  return short_number(microseconds / 86400e6) + " days";
}

std::string rate_text(double per_second) {
  if (per_second < 1'000) return with_decimals(per_second, per_second < 10 ? 1 : 0) + " /s";
  if (per_second < 1e6) return short_number(per_second / 1e3) + " k/s";
  return short_number(per_second / 1e6) + " M/s";
}

std::string percent_text(double share) { return with_decimals(share * 100, 1) + " %"; }

std::string bar_text(double done, double all) {
  constexpr std::size_t k_bar = 30;
  const double share = std::min(1.0, done / all);
  std::string bar(static_cast<std::size_t>(share * k_bar), '#');
  bar.resize(k_bar, '.');
  return "[" + bar + "] " + percent_text(share);
}

std::string hex_text(std::string_view bytes, std::size_t bytes_max) {
  std::string text;
  for (const char c : bytes.substr(0, bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    text += {k_digits[byte >> 4], k_digits[byte & 0xf]};
  }
  if (bytes.size() > bytes_max) text += "... (" + count_text(bytes.size()) + " bytes)";
  return text;
}

std::string key_text(std::string_view shown, std::uint64_t bytes) {
  std::string text = as_word(shown);
  if (bytes > shown.size()) text += "... of " + bytes_text(static_cast<double>(bytes));
  return text;
}

std::string value_text(std::string_view value, ValueView view, std::size_t bytes_max) {
  if (view == ValueView::hex) return hex_text(value, bytes_max);
  if (view == ValueView::text || (view == ValueView::automatic && is_text(value))) {
    return cut_text(value, bytes_max, value.size());
  }
  const auto document = as_msgpack(value);
  const bool container =
      document && (document->as<Document::List>() != nullptr || document->as<Document::Map>() != nullptr);
  if (container || (document && view == ValueView::json))
    return cut_text(json_text(*document), bytes_max, value.size());
  return hex_text(value, bytes_max);
}

std::string json_string(std::string_view text) {
  const std::string utf8 = debug::as_utf8(text);
  std::string json = "\"";
  for (std::string_view rest = utf8; !rest.empty();) {
    const auto point = actable::base::first_code_point(rest);
    const std::string_view sequence = rest.substr(0, point.bytes);
    if (sequence == "\"" || sequence == "\\") {
      json.append("\\").append(sequence);
    } else if (actable::base::is_control(point.value)) {
      json += {'\\', 'u', '0', '0', k_digits[point.value >> 4], k_digits[point.value & 0xf]};
    } else {
      json += sequence;
    }
    rest.remove_prefix(point.bytes);
  }
  return json + '"';
}

std::string json_text(const Document& document) {
  if (document.null()) return "null";
  if (const auto* value = document.as<bool>()) return *value ? "true" : "false";
  if (const auto* value = document.as<std::int64_t>()) return std::to_string(*value);
  if (const auto* value = document.as<std::uint64_t>()) return std::to_string(*value);
  if (const auto* value = document.as<double>()) return json_number(*value);
  if (const auto* value = document.as<std::string>()) return json_string(*value);
  if (const auto* value = document.as<debug::Bytes>()) {
    if (actable::base::is_utf8(value->bytes)) return json_string(value->bytes);
    return "{\"hex\": " + json_string(hex_text(value->bytes, value->bytes.size())) + "}";
  }
  std::string json;
  if (const auto* list = document.as<Document::List>()) {
    for (const Document& element : *list) json += (json.empty() ? "" : ", ") + json_text(element);
    return "[" + json + "]";
  }
  for (const Document::Field& field : document.map()) {
    json += (json.empty() ? "" : ", ") + json_string(field.name) + ": " + json_text(field.value);
  }
  return "{" + json + "}";
}

}  // namespace shell
