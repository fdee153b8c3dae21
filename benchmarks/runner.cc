#include "benchmarks/runner.h"

#include "benchmarks/clock.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/plan.h"
#include "benchmarks/team.h"
#include "benchmarks/worker.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

namespace {

using SteadyClock = std::chrono::steady_clock;

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
  const WorkerOptions options = worker_options(settings, part);
  auto session = std::make_shared<std::unique_ptr<Session>>(engine.session(part.durability));
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
  if (workload.writer_beside) {
    const Part part{*find_workload("overwrite"), job.durability, 0, 1, true, 0};
    recruits.push_back(recruit(settings_, part, zipf, engine, noise_));
  }

  progress_.show(job.label + "  drawing keys");
  Team team(std::move(recruits), workload.writer_beside ? 1 : 0);
  team.start();
  const auto start = SteadyClock::now();
  const ProgressText text(job.label, settings_.operations(workload), duration_s);
  while (!team.wait()) {
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    if (interrupted() || (duration_s > 0 && seconds >= duration_s)) team.stop();
    progress_.show(text.at(team.done(), seconds));
  }
  progress_.clear();
  const std::vector<std::unique_ptr<Worker>> workers = team.finish();
  if (interrupted()) throw Interrupted{};
  return summed(workers, settings_.threads);
}

}  // namespace bench
