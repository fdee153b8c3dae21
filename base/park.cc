#include "base/park.h"

#if defined(ACTABLE_PARK_POINTS)

#include <condition_variable>
#include <mutex>
#include <string>

namespace actable::base::park {
namespace {

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  std::string point;
  unsigned passes_left = 0;
  bool parked = false;
  bool gave_up = false;
};

State& state() {
  static State instance;
  return instance;
}

thread_local bool t_volunteer = false;
// Beside the state, so that the others pass an armed step without its lock.
// relaxed throughout: who sees it late passes once more.
constinit std::atomic<bool> all_stop{false};

}  // namespace

void arm(std::string_view point, unsigned nth, Stops who) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.point = point;
  s.passes_left = nth;
  s.parked = false;
  s.gave_up = false;
  all_stop.store(who == Stops::anyone, std::memory_order_relaxed);
  armed.store(true, std::memory_order_release);
}

void volunteer(bool may_stop) noexcept { t_volunteer = may_stop; }

bool wait_until_parked() {
  State& s = state();
  std::unique_lock lock(s.mutex);
  s.changed.wait(lock, [&] { return s.parked || s.gave_up; });
  return s.parked;
}

void give_up() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.gave_up = true;
  s.changed.notify_all();
}

void release() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  armed.store(false, std::memory_order_release);
  s.point.clear();
  s.parked = false;
  s.changed.notify_all();
}

void simulate(Simulation* other) noexcept {
  simulation.store(other, std::memory_order_release);
  armed.store(other != nullptr, std::memory_order_release);
}

void reach(std::string_view point) {
  if (Simulation* const simulated = simulation.load(std::memory_order_acquire)) {
    simulated->reach(point);
    return;
  }
  if (!t_volunteer && !all_stop.load(std::memory_order_relaxed)) return;
  State& s = state();
  std::unique_lock lock(s.mutex);
  if (s.point != point || s.parked || --s.passes_left != 0) return;
  s.parked = true;
  s.changed.notify_all();
  s.changed.wait(lock, [&] { return !s.parked; });
}

}  // namespace actable::base::park

#endif
