#include "actors/actor_options.h"

#include "store/sampler.h"

#include <chrono>
#include <cstddef>
#include <string>

namespace actable::actors {
namespace {

constexpr std::size_t k_mailbox_max = std::size_t{1} << 20;
constexpr std::size_t k_waiters_max = std::size_t{1} << 24;
constexpr unsigned k_analytics_actors_max = 64;
// Longer times would not fit into a point of the clock, which counts nanoseconds.
constexpr std::chrono::hours k_time_max{24 * 365};

}  // namespace

Result<void> check_sampling(unsigned every) {
  if (every <= store::Sampler::k_every_max) return {};
  return fail(ErrorCode::invalid_argument, "to look at one of " + std::to_string(every) +
                                               " operations was asked for; it takes 1 to 2^20, or 0 for none");
}

Result<void> check_actor_options(const ActorOptions& options) {
  if (options.mailbox_max < 1 || options.mailbox_max > k_mailbox_max) {
    return fail(ErrorCode::invalid_argument,
                "ActorOptions::mailbox_max is " + std::to_string(options.mailbox_max) + "; it takes 1 to 2^20");
  }
  if (options.waiters_max < 1 || options.waiters_max > k_waiters_max) {
    return fail(ErrorCode::invalid_argument,
                "ActorOptions::waiters_max is " + std::to_string(options.waiters_max) + "; it takes 1 to 2^24");
  }
  if (options.restart_delay_max > k_time_max || options.restart_window > k_time_max) {
    return fail(ErrorCode::invalid_argument,
                "ActorOptions::restart_delay_max is " + std::to_string(options.restart_delay_max.count()) +
                    " ms and restart_window " + std::to_string(options.restart_window.count()) +
                    " ms; they take 365 days at most");
  }
  if (options.restart_delay.count() < 0 || options.restart_delay_max < options.restart_delay) {
    return fail(ErrorCode::invalid_argument, "ActorOptions::restart_delay is " +
                                                 std::to_string(options.restart_delay.count()) +
                                                 " ms; it takes 0 to restart_delay_max, which is " +
                                                 std::to_string(options.restart_delay_max.count()) + " ms");
  }
  if (auto checked = check_sampling(options.sample_every); !checked) return checked;
  if (options.analytics_actors < 1 || options.analytics_actors > k_analytics_actors_max) {
    return fail(ErrorCode::invalid_argument,
                "ActorOptions::analytics_actors is " + std::to_string(options.analytics_actors) + "; it takes 1 to 64");
  }
  if (options.analytics_window.count() <= 0 || options.analytics_window > k_time_max) {
    return fail(ErrorCode::invalid_argument, "ActorOptions::analytics_window is " +
                                                 std::to_string(options.analytics_window.count()) +
                                                 " ms; it takes 1 ms to 365 days");
  }
  if (options.restart_window.count() <= 0) {
    return fail(ErrorCode::invalid_argument, "ActorOptions::restart_window is " +
                                                 std::to_string(options.restart_window.count()) +
                                                 " ms; it has to be longer than none");
  }
  return {};
}

}  // namespace actable::actors
