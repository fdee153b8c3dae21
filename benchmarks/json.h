#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bench {

/// What a field can be; `monostate` is null.
using Scalar = std::variant<std::monostate, std::string, double, std::uint64_t>;

struct Field {
  std::string_view name;
  Scalar value;
};

using Record = std::vector<Field>;

/// A string with quotes, and what JSON does not allow in it escaped.
[[nodiscard]] inline std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      result += escape;
    } else {
      result += c;
    }
  }
  return result + "\"";
}

/// Nine digits: more than any of the figures has.
[[nodiscard]] inline std::string number_text(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

[[nodiscard]] inline std::string json_scalar(const Scalar& scalar) {
  if (const auto* text = std::get_if<std::string>(&scalar)) return json_string(*text);
  if (const auto* real = std::get_if<double>(&scalar)) return number_text(*real);
  if (const auto* whole = std::get_if<std::uint64_t>(&scalar)) return std::to_string(*whole);
  return "null";
}

[[nodiscard]] inline std::string json_object(const Record& record) {
  std::string text = "{";
  for (const Field& field : record) {
    text += (text.size() > 1 ? ", " : "") + json_string(field.name) + ": " + json_scalar(field.value);
  }
  return text + "}";
}

/// One object a line.
[[nodiscard]] inline std::string json_array(const std::vector<Record>& records) {
  std::string text = "[";
  for (const Record& record : records) text += (text.size() > 1 ? ",\n    " : "\n    ") + json_object(record);
  return text + "\n  ]";
}

}  // namespace bench
