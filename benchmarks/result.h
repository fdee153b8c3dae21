#pragma once

#include "benchmarks/engine.h"
#include "benchmarks/runner.h"
#include "benchmarks/settings.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

/// Parts of all operations, from the quickest to the slowest, at which a curve
/// of latency has its points.
inline constexpr std::array k_curve_fractions = {0.0,  0.1,  0.25,  0.5,   0.75,   0.9,    0.95,
                                                 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999};
using LatencyCurve = std::array<double, k_curve_fractions.size()>;

/// One benchmark on one engine, as it is printed and written to files.
///
/// Thread safety: *confined*.
struct Result {
  std::string_view benchmark;
  std::string_view engine;
  unsigned threads;
  /// Beside them, where readers are measured under writes.
  unsigned writers = 0;
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
  /// At `k_curve_fractions`.
  LatencyCurve curve_ns{};
  /// Rate of the slowest thread as a part of the fastest one's.
  double fairness = 1;
  /// Puts of the threads beside the readers; 0 where there is none.
  double writer_ops_per_s = 0;
  double writer_fairness = 1;
  /// From the last operation until all was on disk, where the engine can tell.
  double settle_s = 0;
  /// To close, where closing is a part of the benchmark; the median of several.
  double close_s = 0;
  /// Of what was opened: bytes in its files that there were to read, and the part of
  /// them that the system's cache held before.
  std::optional<std::uint64_t> opened_bytes{};
  std::optional<double> opened_cached{};
  /// Longest that a write was seen not to be on disk yet.
  std::optional<double> durable_lag_max_s{};
  /// What the engine handed to the disk, up to when all was on disk.
  std::optional<std::uint64_t> written_bytes{};
  /// Writes that had to wait because the disk was behind.
  std::optional<std::uint64_t> waits{};
  /// Checkpoints that were written meanwhile, where there are actors for it.
  std::optional<std::uint64_t> checkpoints{};
  /// Most memory that was seen, beyond what lay there before the engine was
  /// opened, what was drawn beforehand, and the engine's data: its own account
  /// of it where there is one, else keys and values.
  std::optional<double> beyond_live_max_bytes{};
  /// Processors that were busy, as an idle store has them.
  std::optional<double> cpu_cores{};
  /// Memory beyond key and value, as the engine accounts for it.
  std::optional<double> bytes_per_key_own{};
  /// The same by the growth of the process's resident memory.
  std::optional<double> bytes_per_key_rss{};

  /// What was written per second, 1 MB being 10^6 bytes, until all was on disk.
  [[nodiscard]] std::optional<double> written_mb_per_s() const {
    if (!written_bytes) return std::nullopt;
    return static_cast<double>(*written_bytes) / (seconds + settle_s) / 1e6;
  }

  /// Bytes of files a second that an opening took, 1 MB being 10^6 bytes.
  [[nodiscard]] std::optional<double> opened_mb_per_s() const {
    if (!opened_bytes) return std::nullopt;
    return static_cast<double>(*opened_bytes) / seconds / 1e6;
  }

  /// The engine's own account where there is one.
  [[nodiscard]] std::optional<double> bytes_per_key() const {
    return bytes_per_key_own ? bytes_per_key_own : bytes_per_key_rss;
  }
};

/// Rates and quantiles of an outcome.
[[nodiscard]] Result result_of(const Outcome& outcome, const Workload& workload, const Settings& settings);

}  // namespace bench
