#pragma once

#include "tests/support/results.h"

#include <barrier>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace actable::test {

/// Runs `work(0)` to `work(threads - 1)`, each on its own thread, from one
/// starting shot, and joins them. Throws what the first failing one threw.
inline void together(unsigned threads, const std::function<void(unsigned)>& work) {
  std::barrier start(static_cast<std::ptrdiff_t>(threads));
  std::mutex mutex;
  std::exception_ptr first;
  {
    std::vector<std::jthread> crew;
    for (unsigned i = 0; i < threads; ++i) {
      crew.emplace_back([&, i] {
        try {
          start.arrive_and_wait();
          work(i);
        } catch (...) {
          const std::scoped_lock hold(mutex);
          if (!first) first = std::current_exception();
        }
      });
    }
  }
  if (first) std::rethrow_exception(first);
}

/// Runs `work` on a thread of its own and joins it. Throws what it threw.
inline void on_another_thread(const std::function<void()>& work) {
  together(1, [&work](unsigned) { work(); });
}

}  // namespace actable::test
