#pragma once

#include "benchmarks/clock.h"
#include "benchmarks/engine.h"
#include "benchmarks/histogram.h"
#include "benchmarks/keys.h"
#include "benchmarks/plan.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// In a closed loop timing every operation would be a good part of what is
/// measured: two readings of the clock take 20 to 50 ns, and each makes the
/// processor finish all that it has begun, where it otherwise looks ahead into
/// the next operation, so that each costs two of them their overlap. At one in
/// 67 gets took 7 % longer than at one in 1,009 (docs/measurements.md). A
/// prime, so that no rhythm of the plan (a put, an erase, a put) hides from it.
inline constexpr std::uint64_t k_sample_every = 251;

/// How a thread goes through its plan.
struct WorkerOptions {
  /// Operations to do; the plan is repeated as often as it takes.
  std::uint64_t limit;
  /// Ticks between the intended starts of two operations; 0: closed loop.
  double pace_ticks = 0;
  /// Ticks to the first intended start, so that threads take turns.
  double delay_ticks = 0;
  /// Time one operation in `k_sample_every`, else each. In an open loop each is
  /// timed.
  bool samples = true;
  /// Keys of one `multi_get`; 0: one key a call.
  std::size_t batch = 0;
  /// Operations that are handed over together, as the session wishes it; the
  /// latency is then that of all of them. 1: each alone.
  std::size_t together = 1;
  std::size_t key_bytes;
  std::size_t value_bytes;
};

/// Does what a plan says on a session, and measures it. Every value that is
/// read is checked.
///
/// Thread safety: *confined* to the thread that runs it, but for `done`.
class Worker {
 public:
  /// `noise` outlives the worker and is at least a value long.
  Worker(WorkerOptions options, std::unique_ptr<Session> session, Plan plan, std::string_view noise);

  /// Returns at the limit or soon after `stop` is set. Throws `Failure` when
  /// the engine fails or returns wrong data.
  void run(const std::atomic<bool>& stop);

  /// The same in turns, for those who have not a thread to themselves: once
  /// `begin`, then `advance` until it returns false, which is when there is
  /// nothing left to do. It does so many operations at least, if there are.
  void begin();
  [[nodiscard]] bool advance(const std::atomic<bool>& stop, std::uint64_t operations);

  /// Operations done so far, behind by some dozens while running. Any thread
  /// may ask.
  [[nodiscard]] std::uint64_t done() const noexcept { return published_.load(std::memory_order_relaxed); }

  /// The following hold once `run` has returned, or `advance` with false.
  [[nodiscard]] const Histogram& latency() const noexcept { return latency_; }
  [[nodiscard]] std::uint64_t began() const noexcept { return began_; }
  [[nodiscard]] std::uint64_t ended() const noexcept { return ended_; }

  /// Memory that what was drawn beforehand takes.
  [[nodiscard]] std::uint64_t plan_bytes() const noexcept { return plan_.steps().size_bytes(); }

 private:
  std::size_t prepare();
  void run_sampled(std::size_t count);
  void run_timed(std::size_t count);
  void run_paced(std::size_t count);
  void run_batch(std::size_t count);
  void run_together(std::size_t count);
  void hand_over();
  void expect_results();
  void apply(std::size_t slot);
  void apply_each(std::size_t first, std::size_t end);
  void expect_value(std::size_t slot);
  void wait_until(std::uint64_t intended) const;
  [[noreturn]] void fail(std::size_t slot, std::string_view what) const;

  WorkerOptions options_;
  std::unique_ptr<Session> session_;
  Plan plan_;
  const Clock& clock_;
  KeyBlock block_;
  /// Of what is prepared, slot by slot.
  const Step* steps_ = nullptr;
  /// Where the engine takes several operations together: what they are, of
  /// which slot each is, and where gets leave what they found, slot by slot.
  std::vector<Call> calls_;
  std::vector<std::size_t> call_slots_;
  std::vector<std::string> results_;
  std::vector<std::string_view> batch_keys_;
  std::vector<std::optional<std::string>> batch_values_;
  std::string value_;
  std::size_t position_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t until_sample_ = 0;
  std::uint64_t began_ = 0;
  std::uint64_t ended_ = 0;
  double intended_ = 0;
  Histogram latency_;
  /// On a line of its own: another thread reads it for the progress line.
  alignas(64) std::atomic<std::uint64_t> published_{0};
};

}  // namespace bench
