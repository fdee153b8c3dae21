#pragma once

#include "benchmarks/histogram.h"
#include "benchmarks/runner.h"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace bench {

/// What one actor did, in ticks of the clock.
struct ActorDid {
  std::uint64_t ops = 0;
  std::uint64_t began = 0;
  std::uint64_t ended = 0;
  Histogram latency{};
};

/// What the actors of one run and the thread that waits for them have in common.
///
/// Thread safety: *synchronized*.
class ActorRun {
 public:
  explicit ActorRun(std::size_t actors) : running_(actors) {}

  /// Set at the end of the run's time, or when one has failed: whoever looks
  /// begins nothing more.
  [[nodiscard]] const std::atomic<bool>& stop() const noexcept { return stop_; }

  /// One of the actors has come to its end; each says so once, or fails.
  void ended(ActorDid did);
  void failed(const std::string& what);

  /// Returns when all have ended, what they did together; `duration_s` above 0
  /// ends them. Throws `Failure` with what the first that failed said, and
  /// `Interrupted`.
  [[nodiscard]] Outcome finish(double duration_s, const std::function<void(double seconds)>& waiting);

 private:
  [[nodiscard]] bool all_ended_soon();

  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable all_ended_;
  std::size_t running_;
  std::vector<ActorDid> did_;
  std::string failure_;
};

}  // namespace bench
