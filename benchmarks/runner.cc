#include "benchmarks/runner.h"

#include "benchmarks/clock.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/machine.h"
#include "benchmarks/plan.h"
#include "benchmarks/remote.h"
#include "benchmarks/team.h"
#include "benchmarks/worker.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

namespace {

using SteadyClock = std::chrono::steady_clock;

/// How often it looks at a run: for the progress line, the end of a duration,
/// and what the engine says of itself. Often enough to see a lag of 100 ms, rare
/// enough to cost a thread less than a thousandth; and a prime, so as not to keep
/// step with a log that syncs each 100 ms.
constexpr auto k_look_every = std::chrono::milliseconds(37);

constexpr std::uint64_t k_no_end = std::numeric_limits<std::uint64_t>::max();

std::string draw_noise(std::size_t bytes, std::uint64_t seed) {
  Random random(seed);
  std::string noise(bytes, '\0');
  for (char& c : noise) c = static_cast<char>(' ' + random.below('~' - ' ' + 1));
  return noise;
}

std::uint64_t seed_for(std::uint64_t seed, std::string_view workload, unsigned thread) {
  std::uint64_t mixed = seed;
  for (const char c : workload) mixed = Random(mixed ^ static_cast<unsigned char>(c)).next();
  return Random(mixed + thread).next();
}

/// One thread's part of the work.
struct Part {
  const Workload& workload;
  Durability durability;
  unsigned thread;
  unsigned threads;
  bool endless;
  /// Operations a second of all threads; 0: as fast as it goes.
  double rate;
};

/// Where the run ends by its operations, how many of them are the thread's.
std::uint64_t steps_of(const Settings& settings, const Part& part) {
  const std::uint64_t all = settings.operations(part.workload);
  return all / part.threads + (part.thread < all % part.threads ? 1 : 0);
}

WorkerOptions worker_options(const Settings& settings, const Part& part) {
  WorkerOptions options{.limit = part.endless ? k_no_end : steps_of(settings, part),
                        .samples = part.durability != Durability::sync,
                        .batch = settings.batch_of(part.workload),
                        .key_bytes = settings.key_bytes,
                        .value_bytes = settings.value_bytes};
  if (part.rate > 0) {
    options.delay_ticks = Clock::get().ticks_per_second() * part.thread / part.rate;
    options.pace_ticks = Clock::get().ticks_per_second() * part.threads / part.rate;
  }
  return options;
}

/// Those who do the work, then those beside them.
std::vector<Part> parts_of(const Settings& settings, const Job& job) {
  const bool endless = !job.workload.each_key_once() && settings.duration_s > 0;
  const double rate = job.measured ? settings.rate : 0;
  std::vector<Part> parts;
  for (unsigned thread = 0; thread < settings.threads; ++thread) {
    parts.push_back({job.workload, job.durability, thread, settings.threads, endless, rate});
  }
  for (unsigned writer = 0; job.workload.writer_beside && writer < settings.writers; ++writer) {
    parts.push_back({*find_workload("overwrite"), job.durability, writer, settings.writers, true, 0});
  }
  return parts;
}

PlanRequest request_for(const Settings& settings, const Part& part, const Zipf* zipf) {
  return {.workload = part.workload,
          .zipf = zipf,
          .keys = settings.num,
          .steps = std::max<std::uint64_t>(steps_of(settings, part), 1),
          .thread = part.thread,
          .threads = part.threads,
          .seed = seed_for(settings.seed, part.workload.name, part.thread)};
}

Team::Recruit recruit(const Settings& settings, const Part& part, const Zipf* zipf, Engine& engine,
                      std::string_view noise) {
  const PlanRequest request = request_for(settings, part, zipf);
  WorkerOptions options = worker_options(settings, part);
  auto session = std::make_shared<std::unique_ptr<Session>>(engine.session(part.durability));
  if (options.pace_ticks <= 0 && options.batch == 0) options.together = (*session)->calls_at_once();
  return [=] { return std::make_unique<Worker>(options, std::move(*session), draw_plan(request), noise); };
}

class ProgressText {
 public:
  ProgressText(std::string label, std::uint64_t total, double duration_s)
      : label_(std::move(label)), total_(total), duration_s_(duration_s) {}

  [[nodiscard]] std::string at(std::uint64_t done, double seconds) const {
    const double fraction =
        duration_s_ > 0 ? seconds / duration_s_ : static_cast<double>(done) / static_cast<double>(total_);
    char text[160];
    std::snprintf(text, sizeof text, "%s  %3.0f %%  %.2f M ops/s", label_.c_str(), 100 * std::min(fraction, 1.0),
                  static_cast<double>(done) / std::max(seconds, 1e-3) / 1e6);
    return text;
  }

 private:
  std::string label_;
  std::uint64_t total_;
  double duration_s_;
};

/// Looks at an engine and at the process while threads run.
class Watch {
 public:
  explicit Watch(Engine& engine) : engine_(engine) {}

