#include "benchmarks/result_files.h"

#include "benchmarks/clock.h"
#include "benchmarks/json.h"

#include <ostream>

namespace bench {

namespace {

template <class T>
Scalar or_null(const std::optional<T>& value) {
  return value ? Scalar(*value) : Scalar();
}

std::string text(std::string_view view) { return std::string(view); }

std::string joined(const std::vector<const Workload*>& workloads) {
  std::string names;
  for (const Workload* workload : workloads) names += (names.empty() ? "" : ",") + text(workload->name);
  return names;
}

Record record_of(const Machine& machine, const EmptyLoop& empty_loop) {
  return {{"processor", machine.processor},
          {"cores", std::uint64_t{machine.cores}},
          {"l3_bytes", machine.cache_bytes},
          {"memory_bytes", machine.memory_bytes},
          {"kernel", machine.kernel},
          {"huge_pages", machine.huge_pages},
          {"load", machine.load},
          {"file_system", machine.file_system},
          {"compiler", machine.compiler},
          {"build_type", machine.build_type},
          {"date", machine.date},
          {"version", ACTABLE_BENCH_VERSION},
          {"clock", text(Clock::get().name())},
          {"clock_reading_ns", Clock::get().reading_ns()},
          {"empty_get_ns", empty_loop.get_ns},
          {"empty_put_ns", empty_loop.put_ns}};
}

Record record_of(const Settings& settings) {
  const char* distribution = settings.distribution == Distribution::uniform ? "uniform"
                             : settings.distribution == Distribution::zipf  ? "zipf"
                                                                            : "by_benchmark";
  return {{"benchmarks", joined(settings.benchmarks)},
          {"num", std::uint64_t{settings.num}},
          {"ops", settings.ops != 0 ? settings.ops : std::uint64_t{settings.num}},
          {"threads", std::uint64_t{settings.threads}},
          {"writers", std::uint64_t{settings.writers}},
          {"key_size", std::uint64_t{settings.key_bytes}},
          {"value_size", std::uint64_t{settings.value_bytes}},
          {"distribution", distribution},
          {"batch", std::uint64_t{settings.batch_of(*find_workload("multiread"))}},
          {"rate", settings.rate},
          {"duration_s", settings.duration_s},
          {"durability", text(to_string(settings.durability))},
          {"due_checkpoints", std::uint64_t{settings.due_checkpoints ? 1u : 0u}},
          {"repeat", std::uint64_t{settings.repeat}},
          {"seed", settings.seed}};
}

Record record_of(const EngineKind& engine) {
  return {{"name", text(engine.name)}, {"about", engine.about}, {"log", std::uint64_t{engine.has_log ? 1u : 0u}}};
}

Record record_of(const Result& result) {
  return {{"benchmark", text(result.benchmark)},
          {"engine", text(result.engine)},
          {"threads", std::uint64_t{result.threads}},
          {"writers", std::uint64_t{result.writers}},
          {"run", std::uint64_t{result.run}},
          {"ops", result.ops},
          {"seconds", result.seconds},
          {"ops_per_s", result.ops_per_s},
          {"mb_per_s", result.mb_per_s},
          {"p50_ns", result.p50_ns},
          {"p99_ns", result.p99_ns},
          {"p999_ns", result.p999_ns},
          {"max_ns", result.max_ns},
          {"bytes_per_key", or_null(result.bytes_per_key())},
          {"bytes_per_key_own", or_null(result.bytes_per_key_own)},
          {"bytes_per_key_rss", or_null(result.bytes_per_key_rss)},
          {"durability", text(to_string(result.durability))},
          {"fairness", result.fairness},
          {"writer_ops_per_s", result.writer_ops_per_s},
          {"writer_fairness", result.writer_fairness},
          {"settle_s", result.settle_s},
          {"close_s", result.close_s},
          {"opened_bytes", or_null(result.opened_bytes)},
          {"opened_mb_per_s", or_null(result.opened_mb_per_s())},
          {"opened_cached", or_null(result.opened_cached)},
          {"durable_lag_max_s", or_null(result.durable_lag_max_s)},
          {"written_bytes", or_null(result.written_bytes)},
          {"written_mb_per_s", or_null(result.written_mb_per_s())},
          {"waits", or_null(result.waits)},
          {"checkpoints", or_null(result.checkpoints)},
          {"beyond_live_max_bytes", or_null(result.beyond_live_max_bytes)},
          {"cpu_cores", or_null(result.cpu_cores)}};
}

Record record_of(const Summary& summary) {
  return {{"benchmark", text(summary.benchmark)},
          {"engine", text(summary.engine)},
          {"threads", std::uint64_t{summary.threads}},
          {"durability", text(to_string(summary.durability))},
          {"runs", std::uint64_t{summary.runs}},
          {"ops_per_s_median", summary.ops_per_s_median},
          {"ops_per_s_min", summary.ops_per_s_min},
          {"ops_per_s_max", summary.ops_per_s_max},
          {"spread", summary.spread()},
          {"p50_ns_median", summary.p50_ns_median},
          {"p99_ns_median", summary.p99_ns_median},
          {"p999_ns_median", summary.p999_ns_median}};
}

template <class Range>
std::vector<Record> records_of(const Range& range) {
  std::vector<Record> records;
  for (const auto& item : range) records.push_back(record_of(item));
  return records;
}

/// None of the texts among the fields has a comma or a quote in it.
std::string csv_scalar(const Scalar& scalar) {
  if (const auto* name = std::get_if<std::string>(&scalar)) return *name;
  return std::holds_alternative<std::monostate>(scalar) ? std::string{} : json_scalar(scalar);
}

}  // namespace

void write_json(std::ostream& out, const Machine& machine, const Settings& settings, const EmptyLoop& empty_loop,
                const std::vector<Result>& results) {
  std::vector<Record> engine_records;
  for (const EngineKind* engine : settings.engines) engine_records.push_back(record_of(*engine));
  out << "{\n  \"machine\": " << json_object(record_of(machine, empty_loop))
      << ",\n  \"settings\": " << json_object(record_of(settings)) << ",\n  \"engines\": " << json_array(engine_records)
      << ",\n  \"results\": " << json_array(records_of(results))
      << ",\n  \"summaries\": " << json_array(records_of(summarize(results))) << "\n}\n";
}

void write_csv(std::ostream& out, const std::vector<Result>& results) {
  const char* separator = "";
  for (const Field& field : record_of(Result{})) {
    out << separator << field.name;
    separator = ",";
  }
  out << '\n';
  for (const Result& result : results) {
    separator = "";
    for (const Field& field : record_of(result)) {
      out << separator << csv_scalar(field.value);
      separator = ",";
    }
    out << '\n';
  }
}

}  // namespace bench
