#pragma once

#include "tests/lab/history/operation.h"
#include "tests/lab/leg.h"

#include "base/bytes.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace actable::lab::history {

/// The bytes that stand for a value: the number's eight, as a counter has them,
/// and behind an odd number a tail that the number determines, so that a value
/// mixed of two is noticed.
[[nodiscard]] inline std::string encode(Id id) {
  std::string bytes(sizeof id, '\0');
  base::store_le<std::uint64_t>(reinterpret_cast<std::byte*>(bytes.data()), static_cast<std::uint64_t>(id));
  if (is_counter(id)) return bytes;
  const std::uint64_t mixed = static_cast<std::uint64_t>(id) * 0x9e3779b97f4a7c15;
  bytes.append(1 + (mixed >> 56), static_cast<char>(mixed >> 48));
  return bytes;
}

/// The number back. Throws `Found` when the bytes are no value as a whole.
[[nodiscard]] inline Id decode(std::string_view bytes) {
  require(bytes.size() >= sizeof(Id), "a value of " + std::to_string(bytes.size()) + " bytes, which nobody wrote");
  const auto id = static_cast<Id>(base::load_le<std::uint64_t>(reinterpret_cast<const std::byte*>(bytes.data())));
  require(bytes == encode(id), "a value that is not whole: it begins as " + std::to_string(id));
  return id;
}

}  // namespace actable::lab::history
