// Who is told of durable numbers, and how often.

#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/threads.h"

#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <optional>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

/// Every round of the log may bring a new number. Of those that nobody asks for none
/// comes before a test is over, however busy the machine is.
Options lazier_store(const std::filesystem::path& directory) {
  Options options = lazy_store(directory);
  options.write_interval = std::chrono::seconds(10);
  return options;
}

/// A store on disk, one space of it, and its log.
struct Scene {
  explicit Scene(base::FileSystem& files = base::posix_file_system())
      : stage(lazier_store(directory / "store"), {}, files), space(must(stage.store().space("s"))) {
    must(stage.store().sync());
    stage.log_advances();
  }

  /// Writes, and waits until that is on disk. Tells nobody.
  Seq write_through() { return must(space.put("k", "v", {.durability = Durability::sync})); }

  [[nodiscard]] LogActor log() { return stage.tree().log_actor(); }

  std::shared_ptr<Notices> subscribe(Seq from) {
    auto notices = std::make_shared<Notices>();
    subscribers.push_back(spawn_subscriber(stage.system(), notices));
    caf::anon_send(log(), subscribe_atom::value, subscribers.back(), from);
    stage.run();
    return notices;
  }

  TemporaryDirectory directory;
  Stage stage;
  Space space;
  std::vector<DurableSubscriber> subscribers;
};

}  // namespace

TEST_CASE("a subscriber gets one message for each advance, however many writes it covers", "[log]") {
  Scene scene;
  const Seq from = scene.stage.store().durable_seq();
  const auto notices = scene.subscribe(from);
  CHECK(notices->numbers.empty());
  for (int i = 0; i < 100; ++i) must(scene.space.put(std::to_string(i), "v"));
  const Seq last = scene.write_through();
  scene.stage.log_advances();
  REQUIRE(notices->numbers.size() == 1);
  CHECK(notices->numbers[0] >= last);
  // Nothing new, nothing told.
  scene.stage.log_advances();
  const Seq next = scene.write_through();
  scene.stage.log_advances();
  REQUIRE(notices->numbers.size() == 2);
  CHECK(notices->numbers[1] >= next);
}

TEST_CASE("a subscription from a number that has passed is answered at once, from a later one when it comes", "[log]") {
  Scene scene;
  const Seq durable = scene.stage.store().durable_seq();
  REQUIRE(durable != 0);
  CHECK(scene.subscribe(durable - 1)->numbers == std::vector<Seq>{durable});
  constexpr Seq k_far = Seq{1} << 60;
  const auto later = scene.subscribe(k_far);
  scene.write_through();
  scene.stage.log_advances();
  CHECK(later->numbers.empty());
}

TEST_CASE("a slow subscriber has one notice waiting, and then gets the latest number", "[log]") {
  Scene scene;
  const auto slow = scene.subscribe(scene.stage.store().durable_seq());
  const auto quick = scene.subscribe(scene.stage.store().durable_seq());
  slow->answers = false;
  Seq last = 0;
  for (int i = 0; i < 5; ++i) {
    last = scene.write_through();
    scene.stage.log_advances();
  }
  CHECK(slow->numbers.size() == 1);
  CHECK(quick->numbers.size() == 5);
  slow->answers = true;
  answer_notices(scene.stage, scene.subscribers[0]);
  REQUIRE(slow->numbers.size() == 2);
  CHECK(slow->numbers[1] >= last);
}

TEST_CASE("who unsubscribes and subscribes again has one notice waiting all the same", "[log]") {
  Scene scene;
  const auto slow = scene.subscribe(scene.stage.store().durable_seq());
  slow->answers = false;
  scene.write_through();
  scene.stage.log_advances();
  REQUIRE(slow->numbers.size() == 1);
  caf::anon_send(scene.log(), unsubscribe_atom::value, scene.subscribers[0]);
  caf::anon_send(scene.log(), subscribe_atom::value, scene.subscribers[0], slow->numbers[0]);
  const Seq last = scene.write_through();
  scene.stage.log_advances();
  CHECK(slow->numbers.size() == 1);
  answer_notices(scene.stage, scene.subscribers[0]);
  REQUIRE(slow->numbers.size() == 2);
  CHECK(slow->numbers[1] >= last);
  // Unsubscribed while it waits, it ends with the answer.
  caf::anon_send(scene.log(), unsubscribe_atom::value, scene.subscribers[0]);
  scene.write_through();
  scene.stage.log_advances();
  answer_notices(scene.stage, scene.subscribers[0]);
  CHECK(slow->numbers.size() == 2);
  CHECK(scene.stage.tree().board().subscriptions().empty());
}

