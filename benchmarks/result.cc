#include "benchmarks/result.h"

#include "benchmarks/clock.h"
#include "benchmarks/disk_probe.h"

#include <algorithm>

namespace bench {

namespace {

/// Bytes that one call of a kind carries in or out.
double payload_bytes(Kind kind, const Settings& settings) {
  const auto key = static_cast<double>(settings.key_bytes), value = static_cast<double>(settings.value_bytes);
  switch (kind) {
    case Kind::read:
      return key + value;
    case Kind::put:
      return key + value;
    case Kind::read_modify_write:
      return 2 * (key + value);
    case Kind::read_missing:
      return key;
    case Kind::erase:
      return key;
  }
  return 0;
}

double payload_bytes(const Workload& workload, const Settings& settings) {
  switch (workload.task) {
    case Task::operations:
    case Task::recovery_from_log:
    case Task::recovery_from_checkpoint:
      break;
    case Task::opening:
    case Task::idling:
      return 0;
    case Task::disk_writes:
    case Task::disk_reads:
      return k_disk_write_bytes;
    case Task::disk_syncs:
      return k_disk_sync_bytes;
  }
  if (workload.order == Order::pairs) {
    return (payload_bytes(Kind::put, settings) + payload_bytes(Kind::erase, settings)) / 2;
  }
  const double reads = workload.reads_percent / 100.0;
  return reads * payload_bytes(workload.read, settings) + (1 - reads) * payload_bytes(workload.write, settings);
}

LatencyCurve curve_of(const Histogram& latency) {
  LatencyCurve curve{};
  for (std::size_t i = 0; i < curve.size(); ++i) curve[i] = Clock::get().ns(latency.quantile(k_curve_fractions[i]));
  return curve;
}

}  // namespace

Result result_of(const Outcome& outcome, const Workload& workload, const Settings& settings) {
  const Clock& clock = Clock::get();
  const auto ops = static_cast<double>(outcome.ops);
  const double seconds = std::max(outcome.seconds, 1e-9);
  return {.benchmark = workload.name,
          .engine = {},
          // However many threads checked a recovery: opening is one call.
          .threads = workload.task == Task::operations ? settings.threads : 1,
          .writers = workload.writer_beside ? settings.writers : 0,
          .durability = settings.durability,
          .run = 1,
          .ops = outcome.ops,
          .seconds = seconds,
          .ops_per_s = ops / seconds,
          .mb_per_s = ops * payload_bytes(workload, settings) / seconds / 1e6,
          .p50_ns = clock.ns(outcome.latency.quantile(0.5)),
          .p99_ns = clock.ns(outcome.latency.quantile(0.99)),
          .p999_ns = clock.ns(outcome.latency.quantile(0.999)),
          .max_ns = clock.ns(outcome.latency.max()),
          .curve_ns = curve_of(outcome.latency),
          .fairness = outcome.fairness,
          .writer_ops_per_s = static_cast<double>(outcome.writer_ops) / seconds,
          .writer_fairness = outcome.writer_fairness,
          .durable_lag_max_s = outcome.durable_lag_max_s};
}

}  // namespace bench
