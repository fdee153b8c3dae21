#include "benchmarks/runner.h"

#include "benchmarks/clock.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/machine.h"
#include "benchmarks/plan.h"
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
                        .batch = part.workload.batched ? settings.batch : 0,
                        .key_bytes = settings.key_bytes,
                        .value_bytes = settings.value_bytes};
  if (part.rate > 0) {
    options.delay_ticks = Clock::get().ticks_per_second() * part.thread / part.rate;
    options.pace_ticks = Clock::get().ticks_per_second() * part.threads / part.rate;
  }
  return options;
}

Team::Recruit recruit(const Settings& settings, const Part& part, const Zipf* zipf, Engine& engine,
                      std::string_view noise) {
  const PlanRequest request{.workload = part.workload,
                            .zipf = zipf,
                            .keys = settings.num,
                            .steps = std::max<std::uint64_t>(steps_of(settings, part), 1),
                            .thread = part.thread,
                            .threads = part.threads,
                            .seed = seed_for(settings.seed, part.workload.name, part.thread)};
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

/// Rate of the slowest as a part of the fastest one's.
double fairness_of(Workers workers) {
  double slowest = std::numeric_limits<double>::max(), fastest = 0;
  for (const auto& worker : workers) {
    const auto ticks = static_cast<double>(std::max<std::uint64_t>(worker->ended() - worker->began(), 1));
    const double rate = static_cast<double>(worker->done()) / ticks;
    slowest = std::min(slowest, rate);
    fastest = std::max(fastest, rate);
  }
  return fastest > 0 ? slowest / fastest : 1;
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
  outcome.fairness = fairness_of(Workers(workers).first(leaders));
  outcome.writer_fairness = fairness_of(Workers(workers).subspan(leaders));
  outcome.seconds = Clock::get().ns(ended - began) / 1e9;
  return outcome;
}

}  // namespace

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
  const double rate = job.measured ? settings_.rate : 0;
  const Zipf* zipf = zipf_for(workload);
  std::vector<Team::Recruit> recruits;
  for (unsigned thread = 0; thread < settings_.threads; ++thread) {
    const Part part{workload, job.durability, thread, settings_.threads, duration_s > 0, rate};
    recruits.push_back(recruit(settings_, part, zipf, engine, noise_));
  }
  const unsigned writers = workload.writer_beside ? settings_.writers : 0;
  for (unsigned writer = 0; writer < writers; ++writer) {
    const Part part{*find_workload("overwrite"), job.durability, writer, writers, true, 0};
    recruits.push_back(recruit(settings_, part, zipf, engine, noise_));
  }

  progress_.show(job.label + "  drawing keys");
  Team team(std::move(recruits), writers);
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
