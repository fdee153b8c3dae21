#pragma once

#include "benchmarks/engine.h"
#include "benchmarks/histogram.h"
#include "benchmarks/progress.h"
#include "benchmarks/random.h"
#include "benchmarks/settings.h"
#include "benchmarks/workload.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace bench {

/// What the threads of a workload measured.
struct Outcome {
  std::uint64_t ops = 0;
  /// From the first thread's start to the last one's end.
  double seconds = 0;
  /// In ticks of the clock; of calls, which have several operations in
  /// multiread.
  Histogram latency{};
  /// Rate of the slowest thread as a part of the fastest one's.
  double fairness = 1;
  /// Puts of the threads beside the readers, and their fairness.
  std::uint64_t writer_ops = 0;
  double writer_fairness = 1;
  /// Largest that was seen while the threads ran, where the engine tells.
  std::optional<double> durable_lag_max_s{};
  /// Most memory of the process that was seen, without that of the plans.
  std::uint64_t resident_max = 0;
};

/// The smallest of some rates as a part of the largest; 1 where there is none.
[[nodiscard]] double fairness_of(std::span<const double> rates);

/// What `Runner` is to do.
struct Job {
  const Workload& workload;
  Durability durability;
  /// For the progress line.
  std::string label;
  /// At the rate asked for, if one was; loading and checking are not.
  bool measured = true;
};

/// Runs workloads on engines: threads, plans, start together, end.
///
/// Thread safety: *confined*.
class Runner {
 public:
  Runner(const Settings& settings, Progress& progress);

  /// Throws `Failure` when a thread failed and `Interrupted` when that happened;
  /// all threads have ended by then.
  [[nodiscard]] Outcome run(Engine& engine, const Job& job);

  /// For those who run something without it.
  [[nodiscard]] Progress& progress() noexcept { return progress_; }

 private:
  const Zipf* zipf_for(const Workload& workload);

  const Settings& settings_;
  Progress& progress_;
  std::string noise_;
  std::optional<Zipf> zipf_;
};

}  // namespace bench
