#include "benchmarks/engines/actor_run.h"

#include "benchmarks/clock.h"
#include "benchmarks/engine.h"
#include "benchmarks/interrupt.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

namespace bench {

namespace {

/// As often as the runner looks at threads.
constexpr auto k_look_every = std::chrono::milliseconds(37);

Outcome summed(const std::vector<ActorDid>& all) {
  Outcome outcome;
  std::uint64_t began = std::numeric_limits<std::uint64_t>::max(), ended = 0;
  std::vector<double> rates;
  for (const ActorDid& did : all) {
    outcome.ops += did.ops;
    outcome.latency.merge(did.latency);
    began = std::min(began, did.began);
    ended = std::max(ended, did.ended);
    rates.push_back(static_cast<double>(did.ops) /
                    static_cast<double>(std::max<std::uint64_t>(did.ended - did.began, 1)));
  }
  outcome.seconds = Clock::get().ns(ended - began) / 1e9;
  outcome.fairness = fairness_of(rates);
  return outcome;
}

}  // namespace

void ActorRun::ended(ActorDid did) {
  const std::lock_guard lock(mutex_);
  did_.push_back(std::move(did));
  if (--running_ == 0) all_ended_.notify_all();
}

void ActorRun::failed(const std::string& what) {
  // relaxed: a flag alone; what happened is under the mutex.
  stop_.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = what;
  if (--running_ == 0) all_ended_.notify_all();
}

bool ActorRun::all_ended_soon() {
  std::unique_lock lock(mutex_);
  return all_ended_.wait_for(lock, k_look_every, [this] { return running_ == 0; });
}

Outcome ActorRun::finish(double duration_s, const std::function<void(double seconds)>& waiting) {
  using SteadyClock = std::chrono::steady_clock;
  const auto start = SteadyClock::now();
  while (!all_ended_soon()) {
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    // relaxed: as above.
    if (interrupted() || (duration_s > 0 && seconds >= duration_s)) stop_.store(true, std::memory_order_relaxed);
    waiting(seconds);
  }
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw Failure(failure_);
  if (interrupted()) throw Interrupted{};
  return summed(did_);
}

}  // namespace bench