TEST_CASE("a subscription ends with its subscriber, and keeps nobody alive", "[log]") {
  Scene scene;
  const auto leaves = scene.subscribe(scene.stage.store().durable_seq());
  const auto dies = scene.subscribe(scene.stage.store().durable_seq());
  const auto goes = scene.subscribe(scene.stage.store().durable_seq());
  CHECK(scene.stage.tree().board().subscriptions().size() == 3);
  caf::anon_send(scene.log(), unsubscribe_atom::value, scene.subscribers[0]);
  caf::anon_send_exit(scene.subscribers[1], caf::exit_reason::kill);
  scene.stage.run();
  std::weak_ptr<Notices> held = goes;
  scene.subscribers.pop_back();
  scene.write_through();
  scene.stage.log_advances();
  CHECK(leaves->numbers.empty());
  CHECK(dies->numbers.empty());
  CHECK(goes->numbers.empty());
  CHECK(held.use_count() == 1);
  CHECK(scene.stage.tree().board().subscriptions().empty());
}

TEST_CASE("a subscription ends with a subscriber that still owes an answer and whose handle is kept", "[log]") {
  Scene scene;
  for (const bool log_crashes : {false, true}) {
    const auto dies = scene.subscribe(scene.stage.store().durable_seq());
    dies->answers = false;
    scene.write_through();
    scene.stage.log_advances();
    CHECK(dies->numbers.size() == 1);
    if (log_crashes) {
      scene.stage.crash("log");
      scene.stage.run();
    }
    caf::anon_send_exit(scene.subscribers.back(), caf::exit_reason::kill);
    scene.stage.pass(std::chrono::seconds(1));
    CHECK(scene.stage.tree().board().subscriptions().empty());
  }
}

TEST_CASE("a subscriber that answers with an error is told of the next number all the same", "[log]") {
  Scene scene;
  std::vector<Seq> numbers;
  const DurableSubscriber subscriber =
      scene.stage.system().spawn<caf::hidden>([&](DurableSubscriber::pointer) -> DurableSubscriber::behavior_type {
        return {[&](durable_atom, Seq seq) -> caf::result<void> {
                  numbers.push_back(seq);
                  return caf::sec::runtime_error;
                },
                [](failed_atom, const std::string&) {}};
      });
  caf::anon_send(scene.log(), subscribe_atom::value, subscriber, scene.stage.store().durable_seq());
  for (std::size_t told = 1; told <= 3; ++told) {
    scene.write_through();
    scene.stage.log_advances();
    CHECK(numbers.size() == told);
  }
}

TEST_CASE("an actor hands over a promise, and goes on", "[log]") {
  Scene scene;
  // Answers a request only when what it wrote for it is on disk.
  using Keeper = caf::typed_actor<caf::replies_to<int>::with<std::string>>;
  const Keeper keeper =
      scene.stage.system().spawn<caf::hidden>([&, log = scene.log()](Keeper::pointer self) -> Keeper::behavior_type {
        return {[&scene, self, log](int number) -> caf::result<std::string> {
          const Seq seq = must(scene.space.put(std::to_string(number), "v"));
          auto promise = self->make_response_promise<std::string>();
          answer_when_durable(log, seq, promise, std::string("kept ") + std::to_string(number));
          return promise;
        }};
      });
  const auto one = scene.stage.ask<std::string>(keeper, 1);
  const auto two = scene.stage.ask<std::string>(keeper, 2);
  CHECK(outcome(one) == "pending");
  CHECK(outcome(two) == "pending");
  // Handing over told the log to hurry, which would else have let a minute pass.
  must(scene.stage.store().wait_durable(scene.stage.store().last_seq()));
  // The answers come though the actor that promised them has gone.
  caf::anon_send_exit(keeper, caf::exit_reason::kill);
  scene.stage.run();
  CHECK(outcome(one) == "pending");
  scene.stage.log_advances();
  CHECK(must(**one) == "kept 1");
  CHECK(must(**two) == "kept 2");
}

