// Each request of the message interface, and when it is refused.

#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/wait.h"

#include <caf/send.hpp>

#include <optional>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

const RequestOptions k_plain{};

/// Whoever may wait for the disk in it does so for a minute.
Options patient_store(const std::filesystem::path& directory) {
  Options options = lazy_store(directory);
  options.write_interval = std::chrono::milliseconds(1);
  options.write_deadline = std::chrono::seconds(60);
  return options;
}

}  // namespace

TEST_CASE("a space's actor puts, gets, erases, adds, compares and sets", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const Space direct = must(stage.store().space("s"));

  const Seq put = must(**stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain));
  CHECK(must(direct.get("k")) == "v");
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "k", k_plain)) == Found{put, "v"});
  CHECK_FALSE(must(**stage.ask<Found>(space, get_atom::value, "absent", k_plain)));

  CHECK_FALSE(must(**stage.ask<bool>(space, cas_atom::value, "k", Seq{0}, "w", k_plain)));
  CHECK(must(**stage.ask<bool>(space, cas_atom::value, "k", put, "w", k_plain)));
  CHECK(must(direct.get("k")) == "w");

  CHECK(must(**stage.ask<std::int64_t>(space, add_atom::value, "n", std::int64_t{40}, k_plain)) == 40);
  CHECK(must(**stage.ask<std::int64_t>(space, add_atom::value, "n", std::int64_t{2}, k_plain)) == 42);

  const auto several =
      must(**stage.ask<std::vector<Found>>(space, get_atom::value, std::vector<std::string>{"k", "absent"}, k_plain));
  REQUIRE(several.size() == 2);
  CHECK(several[0].value == "w");
  CHECK_FALSE(several[1]);

  CHECK(must(**stage.ask<bool>(space, erase_atom::value, "k", k_plain)));
  CHECK_FALSE(must(**stage.ask<bool>(space, erase_atom::value, "k", k_plain)));
  CHECK(must(direct.get("k")) == std::nullopt);

  CHECK(must(**stage.ask<SpaceStats>(space, stats_atom::value)).keys == 1);
}

TEST_CASE("errors of the table are the answers", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "", "v", k_plain)) == "invalid_argument");
  CHECK(outcome(stage.ask<Found>(space, get_atom::value, "", k_plain)) == "invalid_argument");
  CHECK(outcome(stage.ask<std::vector<Found>>(space, get_atom::value, std::vector<std::string>{""}, k_plain)) ==
        "invalid_argument");
  CHECK(outcome(stage.ask<bool>(space, erase_atom::value, "", k_plain)) == "invalid_argument");
  CHECK(outcome(stage.ask<bool>(space, cas_atom::value, "", Seq{0}, "v", k_plain)) == "invalid_argument");
  must(**stage.ask<Seq>(space, put_atom::value, "n", "no number", k_plain));
  CHECK(outcome(stage.ask<std::int64_t>(space, add_atom::value, "n", std::int64_t{1}, k_plain)) == "invalid_argument");
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request)) == "unsupported");
  CHECK(must(must(stage.store().space("s")).get("k")) == std::nullopt);
}

TEST_CASE("a get of several keys is refused where the answer would be larger than a batch may be", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  Space direct = must(stage.store().space("s"));
  must(direct.put("large", std::string(k_value_bytes_max, 'v')));
  const auto ask = [&](std::size_t count, const std::string& key) {
    return stage.ask<std::vector<Found>>(space, get_atom::value, std::vector<std::string>(count, key), k_plain);
  };
  constexpr std::size_t k_too_many = k_batch_bytes_max / k_value_bytes_max;
  CHECK(must(**ask(k_too_many - 1, "large")).size() == k_too_many - 1);
  CHECK(outcome(ask(k_too_many, "large")) == "too_large");
  CHECK(must(**ask(k_batch_bytes_max / 32, "absent")).size() == k_batch_bytes_max / 32);
  CHECK(outcome(ask(k_batch_bytes_max / 32 + 1, "absent")) == "too_large");
}

