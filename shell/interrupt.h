#pragma once

#include <atomic>
#include <chrono>

namespace shell {

/// Set by Ctrl-C; the command that sees it ends, and the shell goes on.
inline constinit std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

/// Has Ctrl-C set the flag, and end calls that wait.
void catch_interrupts();

/// Waits so long. False when it was interrupted, or `descriptor` has something to
/// read or was closed (-1: none).
[[nodiscard]] bool wait_for(std::chrono::milliseconds time, int descriptor = -1);

}  // namespace shell
