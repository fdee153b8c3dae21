#pragma once

#include <actable/space.h>

#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>

namespace service {

/// Admits so many requests of each subject in each second of the clock. Whom to
/// count as one is the caller's: the service counts logins by user, and what comes
/// after by session.
///
/// Counters in a space that is in memory only: `add` is atomic, so any number of
/// actors may ask at the same time, on any thread, without a message. A counter
/// is of one subject in one second; those of earlier seconds are swept away now and
/// then. Around the turn of a second a subject may have twice as many.
///
/// Thread safety: *synchronized*; a copy has the same counters.
class Limiter {
 public:
  using Clock = std::chrono::system_clock;

  Limiter(actable::Space counters, std::int64_t requests_per_second_max)
      : counters_(std::move(counters)), requests_per_second_max_(requests_per_second_max) {}

  /// False when the subject has had its share. Fails as `Space::add`.
  [[nodiscard]] actable::Result<bool> admit(std::string_view subject, Clock::time_point now);

  /// Removes the counters of earlier seconds; returns how many. Fails as
  /// `Cursor::next` and `Space::erase`.
  [[nodiscard]] actable::Result<std::uint64_t> sweep(Clock::time_point now);

 private:
  actable::Space counters_;
  std::int64_t requests_per_second_max_;
};

}  // namespace service
