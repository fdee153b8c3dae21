#pragma once

#include "benchmarks/engine.h"
#include "benchmarks/runner.h"
#include "benchmarks/settings.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

/// One benchmark on one engine, as it is printed and written to files.
///
/// Thread safety: *confined*.
struct Result {
  std::string_view benchmark;
  std::string_view engine;
  unsigned threads;
  Durability durability;
  /// Counts from 1 to `--repeat`.
  unsigned run;
  std::uint64_t ops;
  double seconds;
  double ops_per_s;
  /// Keys and values that went in or out; 1 MB is 10^6 bytes.
  double mb_per_s;
  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;
  double max_ns = 0;
  /// Puts of the thread beside the readers; 0 where there is none.
  double writer_ops_per_s = 0;
  /// From the last operation until all was on disk, where the engine can tell.
  double settle_s = 0;
  /// To close, where closing is a part of the benchmark.
  double close_s = 0;
  /// Memory beyond key and value, as the engine accounts for it.
  std::optional<double> bytes_per_key_own{};
  /// The same by the growth of the process's resident memory.
  std::optional<double> bytes_per_key_rss{};

  /// The engine's own account where there is one.
  [[nodiscard]] std::optional<double> bytes_per_key() const {
    return bytes_per_key_own ? bytes_per_key_own : bytes_per_key_rss;
  }
};

/// Rates and quantiles of an outcome.
[[nodiscard]] Result result_of(const Outcome& outcome, const Workload& workload, const Settings& settings);

}  // namespace bench