TEST_CASE("a durable batch is refused where none of its spaces is logged, as the store refuses it", "[messages]") {
  const TemporaryDirectory directory;
  Stage stage(lazy_store(directory / "store"));
  const StoreActor store = stage.tree().store_actor();
  Space memory = must(stage.store().space("memory", {.logged = false}));
  must(stage.store().space("logged"));
  std::vector<Change> changes{{Change::Kind::put, "memory", "k", "v"}};
  CHECK(outcome(stage.ask<Seq>(store, write_atom::value, changes, k_sync_request)) == "unsupported");
  CHECK(must(memory.get("k")) == std::nullopt);
  must(**stage.ask<Seq>(store, write_atom::value, changes, k_plain));
  CHECK(must(memory.get("k")) == "v");
  // As in the store, one that goes to the log is enough.
  changes.push_back({Change::Kind::put, "logged", "k", "v"});
  const auto both = stage.ask<Seq>(store, write_atom::value, changes, k_sync_request);
  must(stage.store().sync());
  stage.log_advances();
  CHECK(outcome(both) == "ok");
}

TEST_CASE("the store's actor opens spaces, writes batches across them, and tells statistics", "[messages]") {
  Stage stage;
  const StoreActor store = stage.tree().store_actor();
  const SpaceActor space = must(**stage.ask<SpaceActor>(store, open_atom::value, "one"));
  CHECK(space == stage.space("one"));
  must(**stage.ask<SpaceActor>(store, open_atom::value, "two"));
  Space memory = must(stage.store().space("memory", {.logged = false}));
  must(memory.put("k", "old"));

  using Kind = Change::Kind;
  std::vector<Change> changes{{Kind::put, "one", "k", "1"}, {Kind::put, "two", "k", "2"}, {Kind::erase, "memory", "k"}};
  const Seq seq = must(**stage.ask<Seq>(store, write_atom::value, changes, k_plain));
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "k", k_plain)) == Found{seq, "1"});
  CHECK(must(must(stage.store().space("two")).get("k")) == "2");
  CHECK(must(memory.get("k")) == std::nullopt);
  CHECK(must(**stage.ask<Seq>(store, write_atom::value, std::vector<Change>{}, k_plain)) == 0);

  changes.push_back({Kind::put, "three", "k", "3"});
  CHECK(outcome(stage.ask<Seq>(store, write_atom::value, changes, k_plain)) == "not_found");
  CHECK(stage.store().spaces() == std::vector<std::string>{"memory", "one", "two"});
  CHECK(outcome(stage.ask<SpaceActor>(store, open_atom::value, "")) == "invalid_argument");

  // A space that was dropped and made again is a new one.
  CHECK(must(stage.store().drop_space("two")));
  changes.assign({{Kind::put, "two", "k", "2"}});
  CHECK(outcome(stage.ask<Seq>(store, write_atom::value, changes, k_plain)) == "not_found");
  for (int i = 0; i < 2; ++i) {
    Space again = must(stage.store().space("two"));
    must(**stage.ask<Seq>(store, write_atom::value, changes, k_plain));
    CHECK(must(again.get("k")) == "2");
    CHECK(must(stage.store().drop_space("two")));
  }
}

TEST_CASE("a space is opened by message whatever its options, and made with the default ones", "[messages]") {
  const TemporaryDirectory directory;
  Stage stage(lazy_store(directory / "store"));
  const StoreActor store = stage.tree().store_actor();
  Space memory = must(stage.store().space("memory", {.logged = false}));
  const SpaceActor actor = must(**stage.ask<SpaceActor>(store, open_atom::value, "memory"));
  must(**stage.ask<Seq>(actor, put_atom::value, "k", "v", k_plain));
  CHECK(must(memory.get("k")) == "v");
  CHECK(outcome(stage.ask<Seq>(actor, put_atom::value, "k", "w", k_sync_request)) == "unsupported");
  const SpaceActor fresh = must(**stage.ask<SpaceActor>(store, open_atom::value, "fresh"));
  CHECK(must(**stage.ask<SpaceStats>(fresh, stats_atom::value)).logged);
}

TEST_CASE("a store's statistics come with those of its actors", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  stage.send<Seq>(space, put_atom::value, "k", "v", k_plain);
  std::vector<ActorStats> seen;
  StoreStats of_store;
  stage.system().spawn<caf::hidden>([&](caf::event_based_actor* self) {
    self->request(caf::actor_cast<caf::actor>(stage.tree().store_actor()), caf::infinite, stats_atom::value)
        .then([&](StoreStats& stats, std::vector<ActorStats>& actors) {
          of_store = std::move(stats);
          seen = std::move(actors);
        });
  });
  stage.run();
  CHECK(of_store.spaces == 1);
  CHECK(of_store.last_seq != 0);
  REQUIRE(seen.size() > 4);
  CHECK(seen[0].name == "log");
  CHECK(seen[1].name == "store");
  CHECK(seen[2].name == "analytics 0");
  CHECK(seen.back().name == "space s");
  CHECK(seen.back().processed == 1);
  CHECK(seen.back().state == ActorStats::State::running);
}

