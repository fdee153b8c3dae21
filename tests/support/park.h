#pragma once

#include "base/park.h"

#include <exception>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

namespace actable::test {

/// A thread that does some work and is stopped at a named step of it. A test
/// has one at a time; every test that uses one asserts that it did stop.
///
/// Thread safety: *confined* to the test.
class ParkedThread {
 public:
  /// Returns when the thread has stopped at `point`, which it comes to for the
  /// `nth` time, or has ended without coming there.
  ParkedThread(std::string_view point, unsigned nth, std::function<void()> work) {
    base::park::arm(point, nth);
    thread_ = std::jthread([this, work = std::move(work)] {
      base::park::volunteer(true);
      try {
        work();
      } catch (...) {
        failure_ = std::current_exception();
      }
      base::park::volunteer(false);
      base::park::give_up();
    });
    stopped_ = base::park::wait_until_parked();
  }
  ~ParkedThread() { base::park::release(); }
  ParkedThread(const ParkedThread&) = delete;
  ParkedThread& operator=(const ParkedThread&) = delete;

  /// False when the thread did its work without coming to the step.
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

  /// Lets the thread go and waits until it has ended. Throws what its work threw.
  void resume() {
    base::park::release();
    if (thread_.joinable()) thread_.join();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  bool stopped_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;
};

}  // namespace actable::test
