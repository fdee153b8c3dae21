// What the debug actor answers, command by command.

#include "actors/debug_documents.h"
#include "tests/actors/inspector_scene.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/wait.h"

#include <cstring>
#include <mutex>
#include <set>

using namespace actable;
using namespace actable::test;
using actors::Inspector;
using debug::Bytes;
using debug::Document;
using Map = Document::Map;

TEST_CASE("statistics have every part, and the process's own", "[inspector]") {
  const TemporaryDirectory directory;
  Scene scene(lazy_store(directory.path()));
  const Seq seq = must(scene.space.put("k", "v"));
  const Document stats = scene.must_ask("stats");
  CHECK(stats["store"]["last_seq"].number() >= seq);
  CHECK(stats["store"]["spaces"].number() == 1);
  CHECK_FALSE(stats["store"]["read_only"].truth());
  CHECK_FALSE(stats["log"]["io"].text().empty());
  CHECK(stats["log"]["sync_durations"].list().size() == 25);
  CHECK(stats["memory"]["reserved_bytes"].number() > 0);
  CHECK(stats["recovery"].find("clean") != nullptr);
  CHECK(stats["process"]["id"].number() == static_cast<std::uint64_t>(getpid()));
  CHECK(stats["process"]["resident_bytes"].number() > 1'000'000);
}

TEST_CASE("the log counts its syncs by how long they took", "[inspector]") {
  const TemporaryDirectory directory;
  Scene scene(lazy_store(directory.path()));
  for (int i = 0; i < 5; ++i) must(scene.space.put("k", "v", {.durability = Durability::sync}));
  const Document stats = scene.must_ask("stats");
  std::uint64_t counted = 0;
  for (const Document& count : stats["log"]["sync_durations"].list()) counted += count.number();
  CHECK(counted == stats["log"]["syncs"].number());
  CHECK(counted >= 5);
}

