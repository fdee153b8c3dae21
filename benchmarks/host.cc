#include "benchmarks/host.h"

#include "benchmarks/clock.h"
#include "benchmarks/cold_files.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/machine.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>

namespace bench {

namespace {

/// Below this the program's own few megabytes blur the growth of resident
/// memory.
constexpr std::uint32_t k_keys_min_for_resident = 100'000;

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Enough openings for a median, few enough for a disk whose syncs take 100 ms.
constexpr std::uint64_t k_openings_default = 20;
constexpr double k_idle_default_s = 5;
/// What a store still has to do after the last write is not idling.
constexpr double k_calm_s = 0.3;

void wait_for(double seconds) {
  constexpr double k_slice_s = 0.1;
  for (double left = seconds; left > 0; left -= k_slice_s) {
    if (interrupted()) throw Interrupted{};
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, k_slice_s)));
  }
}

std::optional<std::uint64_t> growth(std::optional<std::uint64_t> before, std::optional<std::uint64_t> after) {
  if (!before || !after) return std::nullopt;
  return *after - *before;
}

std::string opening_text(const Opening& at) {
  const double part =
      at.bytes_total == 0 ? 1 : static_cast<double>(at.bytes_read) / static_cast<double>(at.bytes_total);
  char text[96];
  std::snprintf(text, sizeof text, "  opening  %3.0f %% of %.0f MB", 100 * part,
                static_cast<double>(at.bytes_total) / 1e6);
  std::string shown = text;
  if (at.left_s) {
    std::snprintf(text, sizeof text, "  %.1f s left", *at.left_s);
    shown += text;
  }
  return shown;
}

void note_counters(const Counters& before, const Counters& after, Result& result) {
  result.written_bytes = growth(before.written_bytes, after.written_bytes);
  result.waits = growth(before.waits, after.waits);
  result.checkpoints = growth(before.checkpoints, after.checkpoints);
}

}  // namespace

Host::Host(const EngineKind& kind, const Settings& settings, Runner& runner, const std::filesystem::path& directory)
    : kind_(kind), settings_(settings), runner_(runner), directory_(directory / kind.name) {}

Host::~Host() { close(); }

Result Host::run(const Workload& workload) {
  const Durability durability = settings_.durability_of(kind_, workload);
  prepare(workload, durability);
  Result result = run_task(workload, durability);
  result.engine = kind_.name;
  result.durability = durability;
  content_ = workload.ends;
  // Pairs leave as many keys as there were, if not the same.
  if (content_ == Content::loaded || workload.order == Order::pairs) weigh(result);
  return result;
}

Result Host::run_task(const Workload& workload, Durability durability) {
  switch (workload.task) {
    case Task::recovery_from_log:
    case Task::recovery_from_checkpoint:
      return run_recovery(workload, durability);
    case Task::idling:
      return run_idling(workload);
    case Task::opening:
      return run_openings(workload, durability);
    case Task::operations:
    case Task::disk_writes:
    case Task::disk_reads:
    case Task::disk_syncs:
      break;
  }
  return run_threads(workload, durability);
}

void Host::prepare(const Workload& workload, Durability durability) {
  const bool logged = durability != Durability::none;
  // Its log is to hold each key once, and nothing else.
  const bool from_log = workload.task == Task::recovery_from_log;
  const bool fits = engine_ != nullptr && content_ == workload.begins && logged_ == logged && !keeps_log_ && !from_log;
  if (!fits) open_anew(durability, from_log);
  if (content_ == workload.begins) return;
  // Nobody waits for the disk here: it is not what is measured.
  const Durability quick = std::min(durability, Durability::async);
  const std::string shown = "loading [" + std::string(kind_.name) + "]";
  (void)runner_.run(*engine_, {.workload = loading(), .durability = quick, .label = shown, .measured = false});
  engine_->settle();
  content_ = Content::loaded;
}

void Host::open_anew(Durability durability, bool keep_in_log) {
  close();
  // What earlier engines freed must not count for this one.
  ::malloc_trim(0);
  resident_before_ = resident_bytes();
  std::filesystem::create_directory(directory_);
  keeps_log_ = keep_in_log;
  open(durability);
  content_ = Content::nothing;
}

void Host::open(Durability durability, std::function<void(const Opening&)> opening) {
  engine_ = kind_.open({.directory = directory_,
                        .durability = durability,
                        .keys_max = 2 * std::uint64_t{settings_.num} + settings_.ops / 10,
                        .key_bytes = settings_.key_bytes,
                        .value_bytes = settings_.value_bytes,
                        .keep_in_log = keeps_log_,
                        .due_checkpoints = settings_.due_checkpoints,
                        .opening = std::move(opening)});
  logged_ = durability != Durability::none;
}

