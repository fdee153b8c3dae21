// Memory that runs out at each allocation in turn, on the thread that runs the
// actors.

#include "store/checks.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/failing_memory.h"

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <string>

using namespace actable;
using namespace actable::test;

namespace {

const RequestOptions k_plain{};
using State = ActorStats::State;

/// Calls `f` on a fresh `Scene`, with the first allocation failing, then the
/// second, and so on until none fails; and `check` after each, with memory.
template <class Scene>
void at_each_allocation(const std::function<void(Scene&)>& f, const std::function<void(Scene&)>& check) {
  constexpr std::uint64_t k_allocations_max = 10'000;
  bool failed = true;
  for (std::uint64_t nth = 1; failed && nth < k_allocations_max; ++nth) {
    CAPTURE(nth);
    Scene scene;
    {
      const FailingMemory memory(nth);
      f(scene);
      failed = memory.failed();
    }
    check(scene);
  }
  CHECK_FALSE(failed);
}

/// A store on disk with a subscriber to its log, and a write that is on disk,
/// of which nobody has been told.
struct Told {
  Told() {
    space = stage.space("s");
    subscriber = spawn_subscriber(stage.system(), notices);
    caf::anon_send(stage.tree().log_actor(), subscribe_atom::value, subscriber, Seq{0});
    put = stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
    last = stage.store().last_seq();
    must(stage.store().wait_durable(last));
  }

  TemporaryDirectory directory;
  Stage stage{lazy_store(directory / "store")};
  SpaceActor space;
  std::shared_ptr<Notices> notices = std::make_shared<Notices>();
  DurableSubscriber subscriber;
  Answer<Seq> put;
  Seq last = 0;
};

/// A store in memory.
struct InMemory {
  Stage stage{{}, {.restart_delay_max = std::chrono::milliseconds(10)}};
};

}  // namespace

TEST_CASE("the log's actor tells what it could not tell for lack of memory", "[memory]") {
  struct Poked : Told {
    Poked() { stage.tree().board().changed(); }
  };
  at_each_allocation<Poked>([](Poked& scene) { scene.stage.step(); },
                            [](Poked& scene) {
                              scene.stage.run();
                              scene.stage.pass(std::chrono::seconds(1));
                              scene.stage.log_advances();
                              CHECK(outcome(scene.put) == "ok");
                              REQUIRE_FALSE(scene.notices->numbers.empty());
                              CHECK(scene.notices->numbers.back() >= scene.last);
                            });
}

TEST_CASE("a crashed actor is started again though memory runs out meanwhile", "[memory]") {
  struct Crashed : InMemory {
    Crashed() {
      stage.crash("log");
      stage.step();
    }
  };
  at_each_allocation<Crashed>(
      [](Crashed& scene) {
        scene.stage.run();
        scene.stage.pass(std::chrono::milliseconds(10));
      },
      [](Crashed& scene) {
        for (int i = 0; i < 3; ++i) scene.stage.pass(std::chrono::seconds(1));
        CHECK(scene.stage.stats_of("log").state == State::running);
        CHECK(scene.stage.stats_of("log").restarts >= 1);
      });
}

TEST_CASE("a new actor is supervised, and there once, though memory runs out for the supervisor", "[memory]") {
  struct Started : InMemory {
    Started() { (void)must(stage.tree().space_actor("s", {})); }
  };
  at_each_allocation<Started>([](Started& scene) { scene.stage.run(); },
                              [](Started& scene) {
                                scene.stage.pass(std::chrono::seconds(1));
                                // The actor itself may have crashed when it started.
                                const ActorStats started = scene.stage.stats_of("space s");
                                CHECK((started.restarts == 0) == started.last_crash.empty());
                                scene.stage.crash("space s");
                                scene.stage.run();
                                scene.stage.pass(std::chrono::seconds(1));
                                CHECK(scene.stage.stats_of("space s").restarts == started.restarts + 1);
                                CHECK(scene.stage.stats_of("space s").state == State::running);
                              });
}

TEST_CASE("a space's actor that could not be started for lack of memory can be asked for again", "[memory]") {
  at_each_allocation<InMemory>(
      [](InMemory& scene) {
        const auto asked = store::guarded("", [&] { return scene.stage.tree().space_actor("s", {}); });
        if (!asked) CHECK(outcome(asked) == "no_memory");
      },
      [](InMemory& scene) {
        const SpaceActor space = scene.stage.space("s");
        CHECK(outcome(scene.stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain)) == "ok");
      });
}

TEST_CASE("a value for which there is no memory is refused, and crashes no actor", "[memory]") {
  constexpr std::size_t k_value_bytes = 100'000;
  struct WithValue : InMemory {
    WithValue() {
      must(must(stage.store().space("s")).put("k", std::string(k_value_bytes, 'v')));
      space = stage.space("s");
      answer = stage.send<Found>(space, get_atom::value, "k", k_plain);
    }
    SpaceActor space;
    Answer<Found> answer;
  };
  unsigned refused = 0;
  at_each_allocation<WithValue>([](WithValue& scene) { scene.stage.run(); },
                                [&](WithValue& scene) {
                                  if (outcome(scene.answer) != "no_memory") return;
                                  ++refused;
                                  CHECK(scene.stage.stats_of("space s").last_crash.empty());
                                });
  CHECK(refused != 0);
}

TEST_CASE("closing without memory is refused, and done when it is tried again", "[memory]") {
  at_each_allocation<Told>(
      [](Told& scene) {
        const auto closed = scene.stage.tree().close();
        if (!closed) CHECK(outcome(closed) == "no_memory");
      },
      [](Told& scene) {
        must(scene.stage.tree().close());
        scene.stage.run();
        CHECK(outcome(scene.put) == "ok");
        CHECK(outcome(scene.stage.ask<Found>(scene.space, get_atom::value, "k", k_plain)) == "closed");
      });
}
