#include "examples/packages/updates.h"

#include <charconv>
#include <system_error>

namespace packages {

namespace {
constexpr std::string_view k_prefix = "update ";
}  // namespace

void make_update(std::uint64_t number, std::string_view stanza, std::string& value) {
  value.assign(k_prefix);
  value += std::to_string(number);
  value += '\n';
  value += stanza;
}

std::optional<std::uint64_t> update_number(std::string_view value, std::string_view stanza) {
  if (value == stanza) return k_update_none;
  if (!value.starts_with(k_prefix) || !value.ends_with(stanza)) return std::nullopt;
  const std::string_view digits = value.substr(k_prefix.size(), value.size() - stanza.size() - k_prefix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end + 1 != digits.data() + digits.size() || *end != '\n') return std::nullopt;
  return number;
}

}  // namespace packages
