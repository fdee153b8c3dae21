#include "examples/service/reporter.h"

#include <cstdio>
#include <string>
#include <vector>

namespace service {

namespace {

void print(const actable::StoreStats& store, const std::vector<actable::ActorStats>& actors) {
  std::uint64_t restarts = 0;
  for (const actable::ActorStats& actor : actors) restarts += actor.restarts;
  std::printf(
      "log: %llu bytes in %llu rounds, %llu syncs, the longest %.2f ms; %.1f ms behind; %zu actors, "
      "%llu restarts\n",
      static_cast<unsigned long long>(store.log.written_bytes), static_cast<unsigned long long>(store.log.rounds),
      static_cast<unsigned long long>(store.log.syncs), static_cast<double>(store.log.sync_duration_max.count()) / 1e3,
      static_cast<double>(store.durable_lag.count()) / 1e3, actors.size(), static_cast<unsigned long long>(restarts));
  std::fflush(stdout);
}

void complain(const std::string& message) { std::fprintf(stderr, "service: %s\n", message.c_str()); }

}  // namespace

caf::behavior reporter(caf::event_based_actor* self, const actable::StoreActor& store, const Limiter& limiter,
                       std::chrono::milliseconds interval) {
  self->delayed_send(self, interval, caf::tick_atom::value);
  return {[=, sweeper = limiter](caf::tick_atom) mutable {
    if (const auto swept = sweeper.sweep(Limiter::Clock::now()); !swept) complain(swept.error().message);
    self->request(store, caf::infinite, actable::stats_atom::value)
        .then([](const actable::StoreStats& stats,
                 const std::vector<actable::ActorStats>& actors) { print(stats, actors); },
              [](const caf::error& error) { complain(actable::to_error(error).message); });
    self->delayed_send(self, interval, caf::tick_atom::value);
  }};
}

}  // namespace service
