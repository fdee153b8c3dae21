/// actable-bench: measures key-value stores side by side. benchmarks/README.md
/// says what is measured and how to read it.

#include "benchmarks/disk_probe.h"
#include "benchmarks/engines/registry.h"
#include "benchmarks/host.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/machine.h"
#include "benchmarks/plot.h"
#include "benchmarks/progress.h"
#include "benchmarks/report.h"
#include "benchmarks/result_files.h"
#include "benchmarks/runner.h"
#include "benchmarks/scratch.h"
#include "benchmarks/settings.h"

#include <cstdio>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

namespace bench {

namespace {

/// As shells have it: 128 and the number of SIGINT.
constexpr int k_status_interrupted = 130;
constexpr double k_disk_blocks_default_s = 2;

void print_line(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

/// Opened before anything runs, so that a mistyped path does not cost an hour.
std::ofstream open_output(const std::filesystem::path& path) {
  std::ofstream out;
  if (path.empty()) return out;
  out.open(path);
  if (!out) throw Failure("cannot write " + path.string());
  return out;
}

double empty_ns_per_op(const char* workload, const Settings& settings, Runner& runner) {
  const auto engine = empty_engine().open({.directory = {},
                                           .durability = Durability::none,
                                           .keys_max = settings.num,
                                           .key_bytes = settings.key_bytes,
                                           .value_bytes = settings.value_bytes});
  const Outcome outcome = runner.run(
      *engine, {.workload = *find_workload(workload), .durability = Durability::none, .label = "empty loop"});
  return outcome.seconds * 1e9 / static_cast<double>(outcome.ops);
}

/// On one thread, as fast as it goes, whatever the run itself does.
EmptyLoop measure_empty_loop(const Settings& settings, Progress& progress) {
  Settings brief = settings;
  brief.threads = 1;
  brief.ops = 1'000'000;
  brief.rate = brief.duration_s = 0;
  brief.distribution = Distribution::uniform;
  Runner runner(brief, progress);
  return {empty_ns_per_op("readrandom", brief, runner), empty_ns_per_op("overwrite", brief, runner)};
}

/// One line for each benchmark that no engine could run, which leaves the list.
void drop_unavailable(Settings& settings) {
  std::erase_if(settings.benchmarks, [](const Workload* workload) {
    if (!workload->unavailable.empty()) print_line(std::string(workload->unavailable));
    return !workload->unavailable.empty();
  });
}

Result probe(const Settings& settings, const Workload& workload, const Scratch& scratch) {
  const bool in_blocks = workload.task != Task::disk_syncs;
  ProbeOptions options{.ops_max = settings.ops, .duration_s = settings.duration_s};
  if (options.ops_max == 0 && options.duration_s <= 0) {
    if (in_blocks) {
      options.duration_s = k_disk_blocks_default_s;
    } else {
      options.ops_max = settings.operations(workload);
    }
  }
  const auto how = workload.task == Task::disk_writes  ? probe_disk_writes
                   : workload.task == Task::disk_reads ? probe_disk_reads
                                                       : probe_disk_syncs;
  const Outcome outcome = how(scratch.path(), options);
  Result result = result_of(outcome, workload, settings);
  result.engine = "disk";
  result.durability = Durability::sync;
  return result;
}

void keep(Result result, unsigned round, std::vector<Result>& results) {
  result.run = round;
  print_line(result_line(result));
  results.push_back(result);
}

/// One round: the disk alone, then every engine in turn with the whole list.
void run_round(const Settings& settings, unsigned round, Runner& runner, const Scratch& scratch,
               std::vector<Result>& results) {
  for (const Workload* workload : settings.benchmarks) {
    if (workload->of_the_disk()) keep(probe(settings, *workload, scratch), round, results);
  }
  for (const EngineKind* engine : settings.engines) {
    Host host(*engine, settings, runner, scratch.path());
    for (const Workload* workload : settings.benchmarks) {
      if (workload->of_the_disk()) continue;
      if (const std::string reason = settings.why_not(*engine, *workload); !reason.empty()) {
        // Where one engine is there to be run beside the one with actors, that is no news.
        const bool expected = workload->of_actors() && settings.can_run(*workload);
        if (round == 1 && !expected) {
          print_line(std::string(workload->name) + " [" + std::string(engine->name) + "] : " + reason);
        }
        continue;
      }
      keep(host.run(*workload), round, results);
    }
  }
}

void run(Settings settings) {
  std::ofstream json = open_output(settings.json), csv = open_output(settings.csv);
  open_output(settings.plot).close();
  Progress progress;
  const Scratch scratch(settings.directory);
  const Machine machine = this_machine(scratch.path());
  const EmptyLoop empty_loop = measure_empty_loop(settings, progress);
  print_line(header_text(machine, settings, empty_loop));
  drop_unavailable(settings);

  Runner runner(settings, progress);
  std::vector<Result> results;
  for (unsigned round = 1; round <= settings.repeat; ++round) run_round(settings, round, runner, scratch, results);
  if (settings.repeat > 1) {
    print_line("");
    for (const Summary& summary : summarize(results)) print_line(summary_line(summary));
  }
  if (json.is_open()) write_json(json, machine, settings, empty_loop, results);
  if (csv.is_open()) write_csv(csv, results);
  if (!settings.plot.empty()) draw_plot(summarize(results), settings.plot);
  json.close();
  csv.close();
  if (!settings.json.empty() && json.fail()) throw Failure("cannot write " + settings.json.string());
  if (!settings.csv.empty() && csv.fail()) throw Failure("cannot write " + settings.csv.string());
}

int main_with(int argc, char** argv) {
  const auto settings = parse_settings(argc, argv);
  if (!settings) {
    const Exit& exit = settings.error();
    if (exit.status == 0) {
      std::fputs(exit.message.c_str(), stdout);
    } else {
      std::fprintf(stderr, "actable-bench: %s\n", exit.message.c_str());
    }
    return exit.status;
  }
  catch_interrupts();
  try {
    run(*settings);
    return 0;
  } catch (const Interrupted&) {
    std::fputs("actable-bench: interrupted\n", stderr);
    return k_status_interrupted;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "actable-bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv) { return bench::main_with(argc, argv); }
