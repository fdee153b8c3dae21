// Crashes: what starts again, when, and what happens when it does not help.

#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"

#include <caf/send.hpp>

#include <new>
#include <optional>

using namespace actable;
using namespace actable::test;

namespace {

using State = ActorStats::State;
using std::chrono::milliseconds;

const RequestOptions k_plain{};

}  // namespace

TEST_CASE("a crashed actor is started again after its delay, behind the same handle", "[supervisor]") {
  Stage stage({}, {.restart_delay = milliseconds(10)});
  const SpaceActor space = stage.space("s");
  const Seq seq = must(**stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain));
  stage.crash("space s");
  stage.run();
  CHECK(stage.stats_of("space s").state == State::restarting);
  CHECK_FALSE(stage.stats_of("space s").last_crash.empty());
  // Refused, so that whoever asks knows that nothing was changed.
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "w", k_plain)) == "overloaded");
  stage.pass(milliseconds(9));
  CHECK(stage.stats_of("space s").state == State::restarting);
  stage.pass(milliseconds(1));
  CHECK(stage.stats_of("space s").state == State::running);
  CHECK(stage.stats_of("space s").restarts == 1);
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "k", k_plain)) == Found{seq, "v"});
  CHECK(stage.space("s") == space);
  // Others went on.
  CHECK(stage.stats_of("store").restarts == 0);
  CHECK(stage.stats_of("log").restarts == 0);
}

TEST_CASE("a request that waits for an actor that crashes is answered, and not as a refused one", "[supervisor]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const auto answer = std::make_shared<std::optional<Result<Seq>>>();
  stage.system().spawn<caf::hidden>([&](caf::event_based_actor* self) {
    stage.crash("space s");
    self->request(space, caf::infinite, put_atom::value, std::string("k"), std::string("v"), k_plain)
        .then([answer](Seq seq) { *answer = seq; },
              [answer](const caf::error& error) { *answer = std::unexpected(to_error(error)); });
  });
  stage.run();
  CHECK(outcome(answer) == "indeterminate");
}

