// Starting, stopping, and a system that ends first; with real threads.

#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/wait.h"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <atomic>
#include <optional>

using namespace actable;
using namespace actable::test;

namespace {

const RequestOptions k_plain{};

caf::actor_system_config& two_threads(caf::actor_system_config& config) {
  config.set("scheduler.max-threads", 2);
  return config;
}

/// The answer's value, or its error.
template <class T, class... Ts>
Result<T> ask(caf::scoped_actor& self, const caf::actor& whom, Ts&&... message) {
  std::optional<Result<T>> came;
  self->request(whom, caf::infinite, std::forward<Ts>(message)...)
      .receive([&](T& value) { came = std::move(value); },
               [&](const caf::error& error) { came = std::unexpected(to_error(error)); });
  return *std::move(came);
}

template <class T, class Handle, class... Ts>
Result<T> ask(caf::actor_system& system, const Handle& whom, Ts&&... message) {
  caf::scoped_actor self(system);
  return ask<T>(self, caf::actor_cast<caf::actor>(whom), std::forward<Ts>(message)...);
}

Options options_in(const TemporaryDirectory& directory) {
  Options options = lazy_store(directory / "store");
  options.write_interval = std::chrono::milliseconds(1);
  options.sync_interval = std::chrono::milliseconds(5);
  return options;
}

}  // namespace

TEST_CASE("a store started in an actor system answers, syncs, stops, and is there when started again", "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  {
    StoreActors store = must(start(system, options_in(directory)));
    const SpaceActor space = must(store.space_actor("s"));
    CHECK(must(store.space_actor("s")) == space);
    const Seq synced =
        must(ask<Seq>(system, space, put_atom::value, std::string("k"), std::string("v"), k_sync_request));
    CHECK(store.store().durable_seq() >= synced);
    CHECK(must(ask<Seq>(system, store.log(), durable_atom::value, synced)) == synced);
    must(ask<Seq>(system, space, put_atom::value, std::string("later"), std::string("w"), k_plain));
    must(store.stop());
    must(store.stop());
  }
  StoreActors store = must(start(system, options_in(directory)));
  CHECK(store.store().stats().recovery.clean);
  Space space = must(store.store().space("s"));
  CHECK(must(space.get("k")) == "v");
  CHECK(must(space.get("later")) == "w");
}

TEST_CASE("subscribers are told by the running log", "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  StoreActors store = must(start(system, options_in(directory)));
  Space space = must(store.store().space("s"));
  std::atomic<Seq> told{0};
  const DurableSubscriber subscriber =
      system.spawn<caf::hidden>([&told](DurableSubscriber::pointer) -> DurableSubscriber::behavior_type {
        return {[&told](durable_atom, Seq seq) { told = seq; }, [](failed_atom, const std::string&) {}};
      });
  caf::anon_send(store.log(), subscribe_atom::value, subscriber, Seq{0});
  const Seq seq = must(space.put("k", "v"));
  until("the subscriber is told", [&] { return told >= seq; });
}

TEST_CASE("after stopping, whoever holds a handle gets `closed`, and who monitors one is told", "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  StoreActors store = must(start(system, options_in(directory)));
  const SpaceActor space = must(store.space_actor("s"));
  const Space direct = must(store.store().space("s"));
  const StoreActor of_store = store.actor();
  const LogActor log = store.log();
  std::atomic<unsigned> told{0};
  const auto count = [&told](const caf::error&) { ++told; };
  caf::actor_cast<caf::abstract_actor*>(space)->attach_functor(count);
  caf::actor_cast<caf::abstract_actor*>(of_store)->attach_functor(count);
  caf::actor_cast<caf::abstract_actor*>(log)->attach_functor(count);
  must(store.stop());
  CHECK(told == 3);
  CHECK(outcome(ask<Found>(system, space, get_atom::value, std::string("k"), k_plain)) == "closed");
  CHECK(outcome(ask<Seq>(system, of_store, sync_atom::value)) == "closed");
  CHECK(outcome(ask<Seq>(system, log, durable_atom::value, Seq{1})) == "closed");
  CHECK(outcome(direct.get("k")) == "closed");
  CHECK(outcome(store.space_actor("s")) == "closed");
  CHECK(store.stats().at(0).state == ActorStats::State::stopped);
}