TEST_CASE("a request taken up after its deadline is refused, and nothing is changed", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const RequestOptions soon{.deadline = stage.now() + std::chrono::milliseconds(5)};
  const std::vector<Change> changes{{Change::Kind::put, "s", "k", "batch"}};
  const auto in_time = stage.ask<Seq>(space, put_atom::value, "k", "in time", soon);
  CHECK(outcome(in_time) == "ok");
  stage.pass(std::chrono::milliseconds(6));
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "late", soon)) == "overloaded");
  CHECK(outcome(stage.ask<Found>(space, get_atom::value, "k", soon)) == "overloaded");
  CHECK(outcome(stage.ask<std::vector<Found>>(space, get_atom::value, std::vector<std::string>{"k"}, soon)) ==
        "overloaded");
  CHECK(outcome(stage.ask<bool>(space, erase_atom::value, "k", soon)) == "overloaded");
  CHECK(outcome(stage.ask<std::int64_t>(space, add_atom::value, "n", std::int64_t{1}, soon)) == "overloaded");
  CHECK(outcome(stage.ask<bool>(space, cas_atom::value, "k", must(**in_time), "late", soon)) == "overloaded");
  CHECK(outcome(stage.ask<Seq>(stage.tree().store_actor(), write_atom::value, changes, soon)) == "overloaded");
  const Space direct = must(stage.store().space("s"));
  CHECK(must(direct.get("k")) == "in time");
  CHECK(direct.size() == 1);
}

TEST_CASE("a full mailbox refuses more, and takes requests again when there is room", "[messages]") {
  Stage stage({}, {.mailbox_max = 2});
  const SpaceActor space = stage.space("s");
  // The askers send when they run; the space's actor must not run between them.
  caf::anon_send(space, put_atom::value, std::string("a"), std::string("1"), k_plain);
  caf::anon_send(space, put_atom::value, std::string("b"), std::string("2"), k_plain);
  caf::anon_send(space, put_atom::value, std::string("c"), std::string("3"), k_plain);
  CHECK(stage.stats_of("space s").waiting == 2);
  CHECK(stage.stats_of("space s").refused == 1);
  Answer<Seq> refused = std::make_shared<std::optional<Result<Seq>>>();
  stage.run();
  CHECK(stage.stats_of("space s").waiting == 0);
  const Space direct = must(stage.store().space("s"));
  CHECK(must(direct.get("b")) == "2");
  CHECK(must(direct.get("c")) == std::nullopt);

  // Room is given back by each request, answered or refused.
  for (int i = 0; i < 10; ++i)
    CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "", "v", k_plain)) == "invalid_argument");
  Stage small({}, {.mailbox_max = 1});
  const SpaceActor other = small.space("s");
  const caf::actor burst = small.system().spawn<caf::hidden>([&](caf::event_based_actor* self) {
    self->send(other, put_atom::value, std::string("a"), std::string("1"), k_plain);
    self->request(other, caf::infinite, put_atom::value, std::string("b"), std::string("2"), k_plain)
        .then([](Seq) {}, [refused](const caf::error& error) { *refused = std::unexpected(to_error(error)); });
  });
  small.run();
  CHECK(outcome(refused) == "overloaded");
}

TEST_CASE("what is sent one-way is done, and neither it nor its refusal is answered", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  unsigned answers = 0;
  const caf::actor sender = stage.system().spawn<caf::hidden>([&](caf::event_based_actor* self) -> caf::behavior {
    return {[&, self](const std::string& key) { self->send(space, put_atom::value, key, std::string("v"), k_plain); },
            [&](Seq) { ++answers; }};
  });
  bool ended = false;
  caf::actor_cast<caf::abstract_actor*>(sender)->attach_functor([&](const caf::error&) { ended = true; });
  caf::anon_send(sender, std::string("k"));
  // No key: an error, which would end the sender if it came as an answer.
  caf::anon_send(sender, std::string());
  stage.run();
  CHECK(must(must(stage.store().space("s")).get("k")) == "v");
  CHECK(stage.stats_of("space s").processed == 2);
  CHECK(answers == 0);
  CHECK_FALSE(ended);
}

