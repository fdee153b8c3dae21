#pragma once

#include "base/file.h"

#include <actable/result.h>

#include <memory>

namespace actable::base {

/// Requests that one queue may be asked to have in flight.
inline constexpr unsigned k_uring_in_flight_max = 4096;

/// A queue on the kernel's io_uring: requests run beside the submitter, and one
/// system call starts many. Files without a descriptor (simulated ones) are
/// written by their own `write` and `sync`, before `submit_*` returns.
///
/// Requests reach the kernel at the latest with the next `wait`. Needs Linux
/// 5.11; registers memory from 5.19 on, as far as the limit on locked memory
/// (`ulimit -l`) allows, and writes from unregistered memory otherwise.
///
/// Fails with
///   unsupported       the kernel has no io_uring, an older one, or has it
///                     switched off for this process
///   invalid_argument  `in_flight_max` is 0 or above `k_uring_in_flight_max`
///   no_memory         the kernel has no memory for the rings, or the limit on
///                     locked memory is too low even for them
///   io_error          anything else, such as too many open files
[[nodiscard]] Result<std::unique_ptr<WriteQueue>> make_uring_queue(unsigned in_flight_max = 256);

}  // namespace actable::base