TEST_CASE("the delay doubles with each crash, up to its limit, and is short again after a quiet time", "[supervisor]") {
  const ActorOptions options{.restart_delay = milliseconds(10),
                             .restart_delay_max = milliseconds(35),
                             .restarts_max = 100,
                             .restart_window = milliseconds(1'000)};
  Stage stage({}, options);
  const auto comes_back_after = [&](milliseconds delay) {
    stage.crash("store");
    stage.run();
    stage.pass(delay - milliseconds(1));
    const bool early = stage.stats_of("store").state == State::running;
    stage.pass(milliseconds(1));
    return !early && stage.stats_of("store").state == State::running;
  };
  CHECK(comes_back_after(milliseconds(10)));
  CHECK(comes_back_after(milliseconds(20)));
  CHECK(comes_back_after(milliseconds(35)));
  CHECK(comes_back_after(milliseconds(35)));
  stage.pass(milliseconds(1'001));
  CHECK(comes_back_after(milliseconds(10)));
}

TEST_CASE("past the limit the actor is given up, the store takes no more writes, and the host is told",
          "[supervisor]") {
  const TemporaryDirectory directory;
  std::vector<std::string> heard;
  std::vector<std::string> logged;
  Options options = lazy_store(directory / "store");
  options.log = [&](LogLevel level, std::string_view line) {
    if (level >= LogLevel::warning) logged.emplace_back(line);
  };
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system(config);
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  const caf::actor host = system.spawn<caf::hidden>([&](caf::event_based_actor*) -> caf::behavior {
    return {[&](read_only_atom, const std::string& reason) { heard.push_back(reason); }};
  });
  auto tree = must(actors::Tree::start(system, options, {.restarts_max = 2, .host = host}, {.watch_log = false}));
  const SpaceActor actor = must(tree->space_actor("s", {}));
  const SpaceActor other = must(tree->space_actor("other", {}));
  Space space = must(tree->store().space("s"));
  Space memory = must(tree->store().space("memory", {.logged = false}));
  must(space.put("k", "before"));
  unsigned told_ends = 0;
  const auto count_end = [&told_ends](const caf::error&) { ++told_ends; };
  caf::actor_cast<caf::abstract_actor*>(actor)->attach_functor(count_end);
  caf::actor_cast<caf::abstract_actor*>(other)->attach_functor(count_end);
  const std::size_t space_s = child_named(*tree, "space s");
  for (int crash = 0; crash < 3; ++crash) {
    CHECK(heard.empty());
    CHECK(told_ends == 0);
    tree->gate(space_s).crash();
    scheduler.run();
    scheduler.advance_time(std::chrono::seconds(1));
    scheduler.run();
  }
  CHECK(tree->actor_stats()[space_s].state == State::stopped);
  CHECK(told_ends == 1);
  REQUIRE(heard.size() == 1);
  CHECK_THAT(heard[0], ContainsSubstring("space s"));
  CHECK(logged.size() == 3);

  const StoreStats stats = tree->store_stats();
  CHECK(stats.read_only);
  CHECK(stats.read_only_reason == heard[0]);
  CHECK(tree->store().stats().read_only_reason == heard[0]);
  CHECK(outcome(space.put("k", "after")) == "read_only");
  CHECK(must(space.get("k")) == "before");

  const auto ask = [&]<class T>(T, const SpaceActor& whom, auto... message) {
    std::string came;
    system.spawn<caf::hidden>([&](caf::event_based_actor* self) {
      self->request(caf::actor_cast<caf::actor>(whom), caf::infinite, message...)
          .then([&](T&) { came = "ok"; },
                [&](const caf::error& error) { came = std::string(to_string(to_error(error).code)); });
    });
    scheduler.run();
    return came;
  };
  CHECK(ask(Found(), actor, get_atom::value, std::string("k"), k_plain) == "closed");
  CHECK(ask(Seq(), other, put_atom::value, std::string("k"), std::string("v"), k_plain) == "read_only");
  CHECK(ask(SpaceStats(), other, stats_atom::value) == "ok");
  const SpaceActor unlogged = must(tree->space_actor("memory", {.logged = false}));
  CHECK(ask(Seq(), unlogged, put_atom::value, std::string("k"), std::string("v"), k_plain) == "read_only");
  must(tree->close());
  scheduler.run();

  Store reopened = must(Store::open(options));
  CHECK(must(must(reopened.space("s")).get("k")) == "before");
}

TEST_CASE("the supervisor outlives an exception, and starts the actor again", "[supervisor]") {
  Options options;
  options.log = [](LogLevel level, std::string_view) {
    if (level == LogLevel::warning) throw std::bad_alloc();
  };
  Stage stage(options, {.restart_delay = milliseconds(1), .restart_delay_max = milliseconds(5)});
  for (std::uint64_t crashes = 1; crashes <= 2; ++crashes) {
    stage.crash("store");
    stage.run();
    stage.pass(milliseconds(5));
    CHECK(stage.stats_of("store").state == State::running);
    CHECK(stage.stats_of("store").restarts == crashes);
  }
}

TEST_CASE("a crash of the log's actor loses no subscriber and no promise", "[supervisor]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(lazy_store(directory / "store"), {.restart_delay = milliseconds(1)}, files);
  const SpaceActor space = stage.space("s");
  const auto notices = std::make_shared<Notices>();
  const DurableSubscriber subscriber = spawn_subscriber(stage.system(), notices);
  constexpr Seq k_all = 0;
  caf::anon_send(stage.tree().log_actor(), subscribe_atom::value, subscriber, k_all);
  // The answer to a notice may find the actor gone that sent it.
  notices->answers = false;
  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  const auto put = stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
  stage.crash("log");
  stage.run();
  held.reset();
  must(stage.store().wait_durable(stage.store().last_seq()));
  // Told to nobody; the next one looks by itself.
  stage.log_advances();
  CHECK(outcome(put) == "pending");
  const std::size_t before = notices->numbers.size();
  stage.pass(milliseconds(1));
  REQUIRE(outcome(put) == "ok");
  REQUIRE(notices->numbers.size() == before + 1);
  CHECK(notices->numbers.back() >= must(**put));
  // A promise keeps the actor that made it, and so itself.
  answer_notices(stage, subscriber);
}

TEST_CASE("a log's actor that is given up leaves nobody waiting", "[supervisor]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(lazy_store(directory / "store"), {.restarts_max = 0}, files);
  const SpaceActor space = stage.space("s");
  const HeldCalls held(files, Call::sync);
  const auto put = stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
  CHECK(outcome(put) == "pending");
  stage.crash("log");
  stage.run();
  CHECK(outcome(put) == "indeterminate");
  CHECK(stage.stats_of("log").state == State::stopped);
}

TEST_CASE("a store in memory that takes no more writes by message says so", "[supervisor]") {
  std::vector<std::string> errors;
  Options options;
  options.log = [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::error) errors.emplace_back(line);
  };
  Stage stage(options, {.restarts_max = 0});
  const SpaceActor space = stage.space("s");
  stage.crash("store");
  stage.run();
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0], ContainsSubstring("the actor store crashed"));
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain)) == "read_only");
  CHECK(outcome(stage.ask<Found>(space, get_atom::value, "k", k_plain)) == "ok");
}

TEST_CASE("nobody can end an actor with its handle", "[supervisor]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  // Whatever words are used for it, they are not those of the floor.
  caf::anon_send(caf::actor_cast<caf::actor>(space), caf::atom_constant<caf::atom("stop")>::value);
  caf::anon_send_exit(space, caf::exit_reason::kill);
  caf::anon_send_exit(stage.tree().store_actor(), caf::exit_reason::user_shutdown);
  // Nor by dying while linked to it.
  const caf::actor linked = stage.system().spawn<caf::hidden>([&](caf::event_based_actor* self) -> caf::behavior {
    self->link_to(space);
    return {[](int) {}};
  });
  stage.run();
  caf::anon_send_exit(linked, caf::exit_reason::kill);
  stage.run();
  CHECK(stage.stats_of("space s").state == State::running);
  CHECK(stage.stats_of("space s").restarts == 0);
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain)) == "ok");
  CHECK(outcome(stage.ask<Seq>(stage.tree().store_actor(), write_atom::value, std::vector<Change>{}, k_plain)) == "ok");
}

TEST_CASE("the host is told that the store takes no more writes, though its function for lines throws",
          "[supervisor]") {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system(config);
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  const auto at = GENERATE(LogLevel::error, LogLevel::warning);
  const TemporaryDirectory directory;
  Options options = lazy_store(directory / "store");
  options.log = [at](LogLevel level, std::string_view) {
    if (level == at) throw std::bad_alloc();
  };
  unsigned told = 0;
  const caf::actor host = system.spawn<caf::hidden>(
      [&](caf::event_based_actor*) -> caf::behavior { return {[&](read_only_atom, const std::string&) { ++told; }}; });
  auto tree = must(actors::Tree::start(system, options, {.restarts_max = 0, .host = host}, {.watch_log = false}));
  scheduler.run();
  tree->gate(1).crash();
  scheduler.run();
  CHECK(told == 1);
  CHECK(tree->store_stats().read_only);
  must(tree->close());
  scheduler.run();
}
