#pragma once

#include "actors/sample_pool.h"
#include "actors/tally.h"
#include "store/store_core.h"

#include <actable/analytics.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace actable::actors {

/// What the analytics know, and the batches of samples on their way to them:
/// outside of the analytics' actors, so that their crash loses nothing.
///
/// Thread safety: *synchronized*.
class AnalyticsBook {
 public:
  /// Batches on their way at once: 4 MiB of samples.
  static constexpr std::size_t k_batches_max = 256;
  static constexpr std::size_t k_listed_max = 128;

  /// For `writers` actors. What is known is of the last one to two `window`s.
  AnalyticsBook(std::shared_ptr<store::StoreCore> store, std::size_t writers, std::chrono::nanoseconds window);

  /// Of `every` operations one is looked at from now on; 0: none.
  void sample(unsigned every) noexcept { store_->sampler().look_at(every); }

  /// Has the threads' unfinished batches taken up too.
  void collect() noexcept { store_->collect_samples(); }
  /// Enters all batches that there are, and says how many. For the actor of that
  /// number. Where it throws, for lack of memory, what the actor entered in this
  /// window is lost.
  std::size_t enter(std::size_t writer);

  [[nodiscard]] Analytics report() const;

  /// The store is closed: gives back the memory of samples.
  void close() noexcept;
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

 private:
  /// What one actor has entered. Each has its own, so that none waits for the
  /// others; `mutex` is for reports.
  struct Page {
    std::mutex mutex{};
    std::unique_ptr<Tally> now{};
    std::unique_ptr<Tally> before{};
    base::TimePoint now_since{};
    base::TimePoint before_since{};
    std::array<std::uint64_t, k_operations> ever{};
  };

  void turn(Page& page, base::TimePoint now) const;

  const std::shared_ptr<store::StoreCore> store_;
  const std::chrono::nanoseconds window_;
  const std::shared_ptr<SamplePool> pool_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::atomic<bool> closed_{false};
};

}  // namespace actable::actors
