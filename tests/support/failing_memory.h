#pragma once

#include "tests/support/allocations.h"

#include <cstdint>

namespace actable::test {

/// While it lives the calling thread's `nth` allocation (1: the next) fails, and
/// with `for_good` all that follow it.
///
/// Thread safety: *confined*; one at a time.
class FailingMemory {
 public:
  explicit FailingMemory(std::uint64_t nth, bool for_good = false) noexcept {
    allocations::reset();
    allocations::fail(nth, for_good);
    allocations::count_thread(true);
  }
  ~FailingMemory() {
    allocations::count_thread(false);
    allocations::heal();
  }
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  /// True when an allocation has failed.
  [[nodiscard]] bool failed() const noexcept { return allocations::failed() != 0; }
};

}  // namespace actable::test
