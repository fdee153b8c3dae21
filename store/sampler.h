#pragma once

#include "base/simulation.h"

#include <actable/analytics.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

/// Looks at a few of the operations, for those who want to know what a store is
/// used for.
///
/// A thread counts its operations down; only the one at 0 is timed and written
/// into the thread's own batch. So what an operation pays is one subtraction and
/// a branch that is foretold. Samples come in *runs* of four operations in a
/// row, so that it is seen which keys are used together; the gaps between runs
/// are random, so that no rhythm of the program's goes unseen.
///
/// *States of a batch:* empty (the sink's) → a thread's → full (the sink's) →
/// empty. Whoever works on a thread's batch, the thread or `collect`, has first
/// taken its address out of the thread's place by an exchange with null, and so
/// is the only one who has it; the place holds null or a batch that nobody works
/// on. A thread that finds null asks the sink for an empty one. So nobody waits
/// for anybody.
namespace actable::store {

/// An operation that was looked at.
struct Sample {
  static constexpr std::size_t k_shown_bytes_max = 83;

  /// When it was over, by `base::Clock`.
  std::chrono::nanoseconds::rep time = 0;
  std::uint64_t hash = 0;
  std::uint32_t space = 0;
  /// Operations that it stands for.
  std::uint32_t weight = 0;
  std::chrono::duration<std::uint32_t, std::nano> latency{};
  std::uint32_t value_bytes = 0;
  std::uint16_t key_bytes = 0;
  /// Of `shown`.
  std::uint8_t shown_bytes = 0;
  OperationKind operation = OperationKind::get;
  /// It found or changed something.
  bool successful = false;
  /// It read or wrote a value.
  bool has_value = false;
  /// The first of a run.
  bool begins_run = false;
  /// The key's first bytes.
  std::array<char, k_shown_bytes_max> shown;

  [[nodiscard]] std::string_view key() const noexcept { return {shown.data(), shown_bytes}; }
};

struct SampleBatch {
  static constexpr std::size_t k_capacity = 127;
  std::size_t count = 0;
  std::array<Sample, k_capacity> samples;
};

/// Where batches come from and go to.
///
/// Thread safety: *synchronized*; called by threads in the middle of an
/// operation of the user's, so it waits for nobody, but for such short locks as it takes
/// to wake somebody.
class SampleSink {
 public:
  SampleSink() = default;
  virtual ~SampleSink() = default;
  SampleSink(const SampleSink&) = delete;
  SampleSink& operator=(const SampleSink&) = delete;

  /// Takes a batch that has something in it, unless it is null, and gives an
  /// empty one, or null when there is none.
  [[nodiscard]] virtual SampleBatch* exchange(SampleBatch* full) noexcept = 0;
  /// Takes a batch, empty or not.
  virtual void take(SampleBatch* batch) noexcept = 0;
  /// A sample for which there was no batch.
  virtual void dropped() noexcept = 0;
};

/// What a thread has of it.
///
/// Thread safety: *confined* to its thread, but for `batch`.
struct SamplingState {
  /// Operations before the one that is looked at.
  std::int32_t before_next = 0;
  /// Samples that the run lacks, and what each stands for; 0 while no run is ahead.
  std::uint32_t run_left = 0;
  std::uint32_t weight = 0;
  /// 0: not begun.
  std::uint64_t random = 0;
  std::atomic<SampleBatch*> batch{nullptr};
};

/// Thread safety: *synchronized*.
class Sampler {
 public:
  static constexpr unsigned k_run = 4;
  static constexpr unsigned k_every_max = 1U << 20;
  /// Operations after which a thread that samples nothing looks whether it is to.
  static constexpr std::int32_t k_look_again = 4'096;

  /// Once. `sink` is kept as long as the sampler.
  void start(std::shared_ptr<SampleSink> sink) noexcept {
    owned_sink_ = std::move(sink);
    // release: whoever sees it sees the whole sink.
    sink_.store(owned_sink_.get(), std::memory_order_release);
  }