TEST_CASE("waiting for a number that no write has, or without a log, is refused", "[log]") {
  Scene scene;
  CHECK(outcome(scene.stage.ask<Seq>(scene.log(), durable_atom::value, Seq{1} << 60)) == "invalid_argument");
  Stage memory;
  CHECK(outcome(memory.ask<Seq>(memory.tree().log_actor(), durable_atom::value, Seq{1})) == "unsupported");
  CHECK(outcome(memory.ask<Seq>(memory.tree().store_actor(), sync_atom::value)) == "unsupported");
}

TEST_CASE("a promise handed to what is no log of this process is answered, not lost", "[log]") {
  Stage stage;
  using Asker = caf::typed_actor<caf::replies_to<int>::with<int>>;
  const auto no_log = caf::actor_cast<LogActor>(
      stage.system().spawn<caf::hidden>([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; }));
  const Asker asker = stage.system().spawn<caf::hidden>([no_log](Asker::pointer self) -> Asker::behavior_type {
    return {[self, no_log](int) -> caf::result<int> {
      auto promise = self->make_response_promise<int>();
      answer_when_durable(no_log, 1, promise, 1);
      return promise;
    }};
  });
  CHECK(outcome(stage.ask<int>(asker, 1)) == "unsupported");
}

TEST_CASE("when the log fails, who waits is answered, and subscribers and the host are told once", "[log]") {
  FaultyFileSystem files;
  const TemporaryDirectory directory;
  std::vector<std::string> host_heard;
  Options options = lazy_store(directory / "store");
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system(config);
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  const caf::actor host = system.spawn<caf::hidden>([&](caf::event_based_actor*) -> caf::behavior {
    return {[&](read_only_atom, const std::string& reason) { host_heard.push_back(reason); }};
  });
  auto tree = must(actors::Tree::start(system, options, {.host = host}, {files, false}));
  Space space = must(tree->store().space("s"));
  const auto notices = std::make_shared<Notices>();
  const DurableSubscriber subscriber = spawn_subscriber(system, notices);
  caf::anon_send(tree->log_actor(), subscribe_atom::value, subscriber, Seq{1} << 60);
  const SpaceActor actor = must(tree->space_actor("s", {}));
  std::string came;
  system.spawn<caf::hidden>([&](caf::event_based_actor* self) {
    self->request(caf::actor_cast<caf::actor>(actor), caf::infinite, put_atom::value, std::string("k"),
                  std::string("v"), k_sync_request)
        .then([&](Seq) { came = "ok"; },
              [&](const caf::error& error) { came = std::string(to_string(to_error(error).code)); });
  });
  files.fail_from(Call::sync, 1);
  scheduler.run();
  (void)tree->store().wait_durable(tree->store().last_seq());
  for (int i = 0; i < 2; ++i) {
    tree->board().changed();
    scheduler.run();
  }
  CHECK(came == "indeterminate");
  REQUIRE(notices->failures.size() == 1);
  CHECK_FALSE(notices->failures[0].empty());
  REQUIRE(host_heard.size() == 1);
  CHECK_THAT(host_heard[0], ContainsSubstring(notices->failures[0]));
  CHECK(outcome(tree->close()) == "indeterminate");
  scheduler.run();
}

