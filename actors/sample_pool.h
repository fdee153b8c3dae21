#pragma once

#include "store/sampler.h"

#include <concurrentqueue.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>

namespace actable::actors {

/// Carries batches of samples from the threads that take them to the analytics'
/// actors, and the empty ones back. There are so many batches and no more. When
/// none is empty, because the actors are behind or too many threads have one, the
/// next samples are dropped, and counted.
///
/// Thread safety: *synchronized*.
class SamplePool final : public store::SampleSink {
 public:
  explicit SamplePool(std::size_t batches_max) : batches_max_(batches_max) {}
  /// What threads still have is theirs no more.
  ~SamplePool() override { clear(); }

  [[nodiscard]] store::SampleBatch* exchange(store::SampleBatch* full) noexcept override;
  void take(store::SampleBatch* batch) noexcept override;
  void dropped() noexcept override { drop(1); }

  /// Gives the batch back empty.
  struct Recycle {
    SamplePool* pool;
    void operator()(store::SampleBatch* batch) const noexcept { pool->recycle(batch); }
  };
  using Full = std::unique_ptr<store::SampleBatch, Recycle>;
  /// A batch with something in it, or null.
  [[nodiscard]] Full next_full() noexcept;

  /// From now on `wake` is called as `wake_at` says; where it throws, or says that it
  /// could not wake all, the next full batch has it called again. Empty: nobody is
  /// called, nor still being called. It is to wait for nobody, but for the short lock
  /// of the queue of CAF's scheduler.
  void wake_with(std::function<bool()> wake);
  /// Has the thread that brings a full batch, with which so many or more wait, wake
  /// the actors, once. Who calls this and then finds nothing by `next_full` need not
  /// look again until he is woken.
  void wake_at(std::size_t batches) noexcept;
  /// Wakes the actors.
  void wake() noexcept;

  /// Frees what no thread has.
  void clear() noexcept;

  [[nodiscard]] std::uint64_t dropped_samples() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  using Queue = moodycamel::ConcurrentQueue<store::SampleBatch*>;
  static constexpr std::size_t k_never = std::numeric_limits<std::size_t>::max();

  [[nodiscard]] store::SampleBatch* next_empty() noexcept;
  void recycle(store::SampleBatch* batch) noexcept;
  void drop(std::size_t samples) noexcept { dropped_.fetch_add(samples, std::memory_order_relaxed); }

  const std::size_t batches_max_;
  std::atomic<std::size_t> batches_{0};
  std::atomic<std::uint64_t> dropped_{0};
  Queue full_;
  Queue empty_;
  // What `full_` holds, and at how many the actors are woken. seq_cst, both: whoever
  // brings a batch counts it and then looks at how many it takes; whoever is about to
  // rest says how many it takes and then looks at how many there are. One of them
  // sees the other. Where a batch is taken out before it is counted, the count is one
  // too low for that moment.
  std::atomic<std::size_t> waiting_{0};
  std::atomic<std::size_t> wake_at_{k_never};
  std::mutex wake_mutex_;
  std::function<bool()> wake_;
};

}  // namespace actable::actors