TEST_CASE("stopping beside actors that write gives each of them an answer, and keeps what was acknowledged",
          "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  constexpr int k_actors = 4;
  std::atomic<int> ended{0};
  std::array<std::atomic<std::int64_t>, k_actors> acknowledged{};
  std::atomic<bool> wrong{false};
  {
    StoreActors store = must(start(system, options_in(directory)));
    const SpaceActor space = must(store.space_actor("s"));
    for (int number = 0; number < k_actors; ++number) {
      // Adds one to its counter, durably, again and again until the store is closed.
      system.spawn([&, space, number](caf::event_based_actor* self) {
        const auto again = std::make_shared<std::function<void()>>();
        *again = [&, space, number, self, weak = std::weak_ptr(again)] {
          self->request(space, caf::infinite, add_atom::value, std::to_string(number), std::int64_t{1}, k_sync_request)
              .then(
                  [&, number, keep = weak.lock()](std::int64_t sum) {
                    acknowledged.at(static_cast<std::size_t>(number)) = sum;
                    (*keep)();
                  },
                  [&, self](const caf::error& error) {
                    // The last one may have been made, and closing have overtaken its sync.
                    const ErrorCode code = to_error(error).code;
                    if (code != ErrorCode::closed && code != ErrorCode::indeterminate) wrong = true;
                    ++ended;
                    self->quit();
                  });
        };
        (*again)();
      });
    }
    until("all have written",
          [&] { return std::ranges::all_of(acknowledged, [](const auto& sum) { return sum.load() > 2; }); });
    must(store.stop());
    until("all have heard", [&] { return ended == k_actors; });
  }
  CHECK_FALSE(wrong);
  Store reopened = must(Store::open(options_in(directory)));
  Space space = must(reopened.space("s"));
  for (int number = 0; number < k_actors; ++number) {
    CHECK(must(space.add(std::to_string(number), 0)) >= acknowledged.at(static_cast<std::size_t>(number)));
  }
}

TEST_CASE("a system that ends closes the store, cleanly, though nobody stopped it", "[lifetime]") {
  const TemporaryDirectory directory;
  std::optional<StoreActors> store;
  SpaceActor space;
  {
    caf::actor_system_config config;
    caf::actor_system system(two_threads(config));
    store = must(start(system, options_in(directory)));
    space = must(store->space_actor("s"));
    must(ask<Seq>(system, space, put_atom::value, std::string("k"), std::string("v"), k_plain));
  }
  CHECK(outcome(store->store().sync()) == "closed");
  CHECK(outcome(store->stop()) == "ok");
  store.reset();
  Store reopened = must(Store::open(options_in(directory)));
  CHECK(reopened.stats().recovery.clean);
  CHECK(must(must(reopened.space("s")).get("k")) == "v");
}

TEST_CASE("stopping from inside a visitor is refused, and done when it is tried again", "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  StoreActors store = must(start(system, options_in(directory)));
  Space space = must(store.store().space("s"));
  must(space.put("k", "v"));
  std::string inside;
  REQUIRE(must(space.visit("k", [&](const Entry&) { inside = outcome(store.stop()); })));
  CHECK(inside == "invalid_argument");
  CHECK(must(space.get("k")) == "v");
  must(store.stop());
  CHECK(outcome(space.get("k")) == "closed");
}

TEST_CASE("what cannot be started says why", "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  CHECK(outcome(start(system, {}, {.mailbox_max = 0})) == "invalid_argument");
  CHECK(outcome(start(system, {}, {.waiters_max = 0})) == "invalid_argument");
  CHECK(outcome(start(system, {}, {.restart_delay = std::chrono::milliseconds(-1)})) == "invalid_argument");
  CHECK(outcome(start(system, {}, {.restart_delay_max = std::chrono::milliseconds(1)})) == "invalid_argument");
  CHECK(outcome(start(system, {}, {.restart_window = std::chrono::milliseconds(0)})) == "invalid_argument");
  // For ever, it may seem; but no clock counts so far.
  constexpr auto k_longest = std::chrono::milliseconds::max();
  CHECK(outcome(start(system, {}, {.restart_window = k_longest})) == "invalid_argument");
  CHECK(outcome(start(system, {}, {.restart_delay_max = k_longest})) == "invalid_argument");
  const StoreActors first = must(start(system, options_in(directory)));
  CHECK(outcome(start(system, options_in(directory))) == "locked");
}

TEST_CASE("destroying or replacing closes", "[lifetime]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(two_threads(config));
  StoreActors store = must(start(system, options_in(directory)));
  store = must(start(system, {}));
  StoreActors again = must(start(system, options_in(directory)));
  const Space space = must(again.store().space("s"));
  again = std::move(store);
  CHECK(outcome(space.get("k")) == "closed");
}