TEST_CASE("after a healing writes by message work, and the next failure is told again", "[log]") {
  FaultyFileSystem files;
  const TemporaryDirectory directory;
  std::vector<std::string> host_heard;
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system(config);
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  const caf::actor host = system.spawn<caf::hidden>([&](caf::event_based_actor*) -> caf::behavior {
    return {[&](read_only_atom, const std::string& reason) { host_heard.push_back(reason); }};
  });
  auto tree = must(actors::Tree::start(system, lazy_store(directory / "store"), {.host = host}, {files, false}));
  Space space = must(tree->store().space("s"));
  must(tree->store().sync());
  const auto notices = std::make_shared<Notices>();
  const DurableSubscriber subscriber = spawn_subscriber(system, notices);
  caf::anon_send(tree->log_actor(), subscribe_atom::value, subscriber, tree->store().durable_seq());
  const SpaceActor actor = must(tree->space_actor("s", {}));
  std::string came;
  const auto put = [&] {
    came = "pending";
    system.spawn<caf::hidden>([&](caf::event_based_actor* self) {
      self->request(caf::actor_cast<caf::actor>(actor), caf::infinite, put_atom::value, std::string("k"),
                    std::string("v"), k_sync_request)
          .then([&](Seq) { came = "ok"; },
                [&](const caf::error& error) { came = std::string(to_string(to_error(error).code)); });
    });
    scheduler.run();
    (void)tree->store().wait_durable(tree->store().last_seq());
    tree->board().changed();
    scheduler.run();
  };
  for (std::size_t failures = 1; failures <= 2; ++failures) {
    files.fail_from(Call::sync, 1);
    put();
    CHECK(came == "indeterminate");
    put();
    CHECK(came == "read_only");
    CHECK(notices->failures.size() == failures);
    CHECK(host_heard.size() == failures);
    const std::size_t numbers = notices->numbers.size();
    files.heal();
    const Healed healed = must(tree->store().heal());
    tree->board().changed();
    scheduler.run();
    REQUIRE(notices->numbers.size() > numbers);
    CHECK(notices->numbers.back() >= healed.durable);
    put();
    CHECK(came == "ok");
    CHECK_FALSE(tree->store_stats().read_only);
  }
  must(tree->close());
  scheduler.run();
}

TEST_CASE("who waits for a failed log when the store is closed is not told that nothing was changed", "[log]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(lazy_store(directory / "store"), {}, files);
  const SpaceActor space = stage.space("s");
  files.fail_from(Call::sync, 1);
  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  const auto put = stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
  CHECK(outcome(put) == "pending");
  held.reset();
  CHECK(outcome(stage.tree().close()) == "indeterminate");
  stage.run();
  CHECK(outcome(put) == "indeterminate");
}

TEST_CASE("closing answers who waits for the disk, though the log's actor has crashed", "[log]") {
  FaultyFileSystem files;
  Scene scene(files);
  const SpaceActor space = scene.stage.space("s");
  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  const auto put = scene.stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
  scene.stage.crash("log");
  scene.stage.run();
  CHECK(outcome(put) == "pending");
  held.reset();
  must(scene.stage.tree().close());
  scene.stage.run();
  CHECK(outcome(put) == "ok");
}

TEST_CASE("a thread for which the store has no place can have others answered", "[log]") {
  FaultyFileSystem files;
  Scene scene(files);
  const SpaceActor space = scene.stage.space("s");
  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  const auto waits = scene.stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
  const Seq written = scene.stage.store().last_seq();
  using Keeper = caf::typed_actor<caf::replies_to<int>::with<int>>;
  caf::response_promise promise;
  const Keeper keeper = scene.stage.system().spawn<caf::hidden>([&](Keeper::pointer self) -> Keeper::behavior_type {
    return {[&promise, self](int) -> caf::result<int> {
      auto made = self->make_response_promise<int>();
      promise = made;
      return made;
    }};
  });
  const auto handed_over = scene.stage.ask<int>(keeper, 1);

  std::string get;
  std::thread([&] {
    test::at_the_very_end([&] {
      get = outcome(scene.space.get("k"));
      answer_when_durable(scene.log(), written, promise, caf::make_message(1));
      scene.stage.tree().board().answer_if_failed(nullptr);
    });
    (void)scene.space.get("k");
  }).join();
  REQUIRE(get == "overloaded");
  CHECK(outcome(waits) == "pending");
  held.reset();
  must(scene.stage.tree().close());
  scene.stage.run();
  CHECK(outcome(waits) == "ok");
  CHECK(outcome(handed_over) == "ok");
}
