#include "benchmarks/host.h"

#include "benchmarks/machine.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <system_error>

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

}  // namespace

Host::Host(const EngineKind& kind, const Settings& settings, Runner& runner, const std::filesystem::path& directory)
    : kind_(kind), settings_(settings), runner_(runner), directory_(directory / kind.name) {}

Host::~Host() { close(); }

Result Host::run(const Workload& workload) {
  const Durability durability = settings_.durability_of(kind_, workload);
  prepare(workload, durability);
  Result result = workload.reopens ? run_recovery(workload, durability) : run_threads(workload, durability);
  result.engine = kind_.name;
  result.durability = durability;
  content_ = workload.ends;
  // Pairs leave as many keys as there were, if not the same.
  if (content_ == Content::loaded || workload.order == Order::pairs) weigh(result);
  return result;
}

void Host::prepare(const Workload& workload, Durability durability) {
  const bool logged = durability != Durability::none;
  const bool fits = engine_ != nullptr && content_ == workload.begins && logged_ == logged;
  if (!fits) open_anew(durability);
  if (content_ == workload.begins) return;
  // Nobody waits for the disk here: it is not what is measured.
  const Durability quick = std::min(durability, Durability::async);
  const std::string shown = "loading [" + std::string(kind_.name) + "]";
  (void)runner_.run(*engine_, {.workload = loading(), .durability = quick, .label = shown, .measured = false});
  engine_->settle();
  content_ = Content::loaded;
}

void Host::open_anew(Durability durability) {
  close();
  // What earlier engines freed must not count for this one.
  ::malloc_trim(0);
  resident_before_ = resident_bytes();
  std::filesystem::create_directory(directory_);
  open(durability);
  content_ = Content::nothing;
}

void Host::open(Durability durability) {
  engine_ = kind_.open({.directory = directory_,
                        .durability = durability,
                        .keys_max = 2 * std::uint64_t{settings_.num} + settings_.ops / 10,
                        .key_bytes = settings_.key_bytes,
                        .value_bytes = settings_.value_bytes});
  logged_ = durability != Durability::none;
}

void Host::close() {
  engine_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Result Host::run_threads(const Workload& workload, Durability durability) {
  const Outcome outcome =
      runner_.run(*engine_, {.workload = workload, .durability = durability, .label = label(workload)});
  Result result = result_of(outcome, workload, settings_);
  result.settle_s = seconds_of([this] { engine_->settle(); });
  return result;
}

Result Host::run_recovery(const Workload& workload, Durability durability) {
  const double close_s = seconds_of([this] { engine_.reset(); });
  const double open_s = seconds_of([this, durability] { open(durability); });
  // Every key is there with its value, or this throws.
  Workload check = loading();
  check.write = Kind::read;
  const Job job{.workload = check, .durability = Durability::async, .label = label(workload), .measured = false};
  (void)runner_.run(*engine_, job);

  Outcome outcome;
  outcome.ops = settings_.num;
  outcome.seconds = open_s;
  Result result = result_of(outcome, workload, settings_);
  // However many threads checked: opening is one call.
  result.threads = 1;
  result.close_s = close_s;
  return result;
}

void Host::weigh(Result& result) {
  const auto keys = static_cast<double>(settings_.num);
  const auto payload = static_cast<double>(settings_.key_bytes + settings_.value_bytes);
  if (const auto held = engine_->memory_bytes()) {
    result.bytes_per_key_own = static_cast<double>(*held) / keys - payload;
  }
  if (settings_.num < k_keys_min_for_resident) return;
  const double grown = static_cast<double>(resident_bytes()) - static_cast<double>(resident_before_);
  // Less than the payload: the engine has it on disk, and the figure no meaning.
  if (grown > keys * payload) result.bytes_per_key_rss = grown / keys - payload;
}

std::string Host::label(const Workload& workload) const {
  return std::string(workload.name) + " [" + std::string(kind_.name) + "]";
}

}  // namespace bench
