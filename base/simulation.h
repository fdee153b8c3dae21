#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#if defined(ACTABLE_PARK_POINTS)
#include <functional>
#include <optional>
#include <string_view>
#endif

/// Time and randomness, and the seam at which a test takes their place. With
/// ACTABLE_PARK_POINTS (the tests' builds) a `Simulation` can be put under the
/// whole store: it then owns the clock, the random numbers, and the choice of
/// the thread that goes on at each named step, so that a run with many threads
/// is repeated exactly by its seed. Elsewhere nothing of it is compiled in.
namespace actable::base {

using TimePoint = std::chrono::steady_clock::time_point;

#if defined(ACTABLE_PARK_POINTS)

/// Thread safety: *synchronized*.
class Simulation {
 public:
  Simulation() = default;
  virtual ~Simulation() = default;
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  [[nodiscard]] virtual TimePoint now() noexcept = 0;
  [[nodiscard]] virtual std::uint64_t random_word() = 0;

  /// The calling thread has come to a named step (base/park.h).
  virtual void reach(std::string_view step) = 0;

  /// The calling thread passes a fail point (base/park.h). It may hold locks, so
  /// it must not be made to wait.
  virtual void pass(std::string_view /*fail_point*/) {}

  /// Returns when `ready` holds, or at `until`. The calling thread goes on to
  /// wait for the same in earnest, and finds that it need not.
  virtual void await(std::string_view step, const std::function<bool()>& ready, std::optional<TimePoint> until) = 0;
};

/// The one in use; null: the real thing. Set while no other thread uses a store.
inline constinit std::atomic<Simulation*> simulation{nullptr};

#endif

/// True while a simulation is in use, which decides who goes on: threads that it does not
/// know must not be started.
[[nodiscard]] inline bool simulated() noexcept {
#if defined(ACTABLE_PARK_POINTS)
  // relaxed: as in Clock::now.
  return simulation.load(std::memory_order_relaxed) != nullptr;
#else
  return false;
#endif
}

/// A clock in the sense of the standard, steady.
struct Clock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = TimePoint;
  static constexpr bool is_steady = true;

  [[nodiscard]] static time_point now() noexcept {
#if defined(ACTABLE_PARK_POINTS)
    // relaxed: it was set before the calling thread began.
    if (Simulation* const s = simulation.load(std::memory_order_relaxed)) return s->now();
#endif
    return std::chrono::steady_clock::now();
  }
};

/// A number that nobody can foretell. Slow: it asks the operating system.
[[nodiscard]] std::uint64_t random_word();

}  // namespace actable::base