TEST_CASE("the largest values fit into a reply however long their keys are", "[inspector]") {
  Scene scene;
  for (unsigned i = 0; i < 200; ++i) {
    must(scene.space.put(std::to_string(1'000 + i) + std::string(60'000, 'k'), std::string(i, 'v')));
  }
  Document step = scene.must_ask("big", {{"space", "s"}, {"sample", 1'000U}, {"top", 1'000U}});
  while (step["more"].truth()) step = scene.must_ask("next");
  CHECK(debug::pack(step).size() < 100'000);
  REQUIRE(step["entries"].list().size() == 200);
  const Document& largest = step["entries"].list().front();
  REQUIRE(largest.list().size() == 3);
  CHECK(largest.list()[0].bytes() == "1199" + std::string(252, 'k'));
  CHECK(largest.list()[1].number() == 199);
  CHECK(largest.list()[2].number() == 60'004);
}

TEST_CASE("analytics of as many shards as there may be fit into a reply", "[inspector]") {
  Analytics analytics;
  analytics.shards.resize(4'096);
  for (auto& shard : analytics.shards) {
    for (const OperationKind kind : {OperationKind::get, OperationKind::put, OperationKind::erase}) {
      shard.push_back({.operation = kind, .stats = {.count = 1}});
    }
  }
  const auto reply = must(debug::decode_reply(debug::encode(debug::Reply{1, actors::document_of(analytics)})));
  CHECK(outcome(reply.result) == "ok");
}

TEST_CASE("spaces, their shards and the actors are listed", "[inspector]") {
  Scene scene;
  must(scene.stage.store().space("memory", {.logged = false}));
  must(scene.space.put("key", "value"));
  const Document spaces = scene.must_ask("spaces");
  REQUIRE(spaces.list().size() == 2);
  CHECK(spaces.list()[0]["name"].text() == "memory");
  CHECK(spaces.list()[1]["keys"].number() == 1);
  CHECK(spaces.list()[1]["payload_bytes"].number() == 8);

  std::uint64_t keys = 0;
  const Document shards = scene.must_ask("shards", {{"space", "s"}});
  for (const Document& shard : shards.list()) keys += shard["keys"].number();
  CHECK(keys == 1);

  (void)scene.stage.space("s");
  std::set<std::string> expected{"analytics 0", "analytics 1", "log", "space s", "store"};
  for (std::size_t i = 0; i < shards.list().size(); ++i) expected.insert("shard " + std::to_string(i));
  std::set<std::string> names;
  const Document actors = scene.must_ask("actors");
  for (const Document& actor : actors.list()) {
    names.emplace(actor["name"].text());
    CHECK(actor["state"].text() == "running");
  }
  CHECK(names == expected);
}

TEST_CASE("get tells the value, its number, and whether that is on disk", "[inspector]") {
  const TemporaryDirectory directory;
  Scene scene(lazy_store(directory.path()));
  CHECK(scene.must_ask("get", of_key("k")).null());
  const Seq seq = must(scene.space.put("k", std::string("\0v", 2)));
  const Document before = scene.must_ask("get", of_key("k"));
  CHECK(before["seq"].number() == seq);
  CHECK(before["value"].bytes() == std::string_view("\0v", 2));
  must(scene.stage.store().sync());
  CHECK(scene.must_ask("get", of_key("k"))["durable"] == Document(true));

  Space memory = must(scene.stage.store().space("m", {.logged = false}));
  must(memory.put("k", "v"));
  CHECK(scene.must_ask("get", {{"space", "m"}, {"key", Bytes{"k"}}})["durable"].null());
}

TEST_CASE("put, erase and add do what they say, and leave lines in the host's log", "[inspector]") {
  Scene scene;
  CHECK(scene.must_ask("put", with(of_key("k"), "value", Bytes{"v"})).number() > 0);
  CHECK(must(scene.space.get("k")) == "v");
  CHECK(scene.must_ask("erase", of_key("k")) == Document(true));
  CHECK(scene.must_ask("erase", of_key("k")) == Document(false));
  CHECK(scene.must_ask("add", with(of_key("n"), "delta", 40)) == Document(40));
  CHECK(scene.must_ask("add", with(of_key("n"), "delta", -42)) == Document(-2));
  REQUIRE(scene.lines.size() == 5);
  CHECK_THAT(
      scene.lines[0],
      ContainsSubstring("debug shell (user 7, process 8, \"a\\x1b[1m\"): put \"k\" with 1 bytes in the space \"s\""));
  CHECK_THAT(scene.lines[1], ContainsSubstring("erased \"k\""));
  CHECK_THAT(scene.lines[4], ContainsSubstring("added -42 to \"n\""));
}

TEST_CASE("a session that is for looking only changes nothing", "[inspector]") {
  Scene scene;
  const std::vector<std::pair<std::string, Map>> commands{{"put", with(of_key("k"), "value", Bytes{"v"})},
                                                          {"erase", of_key("k")},
                                                          {"add", with(of_key("k"), "delta", 1)},
                                                          {"sync", {}},
                                                          {"restart", {{"actor", "log"}}},
                                                          {"crash", {{"actor", "log"}}},
                                                          {"set", {{"option", "sync_interval"}, {"value", "1s"}}}};
  for (const auto& [command, arguments] : commands) {
    CAPTURE(command);
    const auto refused = scene.ask(command, arguments, 1, false);
    CHECK(outcome(refused) == "unsupported");
    CHECK_THAT(message(refused), ContainsSubstring("--allow-writes"));
  }
  CHECK(must(scene.space.get("k")) == std::nullopt);
  CHECK(scene.lines.empty());
}

TEST_CASE("what is no command, or not its arguments, is refused", "[inspector]") {
  Scene scene;
  CHECK(outcome(scene.ask("frobnicate")) == "unsupported");
  CHECK(outcome(scene.ask("get", {{"space", "s"}})) == "invalid_argument");
  CHECK(outcome(scene.ask("get", with(of_key("k"), "more", true))) == "invalid_argument");
  CHECK(outcome(scene.ask("get", {{"space", "s"}, {"key", "text"}})) == "invalid_argument");
  CHECK(outcome(scene.ask("get", {{"space", "missing"}, {"key", Bytes{"k"}}})) == "not_found");
  CHECK(outcome(scene.ask("get", of_key(""))) == "invalid_argument");
  CHECK(outcome(scene.ask("scan", {{"space", "s"}, {"prefix", Bytes{}}, {"limit", 0U}})) == "invalid_argument");
  CHECK(outcome(scene.ask("add", with(of_key("k"), "delta", ~std::uint64_t{0}))) == "invalid_argument");
  CHECK(outcome(scene.ask("next")) == "not_found");
  CHECK(outcome(scene.ask("crash", {{"actor", "nobody"}})) == "not_found");
  CHECK(outcome(scene.ask("trace", {{"actor", "nobody"}, {"count", 1U}})) == "not_found");
}

TEST_CASE("a walk sees every key once, in many short steps", "[inspector]") {
  Scene scene;
  const std::size_t keys = scaled(20'000) + 500;
  for (std::size_t i = 0; i < keys; ++i) {
    must(scene.space.put((i % 2 == 0 ? "even " : "odd ") + std::to_string(i), std::string(i % 100, 'x')));
  }
  std::set<std::string> seen;
  unsigned steps = 1;
  Document step = scene.must_ask("scan", {{"space", "s"}, {"prefix", Bytes{"even "}}, {"limit", 1'000'000U}});
  for (;; ++steps) {
    for (const Document& entry : step["entries"].list()) {
      CHECK(seen.emplace(entry.list()[0].bytes()).second);
    }
    if (!step["more"].truth()) break;
    step = scene.must_ask("next");
  }
  CHECK(seen.size() == (keys + 1) / 2);
  CHECK(outcome(scene.ask("next")) == "not_found");
  if (k_slowness == 1) CHECK(steps > 3);

  step = scene.must_ask("count", {{"space", "s"}, {"prefix", Bytes{"odd "}}});
  while (step["more"].truth()) step = scene.must_ask("next");
  CHECK(step["count"].number() == keys / 2);
  CHECK(step["looked_at"].number() == keys);

  step = scene.must_ask("big", {{"space", "s"}, {"sample", 1'000'000U}, {"top", 3U}});
  while (step["more"].truth()) step = scene.must_ask("next");
  REQUIRE(step["entries"].list().size() == 3);
  for (const Document& entry : step["entries"].list()) CHECK(entry.list()[1].number() == 99);

  for (const Document& entry : step["entries"].list()) CHECK(entry.list().size() == 3);
  step = scene.must_ask("big", {{"space", "s"}, {"sample", 100U}, {"top", 3U}});
  while (step["more"].truth()) step = scene.must_ask("next");
  CHECK(step["looked_at"].number() == 100);
}

TEST_CASE("a scan's limit holds, and sessions do not share walks", "[inspector]") {
  Scene scene;
  for (int i = 0; i < 100; ++i) must(scene.space.put(std::to_string(i), "v"));
  const auto scan = [&](std::uint64_t client, std::uint64_t limit) {
    return scene.must_ask("scan", {{"space", "s"}, {"prefix", Bytes{}}, {"limit", limit}}, client);
  };
  CHECK(scan(1, 10)["entries"].list().size() == 10);
  CHECK_FALSE(scan(1, 10)["more"].truth());
  for (int i = 0; i < 100; ++i) must(scene.space.put("large " + std::to_string(i), std::string(10'000, 'x')));
  REQUIRE(scan(2, 1'000)["more"].truth());
  CHECK(outcome(scene.ask("next", {}, 1)) == "not_found");
  scene.inspector.forget(2);
  CHECK(outcome(scene.ask("next", {}, 2)) == "not_found");
}

TEST_CASE("options change while the store runs, within their ranges", "[inspector]") {
  const TemporaryDirectory directory;
  Scene scene(lazy_store(directory.path()));
  const auto set = [&](const char* option, const char* value) {
    return outcome(scene.ask("set", {{"option", option}, {"value", value}}));
  };
  const auto value = [&](const std::string& option) {
    const Document config = scene.must_ask("config");
    for (const Document& line : config.list()) {
      if (line["option"].text() == option) return line["value"];
    }
    return Document();
  };
  CHECK(value("sync_interval") == Document("60000ms"));
  CHECK(set("write_interval", "20ms") == "ok");
  CHECK(set("sync_interval", "2s") == "ok");
  CHECK(set("retired_bytes", "128MiB") == "ok");
  CHECK(set("write_deadline", "1min") == "ok");
  CHECK(value("write_interval") == Document("20ms"));
  CHECK(value("sync_interval") == Document("2000ms"));
  CHECK(value("retired_bytes") == Document(std::uint64_t{128} << 20));
  CHECK(value("write_deadline") == Document("60000ms"));
  CHECK(scene.lines.size() == 5);  // One is of the opening.

  CHECK(set("sync_interval", "10ms") == "invalid_argument");  // below write_interval
  CHECK(set("sync_interval", "2 weeks") == "invalid_argument");
  CHECK(set("sync_interval", "") == "invalid_argument");
  CHECK(set("retired_bytes", "99999999999GiB") == "invalid_argument");
  CHECK(set("shards", "8") == "invalid_argument");
  CHECK(value("sync_interval") == Document("2000ms"));
}

TEST_CASE("a shorter sync interval syncs sooner", "[inspector]") {
  const TemporaryDirectory directory;
  Scene scene(lazy_store(directory.path()));  // Syncs after a minute, by itself.
  const Seq seq = must(scene.space.put("k", "v"));
  scene.must_ask("set", {{"option", "write_interval"}, {"value", "1ms"}});
  scene.must_ask("set", {{"option", "sync_interval"}, {"value", "1ms"}});
  // Within far less than the minute.
  CHECK(eventually(std::chrono::seconds(30), [&] { return scene.stage.store().durable_seq() >= seq; }));
}

TEST_CASE("an actor that is told to start again has not crashed, and one that is crashed has", "[inspector]") {
  Scene scene;
  const SpaceActor actor = scene.stage.space("s");
  must(**scene.stage.ask<Seq>(actor, put_atom::value, "k", "v", RequestOptions{}));
  const auto waiting = scene.stage.send<Found>(actor, get_atom::value, "k", RequestOptions{});
  scene.must_ask("restart", {{"actor", "space s"}});
  scene.stage.run();
  // What was in the mailbox was answered first.
  CHECK(must(**waiting).value == "v");
  CHECK(scene.stage.stats_of("space s").restarts == 1);
  CHECK(scene.stage.stats_of("space s").state == ActorStats::State::running);
  CHECK(must(**scene.stage.ask<Found>(actor, get_atom::value, "k", RequestOptions{})).value == "v");
  for (int i = 0; i < 50; ++i) {
    scene.must_ask("restart", {{"actor", "log"}});
    scene.stage.run();
  }
  CHECK(scene.stage.stats_of("log").restarts == 50);
  CHECK(scene.stage.stats_of("log").state == ActorStats::State::running);

  scene.must_ask("crash", {{"actor", "space s"}});
  scene.stage.run();
  CHECK(scene.stage.stats_of("space s").state == ActorStats::State::restarting);
  scene.stage.pass(std::chrono::milliseconds(10));
  CHECK(scene.stage.stats_of("space s").restarts == 2);
}

TEST_CASE("a trace tells kinds and sizes of what comes, and ends by itself", "[inspector]") {
  Scene scene;
  const SpaceActor actor = scene.stage.space("s");
  scene.must_ask("trace", {{"actor", "space s"}, {"count", 2U}});
  must(**scene.stage.ask<Seq>(actor, put_atom::value, "key", "secret", RequestOptions{}));
  Document step = scene.must_ask("next");
  REQUIRE(step["messages"].list().size() == 1);
  const std::string line(step["messages"].list()[0].text());
  CHECK_THAT(line, ContainsSubstring("put, string of 3 bytes, string of 6 bytes, actable::RequestOptions"));
  CHECK(line.find("secret") == std::string::npos);
  CHECK(step["more"].truth());
  for (int i = 0; i < 3; ++i) must(**scene.stage.ask<Found>(actor, get_atom::value, "key", RequestOptions{}));
  step = scene.must_ask("next");
  CHECK(step["messages"].list().size() == 1);
  CHECK_FALSE(step["more"].truth());
  CHECK(outcome(scene.ask("next")) == "not_found");
}

TEST_CASE("a trace drops what comes too fast or is not fetched, and says how much", "[inspector]") {
  actors::Trace trace(actors::Trace::k_items_max);
  const auto message = caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::string("x"));
  for (std::size_t i = 0; i < actors::Trace::k_waiting_max + 5; ++i)
    trace.note([&] { return actors::describe(*message); });
  const auto fetched = trace.fetch();
  CHECK(fetched.items.size() == actors::Trace::k_waiting_max);
  CHECK(fetched.dropped == 5);
  CHECK(fetched.items[0] == "one-way: string of 1 bytes");
  CHECK(fetched.more);
  trace.end();
  CHECK(trace.over());
}

TEST_CASE("analytics say what samples of the operations were", "[inspector]") {
  Scene scene;
  look_at_all(scene.stage, scene.space);
  for (int i = 0; i < 30; ++i) must(scene.space.put("hot", std::string(100, 'v')));
  must(scene.space.put("cold", "v"));
  CHECK_FALSE(must(scene.space.erase("missing")));
  collect_samples(scene.stage);
  const Document known = scene.must_ask("analytics");
  CHECK(known["sample_every"].number() == 1);
  CHECK(known["samples"].number() >= 32);
  const auto of = [&known](const std::string& operation) {
    for (const Document& one : known["operations"].list()) {
      if (one["operation"].text() == operation) return one;
    }
    return Document();
  };
  CHECK(of("put")["count"].number() == 31);
  CHECK(of("put")["latency"]["samples"].number() == 31);
  CHECK(of("put")["latency"]["max_ns"].number() >= of("put")["latency"]["p50_ns"].number());
  CHECK(of("erase")["successful"].number() == 0);
  CHECK(of("take").null());
  bool listed = false;
  for (const Document& hot : known["hot_keys"].list()) {
    if (hot["key"]["key"].bytes() != "hot") continue;
    listed = true;
    CHECK(hot["key"]["space"].text() == "s");
    CHECK(hot["count"].number() == 30);
  }
  CHECK(listed);
  const auto& slowest = known["slowest"].list();
  CHECK(slowest.size() == known["samples"].number());
  CHECK(slowest.front()["latency_ns"].number() >= slowest.back()["latency_ns"].number());
  // Of less than 128 bytes, and not of less than 64.
  CHECK(known["value_bytes"].list()[7].number() == 30);
}

TEST_CASE("a monitor shows the operations that are sampled, and ends by itself", "[inspector]") {
  Scene scene;
  look_at_all(scene.stage, scene.space);
  must(scene.space.put("before", "v"));
  collect_samples(scene.stage);
  Document step = scene.must_ask("monitor", {{"count", 2U}});
  CHECK(step["operations"].list().empty());
  CHECK(step["more"].truth());
  must(scene.space.put("key", "value"));
  CHECK_FALSE(must(scene.space.erase("missing")));
  (void)must(scene.space.get("key"));
  collect_samples(scene.stage);
  step = scene.must_ask("next");
  REQUIRE(step["operations"].list().size() == 2);
  const Document &put = step["operations"].list()[0], &erase = step["operations"].list()[1];
  CHECK(put["operation"].text() == "put");
  CHECK(put["space"].text() == "s");
  CHECK(put["key"].bytes() == "key");
  CHECK(put["value_bytes"].number() == 5);
  CHECK(put["successful"].truth());
  CHECK(erase["operation"].text() == "erase");
  CHECK_FALSE(erase["successful"].truth());
  CHECK_FALSE(step["more"].truth());
  CHECK(outcome(scene.ask("next")) == "not_found");
  CHECK(outcome(scene.ask("monitor", {{"count", 0U}})) == "invalid_argument");
}

TEST_CASE("how many operations are sampled may change while the store runs", "[inspector]") {
  Scene scene;
  const auto set = [&](const char* value) {
    return outcome(scene.ask("set", {{"option", "sample_every"}, {"value", value}}));
  };
  CHECK(set("8") == "ok");
  CHECK(scene.must_ask("analytics")["sample_every"].number() == 8);
  CHECK(set("0") == "ok");
  CHECK(scene.must_ask("analytics")["sample_every"].number() == 0);
  for (const char* wrong : {"", "often", "-1", "8x", "99999999999"}) {
    CAPTURE(wrong);
    CHECK(set(wrong) == "invalid_argument");
  }
  CHECK(scene.must_ask("analytics")["sample_every"].number() == 0);
}

TEST_CASE("a trace ends with its session", "[inspector]") {
  Scene scene;
  const auto trace = std::make_shared<actors::Trace>(10);
  must(scene.stage.tree().trace("log", trace));
  scene.must_ask("trace", {{"actor", "log"}, {"count", 5U}}, 3);
  // Another took its place.
  CHECK(trace->over());
  scene.inspector.forget(3);
  CHECK(outcome(scene.ask("next", {}, 3)) == "not_found");
}
