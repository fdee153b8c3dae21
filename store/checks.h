#pragma once

#include <actable/options.h>
#include <actable/result.h>

#include <new>
#include <string_view>
#include <utility>

/// What is refused before anything is touched.
namespace actable::store {

[[nodiscard]] Result<void> check_options(const Options& options);
[[nodiscard]] Result<void> check_space_name(std::string_view name);

/// Messages of the rare side; the frequent side only compares sizes.
[[nodiscard]] std::unexpected<Error> bad_key(std::string_view key);
[[nodiscard]] std::unexpected<Error> bad_value(std::string_view value);
[[nodiscard]] std::unexpected<Error> no_place_for_thread();
[[nodiscard]] std::unexpected<Error> no_memory(std::string_view what) noexcept;

[[nodiscard]] inline bool key_fits(std::string_view key) noexcept {
  return !key.empty() && key.size() <= k_key_bytes_max;
}
[[nodiscard]] inline bool value_fits(std::string_view value) noexcept { return value.size() <= k_value_bytes_max; }

/// Runs the rare side of the public face, where memory running out is a value
/// and no exception. `what` says for what.
template <class F>
[[nodiscard]] auto guarded(std::string_view what, F&& f) -> decltype(f()) {
  try {
    return std::forward<F>(f)();
  } catch (const std::bad_alloc&) {
    return no_memory(what);
  }
}

}  // namespace actable::store
