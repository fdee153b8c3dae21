#pragma once

#include "tests/support/results.h"

#include <barrier>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

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

/// Has the calling thread do `work` when it ends, after all its `thread_local` objects
/// and what others keep for it under keys, unless they put that off too. `work` throws
/// nothing.
inline void at_the_very_end(std::function<void()> work) {
  struct Last {
    std::function<void()> work;
    pthread_key_t key{};
    bool others_first = true;
  };
  auto last = std::make_unique<Last>(Last{std::move(work)});
  const auto end = [](void* kept) {
    std::unique_ptr<Last> mine(static_cast<Last*>(kept));
    // In the next round of calls all others have had their turn.
    if (std::exchange(mine->others_first, false) && pthread_setspecific(mine->key, mine.get()) == 0) {
      (void)mine.release();
      return;
    }
    mine->work();
    (void)pthread_key_delete(mine->key);
  };
  if (pthread_key_create(&last->key, end) != 0 || pthread_setspecific(last->key, last.get()) != 0) {
    throw std::runtime_error("the system has no key for the end of a thread");
  }
  (void)last.release();
}

/// Runs `work` on a thread of its own and joins it. Throws what it threw.
inline void on_another_thread(const std::function<void()>& work) {
  together(1, [&work](unsigned) { work(); });
}

}  // namespace actable::test
