#pragma once

#include "base/simulation.h"

#include <atomic>
#include <string_view>

/// Named steps that a test can stop a thread at, to show that no other thread
/// waits for it. They are compiled in with ACTABLE_PARK_POINTS only (the tests'
/// builds); elsewhere `ACTABLE_PARK` is nothing.
#if defined(ACTABLE_PARK_POINTS)

namespace actable::base::park {

/// `anyone`: for steps of threads that the library starts itself.
enum class Stops { volunteers, anyone };

/// The next thread that has volunteered and reaches `point` for the `nth` time
/// (1: the first) stops there until `release`. One point at a time.
void arm(std::string_view point, unsigned nth = 1, Stops who = Stops::volunteers);

/// Marks the calling thread as one that may be stopped.
void volunteer(bool may_stop) noexcept;

/// Waits until a thread stops at the armed point, or until `gave_up` becomes
/// true (the volunteer ended without reaching it; it calls `give_up`). True
/// when a thread stopped.
[[nodiscard]] bool wait_until_parked();
void give_up();

/// Lets the stopped thread go and disarms.
void release();

/// Puts a simulation in the place of the system: every thread that reaches a
/// step tells it. Null ends that.
void simulate(Simulation* simulation) noexcept;

inline constinit std::atomic<bool> armed{false};
void reach(std::string_view point);

}  // namespace actable::base::park

#define ACTABLE_PARK(point)                                             \
  do {                                                                  \
    if (::actable::base::park::armed.load(std::memory_order_relaxed)) { \
      ::actable::base::park::reach(point);                              \
    }                                                                   \
  } while (false)

/// Stands where a thread begins, ends, or is about to let others run: a step for
/// simulations alone.
#define ACTABLE_YIELD(point)                                                                   \
  do {                                                                                         \
    if (auto* const simulated = ::actable::base::simulation.load(std::memory_order_relaxed)) { \
      simulated->reach(point);                                                                 \
    }                                                                                          \
  } while (false)

/// Stands before a wait in earnest for what `ready` says, so that a simulation
/// lets the other threads go on meanwhile.
#define ACTABLE_AWAIT(point, ready)                                                            \
  do {                                                                                         \
    if (auto* const simulated = ::actable::base::simulation.load(std::memory_order_relaxed)) { \
      simulated->await(point, ready, std::nullopt);                                            \
    }                                                                                          \
  } while (false)

/// Stands between two changes of the files, or between a change and what is made
/// of it: a place at which a simulation may end the process, to see what the
/// next opening makes of it. Nobody is stopped there.
#define ACTABLE_FAIL_POINT(point)                                                              \
  do {                                                                                         \
    if (auto* const simulated = ::actable::base::simulation.load(std::memory_order_relaxed)) { \
      simulated->pass(point);                                                                  \
    }                                                                                          \
  } while (false)

#else
#define ACTABLE_FAIL_POINT(point) ((void)0)
#define ACTABLE_PARK(point) ((void)0)
#define ACTABLE_YIELD(point) ((void)0)
#define ACTABLE_AWAIT(point, ready) ((void)0)
#endif
