#pragma once

#include "benchmarks/machine.h"
#include "benchmarks/result.h"
#include "benchmarks/settings.h"

#include <string>
#include <vector>

/// What the program prints for people.
namespace bench {

/// What the benchmark itself costs an operation, measured on an engine that
/// does nothing.
struct EmptyLoop {
  double get_ns;
  double put_ns;
};

[[nodiscard]] std::string header_text(const Machine& machine, const Settings& settings, const EmptyLoop& empty_loop);

/// One line: micros/op (of a thread), ops/sec, MB/s, latency, memory.
[[nodiscard]] std::string result_line(const Result& result);

/// Median and spread of several runs of one benchmark on one engine.
struct Summary {
  std::string_view benchmark;
  std::string_view engine;
  unsigned threads;
  unsigned writers;
  Durability durability;
  std::size_t runs;
  double ops_per_s_median;
  double ops_per_s_min;
  double ops_per_s_max;
  /// Of the runs' own quantiles.
  double p50_ns_median;
  double p99_ns_median;
  double p999_ns_median;
  /// Of the runs' own curves, point by point.
  LatencyCurve curve_ns_median;

  /// Largest less smallest rate, as a part of the median.
  [[nodiscard]] double spread() const noexcept { return (ops_per_s_max - ops_per_s_min) / ops_per_s_median; }
};

/// One for each benchmark on each engine, in the order of the first run.
[[nodiscard]] std::vector<Summary> summarize(const std::vector<Result>& results);

[[nodiscard]] std::string summary_line(const Summary& summary);

}  // namespace bench