  /// One operation of `every` (1 to `k_every_max`) on average, 0: none. A thread
  /// follows when it comes to its next sample, or after `k_look_again` operations
  /// where there were none.
  void look_at(unsigned every) noexcept { every_.store(every, std::memory_order_relaxed); }
  /// 0 before `start`.
  [[nodiscard]] unsigned every() const noexcept {
    // acquire: pairs with `start`, for `add`.
    return sink_.load(std::memory_order_acquire) == nullptr ? 0 : every_.load(std::memory_order_relaxed);
  }

  /// Gives the sink what the thread of that state has gathered. Any thread.
  void collect(SamplingState& state) noexcept;

 private:
  friend class SampledCall;
  friend class SampledOperation;

  /// The countdown is over. False when nothing is to be looked at, and the
  /// countdown begins again.
  [[nodiscard]] bool begin(SamplingState& state) const noexcept;
  /// After a sample: counts down to the next one.
  void next(SamplingState& state) const noexcept;
  /// Counts down to the next run.
  void next_run(SamplingState& state, unsigned every) const noexcept;
  void add(SamplingState& state, const Sample& sample) noexcept;
  void drop() noexcept { sink_.load(std::memory_order_acquire)->dropped(); }

  std::shared_ptr<SampleSink> owned_sink_;
  std::atomic<SampleSink*> sink_{nullptr};
  std::atomic<unsigned> every_{0};
};

/// An operation whose turn to be looked at may have come: its thread's countdown
/// is over. What it was is taken down beforehand, for the caller may have lent
/// the key from where the value is read to. One that fails is no sample; those in
/// functions of the user's that the store calls meanwhile are counted like any.
///
/// Thread safety: *confined*.
class SampledOperation {
 public:
  struct What {
    OperationKind operation;
    std::uint32_t space;
    std::uint64_t hash;
    std::string_view key;
  };
  struct Outcome {
    bool successful;
    std::optional<std::size_t> value_bytes;
  };

  SampledOperation(Sampler& sampler, SamplingState& state, const What& what) noexcept;

  void succeeded(const Outcome& outcome) noexcept;

 private:
  Sampler& sampler_;
  SamplingState& state_;
  const bool active_;
  Sample sample_;
  base::TimePoint begin_{};
};

/// A call of several operations that brings the countdown to its end: the same
/// for those of them whose turn it is. Their latency is that of the call.
///
/// Thread safety: *confined*.
class SampledCall {
 public:
  /// Of one call no more than so many are taken; the others are dropped.
  static constexpr std::size_t k_samples_max = 128;

  using What = SampledOperation::What;
  using Outcome = SampledOperation::Outcome;

  /// Of a call of so many operations, more than `before_next`; `what(i)` says
  /// what the one at place i is.
  template <class F>
  SampledCall(Sampler& sampler, SamplingState& state, std::size_t operations, F&& what) noexcept
      : sampler_(sampler), state_(state) {
    auto at = static_cast<std::size_t>(state.before_next);
    if (!sampler.begin(state)) return;
    for (; at < operations; at += static_cast<std::size_t>(state.before_next) + 1) {
      take(at, what(at));
      sampler.next(state);
    }
    state.before_next = static_cast<std::int32_t>(at - operations);
    begin_ = base::Clock::now();
  }

  /// `outcome(i)` says what came of the one at place i.
  template <class F>
  void succeeded(F&& outcome) noexcept {
    const base::TimePoint end = base::Clock::now();
    for (const Place& place : places_) add(place, end, outcome(place.at));
  }

 private:
  struct Place {
    std::size_t at;
    Sample sample;
  };
  void take(std::size_t at, const What& what) noexcept;
  void add(const Place& place, base::TimePoint end, const Outcome& outcome) noexcept;

  Sampler& sampler_;
  SamplingState& state_;
  std::vector<Place> places_;
  base::TimePoint begin_{};
};

}  // namespace actable::store
