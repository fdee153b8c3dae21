#pragma once

#include "base/simulation.h"

#include <actable/options.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace actable::store {

/// When a checkpoint is due: the rules of `Options::checkpoint_interval` and
/// `checkpoint_log_percent`, and, after one that failed, later each time.
///
/// Thread safety: *external*.
class CheckpointSchedule {
 public:
  CheckpointSchedule(const Options& options, base::TimePoint now)
      : interval_(options.checkpoint_interval),
        log_percent_(options.checkpoint_log_percent),
        log_bytes_min_(options.checkpoint_log_bytes_min),
        ended_at_(now) {}

  enum class Ended : std::uint8_t { done, failed, cancelled };

  /// After so long a failed one is tried again; doubled by each failure that follows.
  /// After one that was cancelled, the longest time.
  static constexpr std::chrono::seconds k_retry{1};
  static constexpr std::chrono::seconds k_retry_max{300};

  /// `covering`: the newest write of which the pass is sure to find what became.
  void began(Seq covering) noexcept { covering_ = covering; }
  void ended(Ended how, base::TimePoint now) noexcept {
    ended_at_ = now;
    switch (how) {
      case Ended::done:
        covered_ = covering_;
        failures_ = 0;
        return;
      case Ended::failed:
        failures_ = std::min(failures_ + 1, k_failures_max);
        return;
      case Ended::cancelled:
        failures_ = k_failures_max;
    }
  }

  /// Somebody else has written a checkpoint of all that there is.
  void replaced(base::TimePoint now) noexcept {
    covered_ = std::max<Seq>(covered_, 1);
    failures_ = 0;
    ended_at_ = now;
  }

  /// `newest`: the number of the last write that the log has.
  [[nodiscard]] bool changed(Seq newest) const noexcept { return newest > covered_; }

  /// `data_bytes` is called only where it matters: what a checkpoint would take.
  template <class DataBytes>
  [[nodiscard]] bool due(Seq newest, std::uint64_t log_bytes, DataBytes data_bytes, base::TimePoint now) const {
    if (!changed(newest)) return false;
    const auto since = now - ended_at_;
    if (failures_ != 0 && since < backoff()) return false;
    // One that failed is still due.
    if (failures_ != 0) return true;
    if (interval_.count() != 0 && since >= interval_) return true;
    return log_percent_ != 0 && log_bytes >= log_bytes_min_ && log_bytes >= log_bytes_max(data_bytes());
  }

  /// The log's length at which one becomes due, where that depends on its length.
  [[nodiscard]] std::uint64_t log_bytes_max(std::uint64_t data_bytes) const noexcept {
    // Whole hundredths: no product of the two can be too large.
    return std::max(log_bytes_min_, data_bytes / 100 * log_percent_);
  }

 private:
  [[nodiscard]] base::Clock::duration backoff() const noexcept {
    return std::min<base::Clock::duration>(k_retry * (1U << (failures_ - 1)), k_retry_max);
  }

  // Whose time would be longer than the longest.
  static constexpr unsigned k_failures_max = 10;

  const std::chrono::milliseconds interval_;
  const unsigned log_percent_;
  const std::uint64_t log_bytes_min_;
  Seq covered_ = 0;
  Seq covering_ = 0;
  unsigned failures_ = 0;
  base::TimePoint ended_at_;
};

}  // namespace actable::store