  void look() {
    resident_max_ = std::max(resident_max_, resident_bytes());
    const std::optional<double> lag = engine_.counters().durable_lag_s;
    if (lag) lag_max_s_ = std::max(lag_max_s_.value_or(0), *lag);
  }

  [[nodiscard]] std::uint64_t resident_max() const noexcept { return resident_max_; }
  [[nodiscard]] std::optional<double> lag_max_s() const noexcept { return lag_max_s_; }

 private:
  Engine& engine_;
  std::uint64_t resident_max_ = 0;
  std::optional<double> lag_max_s_;
};

using Workers = std::span<const std::unique_ptr<Worker>>;

std::vector<double> rates_of(Workers workers) {
  std::vector<double> rates;
  for (const auto& worker : workers) {
    const auto ticks = static_cast<double>(std::max<std::uint64_t>(worker->ended() - worker->began(), 1));
    rates.push_back(static_cast<double>(worker->done()) / ticks);
  }
  return rates;
}

Outcome summed(const std::vector<std::unique_ptr<Worker>>& workers, std::size_t leaders) {
  Outcome outcome;
  std::uint64_t began = k_no_end, ended = 0;
  for (std::size_t i = 0; i < leaders; ++i) {
    outcome.ops += workers[i]->done();
    outcome.latency.merge(workers[i]->latency());
    began = std::min(began, workers[i]->began());
    ended = std::max(ended, workers[i]->ended());
  }
  for (std::size_t i = leaders; i < workers.size(); ++i) outcome.writer_ops += workers[i]->done();
  outcome.fairness = fairness_of(rates_of(Workers(workers).first(leaders)));
  outcome.writer_fairness = fairness_of(rates_of(Workers(workers).subspan(leaders)));
  outcome.seconds = Clock::get().ns(ended - began) / 1e9;
  return outcome;
}

/// Draws the plans here, has them done there.
Outcome run_remotely(Remote& remote, const Settings& settings, const Job& job, const Zipf* zipf, Progress& progress) {
  const std::vector<Part> parts = parts_of(settings, job);
  RemoteWork work{.way = job.workload.way,
                  .durability = job.durability,
                  .parts = {},
                  .helpers = parts.size() - settings.threads,
                  .batch = settings.batch_of(job.workload),
                  .sample_every = k_sample_every,
                  .duration_s = job.workload.each_key_once() ? 0 : settings.duration_s};
  progress.show(job.label + "  drawing keys");
  for (const Part& part : parts) {
    const std::uint64_t limit = part.endless ? Remote::k_no_limit : steps_of(settings, part);
    work.parts.push_back({draw_plan(request_for(settings, part, zipf)), limit});
  }
  const Outcome outcome = remote.run(std::move(work), [&](double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "  %.0f s", seconds);
    progress.show(job.label + text);
  });
  progress.clear();
  return outcome;
}

}  // namespace

double fairness_of(std::span<const double> rates) {
  if (rates.empty()) return 1;
  const auto [slowest, fastest] = std::ranges::minmax(rates);
  return fastest > 0 ? slowest / fastest : 1;
}

Runner::Runner(const Settings& settings, Progress& progress)
    : settings_(settings), progress_(progress), noise_(draw_noise(settings.value_bytes, settings.seed)) {}

const Zipf* Runner::zipf_for(const Workload& workload) {
  if (!settings_.zipf(workload) || workload.each_key_once() || workload.order == Order::pairs) return nullptr;
  if (!zipf_) zipf_.emplace(settings_.num);
  return &*zipf_;
}

Outcome Runner::run(Engine& engine, const Job& job) {
  const Workload& workload = job.workload;
  const double duration_s = workload.each_key_once() ? 0 : settings_.duration_s;
  const Zipf* zipf = zipf_for(workload);
  if (Remote* remote = engine.remote(workload.way)) return run_remotely(*remote, settings_, job, zipf, progress_);

  std::vector<Team::Recruit> recruits;
  for (const Part& part : parts_of(settings_, job)) {
    recruits.push_back(recruit(settings_, part, zipf, engine, noise_));
  }
  progress_.show(job.label + "  drawing keys");
  const std::size_t helpers = recruits.size() - settings_.threads;
  Team team(std::move(recruits), helpers);
  team.start();
  Watch watch(engine);
  const auto start = SteadyClock::now();
  const ProgressText text(job.label, settings_.operations(workload), duration_s);
  while (!team.wait(k_look_every)) {
    watch.look();
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    if (interrupted() || (duration_s > 0 && seconds >= duration_s)) team.stop();
    progress_.show(text.at(team.done(), seconds));
  }
  watch.look();
  progress_.clear();
  const std::vector<std::unique_ptr<Worker>> workers = team.finish();
  if (interrupted()) throw Interrupted{};
  Outcome outcome = summed(workers, settings_.threads);
  outcome.durable_lag_max_s = watch.lag_max_s();
  std::uint64_t plans_bytes = 0;
  for (const auto& worker : workers) plans_bytes += worker->plan_bytes();
  outcome.resident_max = watch.resident_max() - std::min(watch.resident_max(), plans_bytes);
  return outcome;
}

}  // namespace bench
