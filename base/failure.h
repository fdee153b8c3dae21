#pragma once

#include <actable/result.h>

#include <concepts>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace actable::base {

/// An error whose message `text` makes. Callers act on the code, so it must
/// come through where there is no memory for the message: that is then one
/// short enough to need none.
template <std::invocable Text>
[[nodiscard]] Error make_error(ErrorCode code, Text&& text) noexcept {
  try {
    return {code, std::forward<Text>(text)()};
  } catch (const std::bad_alloc&) {
    return {code, "(no memory)"};
  }
}

/// As `fail`, with an error from `make_error`.
template <std::invocable Text>
[[nodiscard]] std::unexpected<Error> failure(ErrorCode code, Text&& text) noexcept {
  return std::unexpected(make_error(code, std::forward<Text>(text)));
}

[[nodiscard]] inline std::unexpected<Error> failure(ErrorCode code, std::string_view text) noexcept {
  return failure(code, [text] { return std::string(text); });
}

}  // namespace actable::base
