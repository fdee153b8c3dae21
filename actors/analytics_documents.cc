#include "actors/debug_documents.h"

#include <algorithm>
#include <cstddef>
#include <utility>

/// Analytics as the debug protocol has them.
namespace actable::actors {
namespace {

using debug::Bytes;
using debug::Document;
using List = Document::List;
using Map = Document::Map;

[[nodiscard]] Document document_of(const Analytics::Key& key) {
  return Map{{"space", key.space}, {"key", Bytes{key.shown}}, {"bytes", key.bytes}};
}

[[nodiscard]] Map latency_of(const LatencyHistogram& histogram) {
  return Map{{"samples", histogram.count()},
             {"p50_ns", histogram.quantile(0.5).count()},
             {"p90_ns", histogram.quantile(0.9).count()},
             {"p99_ns", histogram.quantile(0.99).count()},
             {"p999_ns", histogram.quantile(0.999).count()},
             {"max_ns", histogram.max().count()}};
}

/// Nothing where there was no such operation.
void add_operation(List& list, OperationKind kind, const Analytics::OperationStats& stats) {
  if (stats.count == 0) return;
  list.push_back(Map{{"operation", to_string(kind)},
                     {"count", stats.count},
                     {"per_second", stats.per_second},
                     {"successful", stats.successful},
                     {"latency", latency_of(stats.latency)}});
}

}  // namespace

Document document_of(const Analytics& analytics) {
  List operations, ever, hot, pairs, slowest;
  for (std::size_t i = 0; i < k_operations; ++i) {
    const auto kind = static_cast<OperationKind>(i);
    add_operation(operations, kind, analytics.operations[i]);
    ever.push_back(Map{{"operation", to_string(kind)}, {"count", analytics.operations_ever[i]}});
  }
  for (const Analytics::HotKey& key : analytics.hot_keys) {
    hot.push_back(Map{{"key", document_of(key.key)}, {"count", key.count}, {"error", key.error}});
  }
  for (const Analytics::KeyPair& pair : analytics.key_pairs) {
    pairs.push_back(Map{{"first", document_of(pair.first)},
                        {"second", document_of(pair.second)},
                        {"count", pair.count},
                        {"error", pair.error}});
  }
  for (const Analytics::SlowOperation& slow : analytics.slowest) {
    slowest.push_back(Map{{"operation", to_string(slow.operation)},
                          {"key", document_of(slow.key)},
                          {"latency_ns", slow.latency.count()},
                          {"ago_ns", slow.ago.count()}});
  }
  return Map{{"sample_every", analytics.sample_every},
             {"period_ns", analytics.period.count()},
             {"samples", analytics.samples},
             {"samples_dropped", analytics.samples_dropped},
             {"read_share", analytics.read_share},
             {"operations", std::move(operations)},
             {"operations_ever", std::move(ever)},
             {"hot_keys", std::move(hot)},
             {"hot_keys_missed_max", analytics.hot_keys_missed_max},
             {"key_pairs", std::move(pairs)},
             {"slowest", std::move(slowest)},
             {"key_bytes", List(analytics.key_bytes.begin(), analytics.key_bytes.end())},
             {"value_bytes", List(analytics.value_bytes.begin(), analytics.value_bytes.end())},
             {"reuse_distance", List(analytics.reuse_distance.begin(), analytics.reuse_distance.end())},
             {"reuse_none", analytics.reuse_none}};
}

Document document_of(const store::Sample& sample, const std::string& space) {
  return Map{{"operation", to_string(sample.operation)}, {"space", space},
             {"key", Bytes{std::string(sample.key())}},  {"key_bytes", sample.key_bytes},
             {"value_bytes", sample.value_bytes},        {"latency_ns", sample.latency.count()},
             {"successful", sample.successful}};
}

}  // namespace actable::actors