TEST_CASE("messages of CAF's own take no room of requests", "[messages]") {
  Stage stage({}, {.mailbox_max = 1});
  const SpaceActor space = stage.space("s");
  const auto untyped = caf::actor_cast<caf::actor>(space);
  for (int i = 0; i < 3; ++i) {
    caf::anon_send(untyped, caf::sys_atom::value, caf::get_atom::value, std::string("info"));
    caf::anon_send_exit(space, caf::exit_reason::kill);
    stage.run();
  }
  CHECK(outcome(stage.ask<int>(space, caf::sys_atom::value, caf::get_atom::value, "info")) == "invalid_argument");
  CHECK(stage.stats_of("space s").waiting == 0);
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain)) == "ok");
}

TEST_CASE("an answer with durability comes when the write is on disk, and nobody waits for it", "[messages]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(lazy_store(directory / "store"), {}, files);
  const SpaceActor space = stage.space("s");
  const StoreActor store = stage.tree().store_actor();
  const std::vector<Change> changes{{Change::Kind::put, "s", "batch", "v"}};
  must(**stage.ask<Seq>(space, put_atom::value, "old", "v", k_plain));

  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  const auto put = stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request);
  const auto erased = stage.ask<bool>(space, erase_atom::value, "old", k_sync_request);
  const auto added = stage.ask<std::int64_t>(space, add_atom::value, "n", std::int64_t{7}, k_sync_request);
  const auto set = stage.ask<bool>(space, cas_atom::value, "new", Seq{0}, "v", k_sync_request);
  const auto written = stage.ask<Seq>(store, write_atom::value, changes, k_sync_request);
  const auto synced = stage.ask<Seq>(store, sync_atom::value);
  // The disk has not taken them yet: these wait, and others do not.
  for (const std::string& state : {outcome(put), outcome(erased), outcome(added), outcome(set), outcome(written)}) {
    CHECK(state == "pending");
  }
  CHECK(outcome(synced) == "pending");
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "k", k_plain)).value == "v");
  // Nothing was written, so there is nothing to wait for.
  CHECK_FALSE(must(**stage.ask<bool>(space, erase_atom::value, "absent", k_sync_request)));
  CHECK_FALSE(must(**stage.ask<bool>(space, cas_atom::value, "new", Seq{1}, "v", k_sync_request)));

  held.reset();
  must(stage.store().wait_durable(stage.store().last_seq()));
  stage.log_advances();
  CHECK(stage.store().durable_seq() >= must(**put));
  CHECK(must(**erased));
  CHECK(must(**added) == 7);
  CHECK(must(**set));
  CHECK(must(**written) > must(**put));
  CHECK(must(**synced) >= must(**written));
  // What is durable already is answered at once.
  CHECK(outcome(stage.ask<Seq>(stage.tree().log_actor(), durable_atom::value, must(**put))) == "ok");
}

TEST_CASE("while as many requests wait for the disk as may, more are refused before they change anything",
          "[messages]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(lazy_store(directory / "store"), {.waiters_max = 2}, files);
  const SpaceActor space = stage.space("s");
  const StoreActor store = stage.tree().store_actor();
  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  // Nobody waits for it.
  caf::anon_send(space, put_atom::value, std::string("one-way"), std::string("v"), k_sync_request);
  const auto first = stage.ask<Seq>(space, put_atom::value, "first", "v", k_sync_request);
  const auto second = stage.ask<std::int64_t>(space, add_atom::value, "second", std::int64_t{1}, k_sync_request);
  REQUIRE(outcome(first) == "pending");
  REQUIRE(outcome(second) == "pending");

  const std::vector<Change> changes{{Change::Kind::put, "s", "k", "batch"}};
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", k_sync_request)) == "overloaded");
  CHECK(outcome(stage.ask<bool>(space, erase_atom::value, "first", k_sync_request)) == "overloaded");
  CHECK(outcome(stage.ask<std::int64_t>(space, add_atom::value, "k", std::int64_t{1}, k_sync_request)) == "overloaded");
  CHECK(outcome(stage.ask<bool>(space, cas_atom::value, "k", Seq{0}, "v", k_sync_request)) == "overloaded");
  CHECK(outcome(stage.ask<Seq>(store, write_atom::value, changes, k_sync_request)) == "overloaded");
  CHECK(outcome(stage.ask<Seq>(store, sync_atom::value)) == "overloaded");
  CHECK(outcome(stage.ask<Seq>(stage.tree().log_actor(), durable_atom::value, Seq{1})) == "overloaded");
  const Space direct = must(stage.store().space("s"));
  CHECK(must(direct.get("k")) == std::nullopt);
  CHECK(must(direct.get("first")) == "v");
  // Who does not wait is served.
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", k_plain)) == "ok");

  held.reset();
  must(stage.store().wait_durable(stage.store().last_seq()));
  stage.log_advances();
  CHECK(outcome(first) == "ok");
  CHECK(outcome(second) == "ok");
  held.emplace(files, Call::sync);
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "w", k_sync_request)) == "pending");
}

