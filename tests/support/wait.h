#pragma once

#include <chrono>
#include <functional>
#include <string_view>

/// Waiting for conditions. Nothing here sleeps for a fixed time.
namespace actable::test {

/// Returns as soon as `condition` holds; throws when it does not within a minute.
void until(std::string_view what, const std::function<bool()>& condition);

/// True as soon as `condition` holds, false when it does not within `limit`.
/// The limit bounds a failure; a success takes only as long as it must.
[[nodiscard]] bool eventually(std::chrono::microseconds limit, const std::function<bool()>& condition);

/// True when `condition` held all through that time. Looks without pause.
[[nodiscard]] bool stays(std::chrono::milliseconds time, const std::function<bool()>& condition);

}  // namespace actable::test
