#include "benchmarks/settings.h"

#include "benchmarks/engines/child.h"
#include "benchmarks/engines/registry.h"
#include "benchmarks/keys.h"
#include "benchmarks/plot.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <span>

namespace bench {

namespace {

constexpr std::string_view k_every_engine = "all-found";
/// Both benchmarks of the disk.
constexpr std::string_view k_disk_probe = "diskprobe";
constexpr std::array k_disk_benchmarks = {"diskwrite", "disksync"};
/// Opening again, beside what the disk reads.
constexpr std::string_view k_recover = "recover";
constexpr std::array k_recover_benchmarks = {"diskread", "recoverlog", "recovercheckpoint"};
/// What actors cost and what they do: direct calls beside calls by actors, with
/// and without them, messages, and the idle store.
constexpr std::string_view k_actors = "actors";
constexpr std::array k_actor_benchmarks = {"readrandom", "overwrite",  "actorread",    "actoroverwrite",
                                           "actorput",   "actorbatch", "actorrequest", "idle"};
/// What it costs to know what the operations are: not to, samples that a pool of
/// actors takes up, and a task for each operation.
constexpr std::string_view k_analytics = "analytics";
constexpr std::array k_analytics_benchmarks = {"readrandom", "overwrite"};
constexpr std::array k_analytics_engines = {"unsampled", "actors", "tasks"};
/// A key number is twice an index, an index goes up to twice the keys, and a
/// number has 32 bits.
constexpr std::uint32_t k_num_max = std::uint32_t{1} << 30;
constexpr std::uint64_t k_ops_max = std::uint64_t{1} << 40;
/// Below the 4,096 that a store takes, with room for the program's own.
constexpr unsigned k_threads_max = 4'000;
constexpr std::size_t k_key_bytes_max = 65'535;
constexpr std::size_t k_value_bytes_max = std::size_t{4} << 20;
constexpr std::size_t k_batch_max = 4'096;
constexpr std::uint64_t k_syncs_default_min = 100;

/// The command line as it comes, before names are looked up.
struct Raw {
  std::vector<std::string> benchmarks{"fillrandom", "overwrite", "readrandom", "multiread", "readmissing", "mixed50"};
  /// None: actable, and where actors are measured, the engine with them.
  std::vector<std::string> engines{};
  std::string distribution;
  std::string durability = "async";
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string engine_names() {
  std::vector<std::string> names;
  for (const EngineKind& engine : engines()) names.emplace_back(engine.name);
  return joined(names);
}

std::string benchmark_names() {
  std::vector<std::string> names;
  for (const Workload& workload : workloads()) names.emplace_back(workload.name);
  names.emplace_back(k_disk_probe);
  names.emplace_back(k_recover);
  names.emplace_back(k_actors);
  names.emplace_back(k_analytics);
  return joined(names);
}

std::string benchmark_help() {
  std::string text = "\nBenchmarks:\n";
  for (const Workload& workload : workloads()) {
    std::string name(workload.name);
    name.resize(18, ' ');
    text += "  " + name + std::string(workload.what) + "\n";
  }
  text += "  diskprobe         diskwrite and disksync\n";
  text += "  recover           diskread, recoverlog and recovercheckpoint\n";
  text += "  actors            readrandom, overwrite and idle with actors and without, and all that begin with actor\n";
  text += "  analytics         readrandom and overwrite: not looked at, sampled, and with a task for each operation\n";
  return text + "\nEngines in this build: " + engine_names() + "\n";
}

void add_workload_options(CLI::App& app, Settings& settings, Raw& raw) {
  app.add_option("--benchmarks", raw.benchmarks, "What to run, in this order, on the same data where it can be")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--engines", raw.engines,
                 "Engines to run it on, or all-found (default: actable, and actors too where they are measured)")
      ->delimiter(',');
  app.add_option("--num", settings.num, "Keys in the store")->check(CLI::Range(1u, k_num_max))->capture_default_str();
  app.add_option("--ops", settings.ops, "Operations of all threads together (default: num)")
      ->check(CLI::Range(std::uint64_t{1}, k_ops_max));
  app.add_option("--threads", settings.threads, "Threads, or actors where they are measured")
      ->check(CLI::Range(1u, k_threads_max))
      ->capture_default_str();
  app.add_option("--writers", settings.writers, "Threads that put beside the readers of readwhilewriting")
      ->check(CLI::Range(1u, k_threads_max))
      ->capture_default_str();
  app.add_option("--key_size", settings.key_bytes, "Bytes of a key")
      ->check(CLI::Range(KeyBlock::k_stamp_bytes, k_key_bytes_max))
      ->capture_default_str();
  app.add_option("--value_size", settings.value_bytes, "Bytes of a value")
      ->check(CLI::Range(KeyBlock::k_stamp_bytes, k_value_bytes_max))
      ->capture_default_str();
  app.add_option("--distribution", raw.distribution,
                 "Which keys: uniform or zipf (0.99, scrambled); default uniform, zipf for ycsb")
      ->check(CLI::IsMember({"uniform", "zipf"}));
  app.add_option("--batch", settings.batch, "Keys in a call of multiread (default: 16) or a message of actorbatch (64)")
      ->check(CLI::Range(std::size_t{1}, k_batch_max));
  app.add_option("--seed", settings.seed, "Of all random choices")->capture_default_str();
}

void add_run_options(CLI::App& app, Settings& settings, Raw& raw) {
  app.add_option("--rate", settings.rate,
                 "Open loop: operations a second of all threads; latency counts from the intended start")
      ->check(CLI::Range(0.001, 1e10));
  app.add_option("--duration", settings.duration_s, "Seconds that a benchmark runs, instead of --ops")
      ->check(CLI::Range(0.001, 1e6));
  app.add_option("--durability", raw.durability, "none (pure memory), async, or sync")
      ->check(CLI::IsMember({"none", "async", "sync"}))
      ->capture_default_str();
  app.add_flag("--due_checkpoints", settings.due_checkpoints,
               "Stores with actors write checkpoints when they are due, as in a service (default: none)");
  app.add_option("--repeat", settings.repeat, "Times that the whole list is run, for median and spread")
      ->check(CLI::Range(1u, 1'000u))
      ->capture_default_str();
  app.add_option("--dir", settings.directory,
                 "Where to make the directory for files, which is removed at the end (default: $TMPDIR or /var/tmp)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--json", settings.json, "Write the results there as JSON");
  app.add_option("--csv", settings.csv, "Write the results there as comma-separated values");
  app.add_option("--plot", settings.plot, "Draw rates and latencies there, as FILE.svg; needs gnuplot");
}

std::string option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) names.push_back(option->get_name());
  return joined(names);
}

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

std::span<const char* const> benchmarks_of_group(std::string_view name) {
  if (name == k_disk_probe) return k_disk_benchmarks;
  if (name == k_recover) return k_recover_benchmarks;
  if (name == k_actors) return k_actor_benchmarks;
  if (name == k_analytics) return k_analytics_benchmarks;
  return {};
}

std::optional<std::string> look_up_benchmarks(const std::vector<std::string>& names, Settings& settings) {
  for (const std::string& name : names) {
    if (const auto parts = benchmarks_of_group(name); !parts.empty()) {
      for (const char* part : parts) settings.benchmarks.push_back(find_workload(part));
      continue;
    }
    const Workload* workload = find_workload(name);
    if (workload == nullptr) return "no benchmark '" + name + "'; there are " + benchmark_names();
    settings.benchmarks.push_back(workload);
  }
  return std::nullopt;
}

std::optional<std::string> look_up_engines(const std::vector<std::string>& names, Settings& settings) {
  for (const std::string& name : names) {
    if (name == k_every_engine) {
      for (const EngineKind& engine : engines()) settings.engines.push_back(&engine);
      continue;
    }
    const EngineKind* engine = name == empty_engine().name ? &empty_engine() : find_engine(name);
    if (engine != nullptr) {
      settings.engines.push_back(engine);
      continue;
    }
    const std::string missing = what_is_missing(name);
    return (missing.empty() ? "no engine '" + name + "'" : "engine '" + name + "' needs " + missing) +
           "; this build has " + engine_names() + ", empty";
  }
  return std::nullopt;
}

std::vector<std::string> engines_for(const std::vector<std::string>& benchmarks, const Settings& settings) {
  if (std::ranges::find(benchmarks, k_analytics) != benchmarks.end()) {
    return {k_analytics_engines.begin(), k_analytics_engines.end()};
  }
  std::vector<std::string> names{"actable"};
  if (std::ranges::any_of(settings.benchmarks, &Workload::of_actors)) names.emplace_back(k_actors);
  return names;
}

std::optional<std::string> unplottable(const Settings& settings) {
  if (settings.plot.empty()) return std::nullopt;
  if (settings.plot.extension() != ".svg") return "--plot draws SVG: name the file " + settings.plot.string() + ".svg";
  if (!find_program(k_gnuplot)) return "--plot needs gnuplot on the PATH (gnuplot-nox); --csv and --json need nothing";
  return std::nullopt;
}

std::optional<std::string> impossible(const Settings& settings) {
  if (settings.threads > settings.num) return "more --threads than --num: each thread needs a key of its own";
  if (settings.due_checkpoints && std::ranges::none_of(settings.engines, &EngineKind::has_actors)) {
    return "--due_checkpoints is for stores with actors, who write them: add --engines=actors";
  }
  if (settings.due_checkpoints && settings.durability == Durability::none) {
    return "--due_checkpoints is for stores that have a log: run it with --durability=async or sync";
  }
  std::string reasons;
  for (const Workload* workload : settings.benchmarks) {
    if (workload->of_the_disk()) return std::nullopt;
    for (const EngineKind* engine : settings.engines) {
      const std::string reason = settings.why_not(*engine, *workload);
      if (reason.empty()) return std::nullopt;
      if (reasons.find(reason) == std::string::npos) reasons += (reasons.empty() ? "" : "; ") + reason;
    }
  }
  return "nothing to run: " + reasons;
}

}  // namespace

std::uint64_t Settings::operations(const Workload& workload) const noexcept {
  if (workload.each_key_once()) return num;
  if (ops != 0) return ops;
  return workload.sync ? std::max<std::uint64_t>(num / 1'000, k_syncs_default_min) : num;
}

Durability Settings::durability_of(const EngineKind& engine, const Workload& workload) const noexcept {
  if (!engine.has_log) return Durability::none;
  if (workload.sync) return Durability::sync;
  if (workload.of_recovery() && durability == Durability::none) return Durability::async;
  return durability;
}

bool Settings::can_run(const Workload& workload) const {
  return std::ranges::any_of(engines, [&](const EngineKind* engine) { return why_not(*engine, workload).empty(); });
}

std::string Settings::why_not(const EngineKind& engine, const Workload& workload) const {
  if (!workload.unavailable.empty()) return std::string(workload.unavailable);
  const std::string name(engine.name);
  if (workload.of_actors() && !engine.has_actors) return name + " has no actors: run it with --engines=actors";
  if (workload.of_actors() && rate > 0) return "actors go as fast as they can: run them without --rate";
  if (!engine.has_log && workload.of_recovery()) return name + " keeps nothing that could be opened again";
  if (!engine.has_checkpoint && workload.task == Task::recovery_from_checkpoint) {
    return name + " has no checkpoint of everything that it would load";
  }
  if (!engine.has_log && (workload.sync || durability == Durability::sync)) {
    return name + " writes nothing to disk: run it with --durability=none or async";
  }
  if (engine.own_process && workload.task == Task::idling) {
    return name + " runs in a process of its own, whose processor use is not known here";
  }
  if (engine.whole_plans && workload.task == Task::opening) {
    return name + " is given whole plans and nothing else: it does not run " + std::string(workload.name);
  }
  if (engine.whole_plans && rate > 0) return name + " goes as fast as it can: run it without --rate";
  if (key_bytes > engine.key_bytes_max) {
    return name + " takes keys of up to " + std::to_string(engine.key_bytes_max) + " bytes";
  }
  return {};
}

std::expected<Settings, Exit> parse_settings(int argc, const char* const* argv) {
  CLI::App app("Measures key-value stores: db_bench-like lines for Actable and for what people use instead.");
  app.footer(benchmark_help);
  Settings settings;
  Raw raw;
  add_workload_options(app, settings, raw);
  add_run_options(app, settings, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return std::unexpected(Exit{0, app.help()});
  } catch (const CLI::ExtrasError& error) {
    return std::unexpected(Exit{2, one_line(error.what()) + "; there are " + option_names(app)});
  } catch (const CLI::ParseError& error) {
    return std::unexpected(Exit{2, one_line(error.what())});
  }
  if (raw.distribution == "uniform") settings.distribution = Distribution::uniform;
  if (raw.distribution == "zipf") settings.distribution = Distribution::zipf;
  if (raw.durability == "none") settings.durability = Durability::none;
  if (raw.durability == "sync") settings.durability = Durability::sync;

  auto wrong = look_up_benchmarks(raw.benchmarks, settings);
  if (!wrong)
    wrong = look_up_engines(raw.engines.empty() ? engines_for(raw.benchmarks, settings) : raw.engines, settings);
  if (!wrong) wrong = impossible(settings);
  if (!wrong) wrong = unplottable(settings);
  if (wrong) return std::unexpected(Exit{2, one_line(*wrong)});
  return settings;
}

}  // namespace bench
