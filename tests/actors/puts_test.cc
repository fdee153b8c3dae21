// Many puts: pairs in one message, and one-way messages, which are gathered.

#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/send.hpp>

#include <limits>
#include <optional>
#include <string_view>
#include <utility>

using namespace actable;
using namespace actable::test;

namespace {

const RequestOptions k_plain{};

Pairs pairs_of(std::initializer_list<std::pair<std::string_view, std::string_view>> all) {
  Pairs pairs;
  for (const auto& [key, value] : all) pairs.add(key, value);
  return pairs;
}

/// Pairs as another process might send them: lengths that are not those of the bytes.
Pairs from_the_wire(caf::actor_system& system, std::string bytes, std::vector<std::uint64_t> lengths) {
  std::vector<char> sent;
  caf::binary_serializer to(system, sent);
  REQUIRE_FALSE(to(bytes, lengths));
  Pairs pairs;
  caf::binary_deserializer from(system, sent);
  REQUIRE_FALSE(from(pairs));
  return pairs;
}

void put_one_way(const SpaceActor& space, const std::string& key, const std::string& value) {
  caf::anon_send(space, put_atom::value, key, value, k_plain);
}

}  // namespace

TEST_CASE("pairs are put under one number, the last of each key", "[puts]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const Seq seq = must(
      **stage.ask<Seq>(space, put_atom::value, pairs_of({{"a", "1"}, {"b", ""}, {"a", "2"}, {"c", "3"}}), k_plain));
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "a", k_plain)) == Found{seq, "2"});
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "b", k_plain)) == Found{seq, ""});
  CHECK(must(**stage.ask<Found>(space, get_atom::value, "c", k_plain)) == Found{seq, "3"});
  CHECK(must(stage.store().space("s")).size() == 3);
  CHECK(must(**stage.ask<Seq>(space, put_atom::value, Pairs(), k_plain)) == 0);

  // More than the actor keeps memory for, and more keys than are fetched at a time.
  Pairs many;
  many.reserve(1'000, 1'000 * 1'010);
  for (int i = 0; i < 1'000; ++i) many.add(std::to_string(i), std::string(1'000, 'v'));
  CHECK(many.size() == 1'000);
  const Seq last = must(**stage.ask<Seq>(space, put_atom::value, many, k_plain));
  CHECK(last > seq);
  for (int i = 0; i < 1'000; ++i) {
    REQUIRE(must(**stage.ask<Found>(space, get_atom::value, std::to_string(i), k_plain)) ==
            Found{last, std::string(1'000, 'v')});
  }
}

TEST_CASE("pairs of which one cannot be, or that do not hold together, change nothing", "[puts]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const std::string large(k_value_bytes_max + 1, 'v');
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, pairs_of({{"a", "1"}, {"", "2"}}), k_plain)) ==
        "invalid_argument");
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, pairs_of({{"a", "1"}, {"b", large}}), k_plain)) == "too_large");
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, pairs_of({{"a", "1"}}), k_sync_request)) == "unsupported");
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const std::vector<std::vector<std::uint64_t>> wrong{{1, 2, 1}, {1, 3}, {5, 0}, {1, most}, {most, 1}, {1, 1}, {}};
  for (const std::vector<std::uint64_t>& lengths : wrong) {
    const Pairs pairs = from_the_wire(stage.system(), "abc", lengths);
    CHECK(outcome(stage.ask<Seq>(space, put_atom::value, pairs, k_plain)) == "invalid_argument");
  }
  CHECK(must(stage.store().space("s")).size() == 0);
  const Pairs whole = from_the_wire(stage.system(), "abc", {1, 2});
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, whole, k_plain)) == "ok");
  CHECK(must(must(stage.store().space("s")).get("a")) == "bc");
}

TEST_CASE("pairs that are to be durable are answered when they are", "[puts]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Stage stage(lazy_store(directory / "store"), {}, files);
  const SpaceActor space = stage.space("s");
  std::optional<HeldCalls> held(std::in_place, files, Call::sync);
  const auto put = stage.ask<Seq>(space, put_atom::value, pairs_of({{"a", "1"}, {"b", "2"}}), k_sync_request);
  CHECK(outcome(put) == "pending");
  held.reset();
  CHECK(must(must(stage.store().space("s")).get("b")) == "2");
  must(stage.store().wait_durable(stage.store().last_seq()));
  stage.log_advances();
  CHECK(outcome(put) == "ok");
}

TEST_CASE("one-way puts are done in order, and before what is sent after them", "[puts]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  std::string read;
  bool erased = false;
  stage.system().spawn<caf::hidden>([&](caf::event_based_actor* self) {
    for (int i = 0; i < 40; ++i) {
      self->send(space, put_atom::value, std::string("k"), std::to_string(i), k_plain);
      self->send(space, put_atom::value, std::to_string(i), std::string("v"), k_plain);
    }
    self->request(space, caf::infinite, get_atom::value, std::string("k"), k_plain).then([&](const Found& found) {
      read = found.value;
    });
    self->request(space, caf::infinite, erase_atom::value, std::string("39"), k_plain).then([&](bool was_there) {
      erased = was_there;
    });
    self->send(space, put_atom::value, std::string("k"), std::string("last"), k_plain);
  });
  stage.run();
  CHECK(read == "39");
  CHECK(erased);
  const Space direct = must(stage.store().space("s"));
  CHECK(must(direct.get("k")) == "last");
  CHECK(direct.size() == 40);
  CHECK(stage.stats_of("space s").processed == 83);
}

TEST_CASE("a one-way put whose message its sender keeps is done from a copy", "[puts]") {
  Stage stage;
  // Beyond what a string holds without memory of its own.
  const std::string key(40, 'k');
  const std::string value(100, 'v');
  const caf::message kept = caf::make_message(put_atom::value, key, value, k_plain);
  for (const char* name : {"a", "b"}) {
    const auto space = caf::actor_cast<caf::strong_actor_ptr>(stage.space(name));
    space->enqueue(nullptr, caf::make_message_id(), kept, nullptr);
    stage.run();
    CHECK(must(must(stage.store().space(name)).get(key)) == value);
    CHECK(kept.get_as<std::string>(1) == key);
    CHECK(kept.get_as<std::string>(2) == value);
  }
}

TEST_CASE("a one-way put that comes alone is done without another", "[puts]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const Space direct = must(stage.store().space("s"));
  for (const std::string value : {"1", "2"}) {
    put_one_way(space, "k", value);
    stage.run();
    CHECK(must(direct.get("k")) == value);
  }
}
