#pragma once

#include "base/simulation.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace actable::store {

/// Keeps what is written to a number of bytes per second, over any time that is not
/// very short: it may be ahead by one burst, and by what was written at once.
/// The token bucket, counted in time.
///
/// Thread safety: *confined*.
class Pace {
 public:
  using Duration = base::Clock::duration;
  /// What was not used does not count for longer.
  static constexpr std::chrono::milliseconds k_burst{50};

  /// Nothing is behind it.
  void begin(base::TimePoint now) noexcept { free_at_ = now; }

  /// So much was written; 0 bytes per second: without limit.
  void spent(std::uint64_t bytes, std::uint64_t bytes_per_second, base::TimePoint now) noexcept {
    if (bytes_per_second == 0) return;
    const std::chrono::duration<double> takes(static_cast<double>(bytes) / static_cast<double>(bytes_per_second));
    free_at_ = std::max<base::TimePoint>(free_at_, now - k_burst) + std::chrono::duration_cast<Duration>(takes);
  }

  /// For how long nothing may be written.
  [[nodiscard]] Duration pause(base::TimePoint now) const noexcept { return std::max(Duration{0}, free_at_ - now); }

 private:
  base::TimePoint free_at_{};
};

}  // namespace actable::store
