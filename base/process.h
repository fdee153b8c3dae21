#pragma once

#include <sys/types.h>

namespace actable::base {

/// True when the process is no more, or is dead and not yet waited for. It may then
/// still hold locks: writes that it left in flight do, as long as the disk needs for
/// them. False for 0, and where that cannot be told.
[[nodiscard]] bool has_died(pid_t process) noexcept;

}  // namespace actable::base