TEST_CASE("the actor of a space that was dropped and made again serves the new one, also after a crash", "[messages]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  must(**stage.ask<Seq>(space, put_atom::value, "k", "old", k_plain));
  REQUIRE(must(stage.store().drop_space("s")));
  CHECK(outcome(stage.ask<Found>(space, get_atom::value, "k", k_plain)) == "closed");
  CHECK(stage.space("s") == space);
  CHECK_FALSE(must(**stage.ask<Found>(space, get_atom::value, "k", k_plain)));
  must(**stage.ask<Seq>(space, put_atom::value, "k", "new", k_plain));
  stage.crash("space s");
  stage.run();
  stage.pass(std::chrono::seconds(1));
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "k", k_plain)).value == "new");
}

TEST_CASE("a handle to a space travels in a message and is used directly", "[messages]") {
  Stage stage;
  std::string read;
  const caf::actor user = stage.system().spawn<caf::hidden>([&](caf::event_based_actor*) -> caf::behavior {
    return {[&](const Space& space) { read = must(space.get("k")).value_or("absent"); }};
  });
  Space space = must(stage.store().space("s"));
  must(space.put("k", "v"));
  caf::anon_send(user, space);
  stage.run();
  CHECK(read == "v");
}

TEST_CASE("where the disk is slower than the writers, requests are refused and no actor waits", "[messages]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(patient_store(directory / "store"), {}, files);
  const SpaceActor space = stage.space("s");
  must(stage.store().sync());
  files.delay(Call::write, std::chrono::seconds(60));
  constexpr int k_more_than_fit = 200;
  const std::string value(20'000, 'v');
  std::string came;
  for (int i = 0; i < k_more_than_fit && came != "overloaded"; ++i) {
    came = outcome(stage.ask<Seq>(space, put_atom::value, std::to_string(i), value, k_plain));
  }
  CHECK(came == "overloaded");
  const std::vector<Change> changes{{Change::Kind::put, "s", "batch", value}};
  CHECK(outcome(stage.ask<Seq>(stage.tree().store_actor(), write_atom::value, changes, k_plain)) == "overloaded");
  CHECK(stage.store().stats().log.waits == 0);
  files.heal();
}

TEST_CASE("the store's actor waits neither for the disk nor for others when it is to open a space", "[messages]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(patient_store(directory / "store"), {}, files);
  const StoreActor store = stage.tree().store_actor();
  const SpaceActor space = stage.space("s");
  must(stage.store().sync());
  files.delay(Call::write, std::chrono::seconds(60));
  // Values become smaller until not even the name of a space has room.
  constexpr std::size_t k_largest = 20'000;
  for (std::size_t bytes = k_largest; bytes != 0; bytes /= 2) {
    const std::string value(bytes, 'v');
    while (outcome(stage.ask<Seq>(space, put_atom::value, "k", value, k_plain)) == "ok") continue;
  }
  CHECK(outcome(stage.ask<SpaceActor>(store, open_atom::value, "new")) == "overloaded");
  CHECK(stage.store().stats().log.waits == 0);

  std::thread other([&] { (void)stage.store().space("other"); });
  const auto waits_for_the_other = [&] {
    const auto opened = stage.ask<SpaceActor>(store, open_atom::value, "new");
    return outcome(opened) == "overloaded" && message(**opened).find("made or dropped") != std::string::npos;
  };
  CHECK_NOTHROW(until("the other makes its space", waits_for_the_other));
  // One that is there is nobody's to wait for.
  CHECK(outcome(stage.ask<SpaceActor>(store, open_atom::value, "s")) == "ok");
  files.heal();
  other.join();
  until("there is room", [&] { return outcome(stage.ask<SpaceActor>(store, open_atom::value, "new")) == "ok"; });
}
