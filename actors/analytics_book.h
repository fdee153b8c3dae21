#pragma once

#include "actors/monitor.h"
#include "actors/sample_pool.h"
#include "actors/tally.h"
#include "store/store_core.h"

#include <actable/analytics.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
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
  static constexpr std::size_t k_slowest_max = 64;

  /// For `writers` actors. What is known is of the last one to two `window`s.
  AnalyticsBook(std::shared_ptr<store::StoreCore> store, std::size_t writers, std::chrono::nanoseconds window);

  /// Of `every` operations one is looked at from now on; 0: none.
  void sample(unsigned every) noexcept { store_->sampler().look_at(every); }

  /// Has the threads' unfinished batches taken up too.
  void collect() noexcept { store_->collect_samples(); }
  /// Enters the batches that there are, its share of all that there may be at
  /// most, and says how many. For the actor of that number. Where it throws, for
  /// lack of memory, what the actor entered in this window is lost.
  std::size_t enter(std::size_t writer, base::TimePoint now = base::Clock::now());

  /// Batches entered so far that were full.
  [[nodiscard]] std::uint64_t full_batches() const noexcept { return full_batches_.load(std::memory_order_relaxed); }

  /// As `SamplePool::wake_with`, and when there is a new monitor.
  void wake_with(std::function<bool()> wake) { pool_->wake_with(std::move(wake)); }
  /// As `SamplePool::wake_at`.
  void wake_at(std::size_t batches) noexcept { pool_->wake_at(batches); }

  [[nodiscard]] Analytics report(base::TimePoint now = base::Clock::now()) const;

  /// From now on the monitor is shown what is entered, until it is over.
  void show(std::shared_ptr<Monitor> monitor);
  /// Forgets the monitors that are over, and says whether there are others.
  [[nodiscard]] bool monitored();

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
    /// The number of the window that `now` is of; `before` is of the one before it.
    std::uint64_t window = 0;
    std::array<std::uint64_t, k_operations> ever{};
  };

  /// Windows are the same for all pages, counted from the beginning.
  [[nodiscard]] std::uint64_t window_at(base::TimePoint now) const noexcept;
  void turn(Page& page, std::uint64_t window) const;
  void show(const store::SampleBatch& batch);

  const std::shared_ptr<store::StoreCore> store_;
  const std::chrono::nanoseconds window_;
  const base::TimePoint began_ = base::Clock::now();
  const std::shared_ptr<SamplePool> pool_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::atomic<std::uint64_t> full_batches_{0};
  std::mutex monitors_mutex_;
  std::vector<std::shared_ptr<Monitor>> monitors_;
  std::atomic<bool> monitored_{false};
  std::atomic<bool> closed_{false};
};

}  // namespace actable::actors
