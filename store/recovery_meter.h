#pragma once

#include "base/simulation.h"

#include <actable/options.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>

namespace actable::store {

/// How far an opening has come, for `Options::progress`.
///
/// Thread safety: *synchronized*, but for `expect`, which comes first, and `finish`, which
/// comes last.
class RecoveryMeter {
 public:
  /// `tell` is empty or outlives it.
  explicit RecoveryMeter(const std::function<void(const RecoveryProgress&)>& tell) : tell_(tell) {}

  /// There is so much more to be read.
  void expect(std::uint64_t bytes) noexcept { total_ += bytes; }

  /// So much more was read. Tells, some ten times a second.
  void pass(std::uint64_t bytes);

  /// All is read, what was expected and is not there included. Tells.
  void finish();

 private:
  void tell(std::uint64_t read, base::TimePoint now) const;

  const std::function<void(const RecoveryProgress&)>& tell_;
  const base::TimePoint began_at_ = base::Clock::now();
  std::uint64_t total_ = 0;
  // relaxed: a number alone.
  std::atomic<std::uint64_t> read_{0};
  // Held by the one who tells.
  std::mutex telling_;
  base::TimePoint told_at_ = began_at_;
};

}  // namespace actable::store
