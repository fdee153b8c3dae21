#include "benchmarks/report.h"

#include "benchmarks/clock.h"
#include "benchmarks/worker.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace bench {

namespace {

__attribute__((format(printf, 1, 2))) std::string formatted(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

std::string duration_text(double ns) {
  if (ns < 10'000) return formatted("%.0f ns", ns);
  if (ns < 10e6) return formatted("%.1f us", ns / 1e3);
  if (ns < 10e9) return formatted("%.1f ms", ns / 1e6);
  return formatted("%.1f s", ns / 1e9);
}

std::string bytes_text(std::uint64_t bytes) {
  const auto mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 2'048 ? formatted("%.0f MiB", mebibytes) : formatted("%.0f GiB", mebibytes / 1'024);
}

std::string counted(unsigned number, const char* what) {
  return formatted("%u %s%s", number, what, number == 1 ? "" : "s");
}

/// "readrandom       [actable, 1 thread]       :", as a result and a summary begin.
template <class Measured>
std::string line_begin(const Measured& measured) {
  const Workload* workload = find_workload(measured.benchmark);
  const char* who = workload != nullptr && workload->of_actors() ? "actor" : "thread";
  std::string where = std::string(measured.engine) + ", " + counted(measured.threads, who);
  if (measured.writers > 0) where += " + " + counted(measured.writers, "writer");
  where = "[" + where + "]";
  return formatted("%-16s %-24s : ", std::string(measured.benchmark).c_str(), where.c_str());
}

std::string entry(const char* name, const std::string& text) { return formatted("%-12s", name) + text + "\n"; }

std::string workload_text(const Settings& settings) {
  const char* distribution = settings.distribution == Distribution::uniform ? "uniform"
                             : settings.distribution == Distribution::zipf  ? "zipf 0.99"
                                                                            : "uniform (ycsb: zipf 0.99)";
  return formatted("%u of %zu bytes, values of %zu bytes; %s; seed %llu", settings.num, settings.key_bytes,
                   settings.value_bytes, distribution, static_cast<unsigned long long>(settings.seed));
}

std::string run_text(const Settings& settings) {
  std::string text = formatted("%u thread%s, ", settings.threads, settings.threads == 1 ? "" : "s");
  text += settings.rate > 0 ? formatted("open loop of %.0f ops/s", settings.rate) : "closed loop";
  if (settings.duration_s > 0) {
    text += formatted(", %g s each", settings.duration_s);
  } else if (settings.ops != 0) {
    text += formatted(", %llu operations each", static_cast<unsigned long long>(settings.ops));
  }
  return text + (settings.repeat > 1 ? formatted(", %u rounds of all engines", settings.repeat) : "");
}

std::string latency_text(const Settings& settings, const EmptyLoop& empty_loop) {
  const Clock& clock = Clock::get();
  const bool samples = settings.rate <= 0 && settings.durability != Durability::sync;
  const std::string which =
      samples ? "1 operation in " + std::to_string(k_sample_every) + " (fillsync: each)" : "every operation";
  return formatted("%.*s, %.0f ns a reading, %s timed; the empty loop takes %.1f ns a get, %.1f ns a put, not deducted",
                   static_cast<int>(clock.name().size()), clock.name().data(), clock.reading_ns(), which.c_str(),
                   empty_loop.get_ns, empty_loop.put_ns);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

template <class Member>
double median_of(const std::vector<const Result*>& runs, Member member) {
  std::vector<double> values;
  for (const Result* run : runs) values.push_back(run->*member);
  return median(std::move(values));
}

LatencyCurve curve_of(const std::vector<const Result*>& runs) {
  LatencyCurve curve{};
  for (std::size_t i = 0; i < curve.size(); ++i) {
    std::vector<double> values;
    for (const Result* run : runs) values.push_back(run->curve_ns[i]);
    curve[i] = median(std::move(values));
  }
  return curve;
}

Summary summary_of(const std::vector<const Result*>& runs) {
  const Result& first = *runs.front();
  const auto [least, most] = std::ranges::minmax(runs, {}, &Result::ops_per_s);
  return {.benchmark = first.benchmark,
          .engine = first.engine,
          .threads = first.threads,
          .writers = first.writers,
          .durability = first.durability,
          .runs = runs.size(),
          .ops_per_s_median = median_of(runs, &Result::ops_per_s),
          .ops_per_s_min = least->ops_per_s,
          .ops_per_s_max = most->ops_per_s,
          .p50_ns_median = median_of(runs, &Result::p50_ns),
          .p99_ns_median = median_of(runs, &Result::p99_ns),
          .p999_ns_median = median_of(runs, &Result::p999_ns),
          .curve_ns_median = curve_of(runs)};
}

}  // namespace

std::string header_text(const Machine& machine, const Settings& settings, const EmptyLoop& empty_loop) {
  std::string text =
      entry("program", "actable-bench " ACTABLE_BENCH_VERSION ", " + machine.compiler + ", " + machine.build_type);
  text += entry("machine", machine.processor + ", " + std::to_string(machine.cores) + " cores, " +
                               bytes_text(machine.cache_bytes) + " L3, " + bytes_text(machine.memory_bytes) +
                               " memory, " + machine.kernel + ", huge pages: " + machine.huge_pages +
                               formatted(", load %.1f before the run", machine.load));
  text += entry("keys", workload_text(settings));
  text += entry("run", run_text(settings));
  text += entry("durability", std::string(to_string(settings.durability)) + " where the engine has a log; files on " +
                                  machine.file_system);
  for (const EngineKind* engine : settings.engines) {
    text += entry("engine", std::string(engine->name) + " " + engine->about + (engine->has_log ? "" : "; no log"));
  }
  text += entry("latency", latency_text(settings, empty_loop));
  return text + entry("B/key", "memory beyond key and value: (own) the engine's account, (rss) growth of the process");
}

/// An idle store does no operations: what it uses is what there is to say.
std::string idle_line(const Result& result) {
  std::string line = line_begin(result) + formatted("%.3f %% of a core", 100 * *result.cpu_cores);
  if (result.written_bytes) {
    line += formatted("  %llu bytes written", static_cast<unsigned long long>(*result.written_bytes));
  }
  return line + formatted("  in %.1f s", result.seconds);
}

std::string result_line(const Result& result) {
  if (result.cpu_cores) return idle_line(result);
  std::string line =
      line_begin(result) + formatted("%8.3f micros/op %9.0f ops/sec %8.1f MB/s",
                                     1e6 * result.threads / result.ops_per_s, result.ops_per_s, result.mb_per_s);
  if (result.max_ns > 0) {
    line += "  p50 " + duration_text(result.p50_ns) + " p99 " + duration_text(result.p99_ns) + " p99.9 " +
            duration_text(result.p999_ns) + " max " + duration_text(result.max_ns);
  }
  if (const auto bytes = result.bytes_per_key()) {
    line += formatted("  +%.1f B/key (%s)", *bytes, result.bytes_per_key_own ? "own" : "rss");
  }
  if (result.writers > 0) line += formatted("  writers %.0f ops/sec", result.writer_ops_per_s);
  if (result.settle_s >= 0.001) line += "  on disk after " + duration_text(result.settle_s * 1e9);
  if (result.close_s > 0) {
    const double open_s = result.p50_ns > 0 ? result.p50_ns / 1e9 : result.seconds;
    line += "  open " + duration_text(open_s * 1e9) + ", close " + duration_text(result.close_s * 1e9);
  }
  if (result.opened_bytes) {
    line += formatted(", %.1f MB of files at %.0f MB/s, %.0f %% of them cached before",
                      static_cast<double>(*result.opened_bytes) / 1e6, *result.opened_mb_per_s(),
                      100 * result.opened_cached.value_or(1));
  }
  if (result.fairness < 1) line += formatted("  slowest thread %.2f of the fastest", result.fairness);
  if (result.writer_fairness < 1) line += formatted("  slowest writer %.2f of the fastest", result.writer_fairness);
  if (result.durable_lag_max_s) line += "  lag max " + duration_text(*result.durable_lag_max_s * 1e9);
  if (result.waits.value_or(0) > 0) {
    line += formatted("  waited for the disk %llu times", static_cast<unsigned long long>(*result.waits));
  }
  if (result.checkpoints.value_or(0) > 0) {
    line += formatted("  checkpoints written: %llu", static_cast<unsigned long long>(*result.checkpoints));
  }
  return line;
}

std::vector<Summary> summarize(const std::vector<Result>& results) {
  std::vector<Summary> summaries;
  for (const Result& first : results) {
    const bool known = std::ranges::any_of(summaries, [&first](const Summary& summary) {
      return summary.benchmark == first.benchmark && summary.engine == first.engine;
    });
    if (known) continue;
    std::vector<const Result*> runs;
    for (const Result& result : results) {
      if (result.benchmark == first.benchmark && result.engine == first.engine) runs.push_back(&result);
    }
    summaries.push_back(summary_of(runs));
  }
  return summaries;
}

std::string summary_line(const Summary& summary) {
  return line_begin(summary) +
         formatted("%9.0f ops/sec median of %zu, spread %.1f %% (%.0f to %.0f)  p50 ", summary.ops_per_s_median,
                   summary.runs, 100 * summary.spread(), summary.ops_per_s_min, summary.ops_per_s_max) +
         duration_text(summary.p50_ns_median) + " p99 " + duration_text(summary.p99_ns_median) + " p99.9 " +
         duration_text(summary.p999_ns_median);
}

}  // namespace bench
