#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace bench {

/// Hashes and compares `std::string` keys by view, so that a look-up makes no
/// string. It is not `noexcept` on purpose: libstdc++ then keeps each node's
/// hash and does not hash the neighbours again as it walks a bucket.
struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};

}  // namespace bench
