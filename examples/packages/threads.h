#pragma once

#include <actable/result.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <vector>

namespace packages {

/// Threads that load, read and write: one for each core, two at least, so that
/// there is something to race with.
[[nodiscard]] inline unsigned worker_threads() { return std::clamp(std::thread::hardware_concurrency(), 2U, 64U); }

/// Calls `work(thread number)` on that many threads, from 0, and waits for all.
/// Returns the first failure, if any.
template <class Work>
[[nodiscard]] actable::Result<void> in_threads(unsigned threads, Work work) {
  std::mutex mutex;
  actable::Result<void> first;
  {
    std::vector<std::jthread> running;
    for (unsigned t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        const actable::Result<void> result = work(t);
        if (result) return;
        const std::lock_guard lock(mutex);
        if (first) first = result;
      });
    }
  }
  return first;
}

}  // namespace packages