void Host::close() {
  engine_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Result Host::run_threads(const Workload& workload, Durability durability) {
  const Counters before = engine_->counters();
  const Outcome outcome =
      runner_.run(*engine_, {.workload = workload, .durability = durability, .label = label(workload)});
  Result result = result_of(outcome, workload, settings_);
  result.settle_s = seconds_of([this] { engine_->settle(); });
  note_counters(before, engine_->counters(), result);
  if (!kind_.own_process) {
    const double beyond = static_cast<double>(outcome.resident_max) - static_cast<double>(resident_before_);
    result.beyond_live_max_bytes = std::max(beyond - live_bytes(), 0.0);
  }
  return result;
}

Result Host::run_recovery(const Workload& workload, Durability durability) {
  if (workload.task == Task::recovery_from_checkpoint) engine_->checkpoint();
  const double close_s = seconds_of([this] { engine_.reset(); });
  const ColdFiles files = forget_files(directory_);
  const std::string shown = label(workload);
  const double open_s = seconds_of(
      [&] { open(durability, [&](const Opening& at) { runner_.progress().show(shown + opening_text(at)); }); });
  runner_.progress().clear();
  // Every key is there with its value, or this throws.
  Workload check = loading();
  check.write = Kind::read;
  const Job job{.workload = check, .durability = Durability::async, .label = label(workload), .measured = false};
  (void)runner_.run(*engine_, job);

  Outcome outcome;
  outcome.ops = settings_.num;
  outcome.seconds = open_s;
  Result result = result_of(outcome, workload, settings_);
  result.close_s = close_s;
  result.opened_bytes = engine_->opened_bytes().value_or(files.bytes);
  result.opened_cached = files.cached;
  weigh(result);
  return result;
}

Result Host::run_idling(const Workload& workload) {
  engine_->settle();
  wait_for(k_calm_s);
  const double wanted_s = settings_.duration_s > 0 ? settings_.duration_s : k_idle_default_s;
  const Counters before = engine_->counters();
  const double used_s = processor_seconds();
  Outcome outcome;
  outcome.seconds = seconds_of([wanted_s] { wait_for(wanted_s); });
  Result result = result_of(outcome, workload, settings_);
  result.cpu_cores = (processor_seconds() - used_s) / result.seconds;
  note_counters(before, engine_->counters(), result);
  return result;
}

Result Host::run_openings(const Workload& workload, Durability durability) {
  const std::string key(settings_.key_bytes, 'k'), value(settings_.value_bytes, 'v');
  const Clock& clock = Clock::get();
  Histogram closing;
  Outcome outcome;
  const std::uint64_t wanted = settings_.ops != 0 ? settings_.ops : k_openings_default;
  for (; outcome.ops < wanted; ++outcome.ops) {
    if (interrupted()) throw Interrupted{};
    close();
    std::filesystem::create_directory(directory_);
    const std::uint64_t began = clock.ticks();
    open(durability);
    outcome.latency.record(clock.ticks() - began);
    outcome.seconds += clock.ns(clock.ticks() - began) / 1e9;
    // Something to sync, as a store that is closed usually has.
    engine_->session(std::min(durability, Durability::async))->put(key, value);
    const std::uint64_t closes = clock.ticks();
    engine_.reset();
    closing.record(clock.ticks() - closes);
  }
  Result result = result_of(outcome, workload, settings_);
  result.close_s = clock.ns(closing.quantile(0.5)) / 1e9;
  return result;
}

double Host::live_bytes() {
  if (const auto held = engine_->memory_bytes()) return static_cast<double>(*held);
  return static_cast<double>(settings_.num) * static_cast<double>(settings_.key_bytes + settings_.value_bytes);
}

void Host::weigh(Result& result) {
  const auto keys = static_cast<double>(settings_.num);
  const auto payload = static_cast<double>(settings_.key_bytes + settings_.value_bytes);
  if (const auto held = engine_->memory_bytes()) {
    result.bytes_per_key_own = static_cast<double>(*held) / keys - payload;
  }
  if (settings_.num < k_keys_min_for_resident || kind_.own_process) return;
  const double grown = static_cast<double>(resident_bytes()) - static_cast<double>(resident_before_);
  // Less than the payload: the engine has it on disk, and the figure no meaning.
  if (grown > keys * payload) result.bytes_per_key_rss = grown / keys - payload;
}

std::string Host::label(const Workload& workload) const {
  return std::string(workload.name) + " [" + std::string(kind_.name) + "]";
}

}  // namespace bench
