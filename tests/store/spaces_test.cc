// Spaces: made, listed, dropped and made again, logged and in memory only.

#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

using namespace actable;
using namespace actable::test;
using namespace std::string_literals;

namespace {

using Names = std::vector<std::string>;

constexpr SpaceOptions k_in_memory{.logged = false};

/// A store on disk that can be closed and opened again.
struct Place {
  TemporaryDirectory directory;
  std::optional<Store> store = must(Store::open(small_store(directory / "store")));
  Store& reopen() {
    must(store->close());
    store.reset();
    return store.emplace(must(Store::open(small_store(directory / "store"))));
  }
};

}  // namespace

TEST_CASE("asking for a space that is there makes none", "[spaces]") {
  Place place;
  Store& store = *place.store;
  const auto existing = [&store](std::string_view name) { return store::Access::existing_space(store, name); };
  CHECK(outcome(existing("s")) == "not_found");
  CHECK(store.spaces().empty());
  must(must(store.space("s")).put("k", "logged"));
  must(must(store.space("memory", k_in_memory)).put("k", "in memory"));
  CHECK(must(must(existing("s")).get("k")) == "logged");
  CHECK(must(must(existing("memory")).get("k")) == "in memory");
  REQUIRE(must(store.drop_space("s")));
  CHECK(outcome(existing("s")) == "not_found");
  CHECK(store.spaces() == Names{"memory"});
  must(store.close());
  CHECK(outcome(existing("memory")) == "closed");
}

TEST_CASE("a space is made by its first opening and found by the next", "[spaces]") {
  Store store = must(Store::open({}));
  CHECK(store.spaces().empty());
  Space first = must(store.space("s"));
  must(first.put("k", "v"));
  Space second = must(store.space("s"));
  CHECK(must(second.get("k")) == "v");
  CHECK(second.name() == "s");
  Space copied = second;
  must(copied.put("k", "w"));
  CHECK(must(first.get("k")) == "w");
  CHECK(store.spaces() == Names{"s"});
  CHECK(store.stats().spaces == 1);
}

TEST_CASE("spaces are listed in order and keep one key apart", "[spaces]") {
  Place place;
  const Names names{"a", "b", "c", "d"};
  for (const char* name : {"c", "a", "d", "b"}) must(must(place.store->space(name)).put("same key", name));
  for (int life = 0; life < 2; ++life) {
    CHECK(place.store->spaces() == names);
    for (const std::string& name : names) {
      Space space = must(place.store->space(name));
      CHECK(must(space.get("same key")) == name);
      CHECK(space.size() == 1);
    }
    place.reopen();
  }
  CHECK(must(must(place.store->space("b")).erase("same key")));
  CHECK(must(must(place.store->space("a")).get("same key")) == "a");
}

TEST_CASE("a space in memory only is gone after a restart, and its name is free", "[spaces]") {
  Place place;
  must(must(place.store->space("logged")).put("k", "v"));
  Space fleeting = must(place.store->space("fleeting", k_in_memory));
  must(fleeting.put("k", "v"));
  CHECK_FALSE(fleeting.stats().logged);
  CHECK(must(place.store->space("logged")).stats().logged);
  CHECK(place.store->spaces() == Names{"fleeting", "logged"});
  Store& store = place.reopen();
  CHECK(store.spaces() == Names{"logged"});
  CHECK(must(must(store.space("logged")).get("k")) == "v");
  Space again = must(store.space("fleeting"));  // now with a log
  CHECK(again.size() == 0);
  must(again.put("k", "kept"));
  CHECK(must(must(place.reopen().space("fleeting")).get("k")) == "kept");
}

TEST_CASE("a space is not both logged and in memory only", "[spaces]") {
  Place place;
  must(must(place.store->space("logged")).put("k", "v"));
  must(place.store->space("fleeting", k_in_memory));
  const auto logged = place.store->space("logged", k_in_memory);
  const auto fleeting = place.store->space("fleeting");
  CHECK(outcome(logged) == "invalid_argument");
  CHECK_THAT(message(logged), ContainsSubstring("logged"));
  CHECK(outcome(fleeting) == "invalid_argument");
  CHECK_THAT(message(fleeting), ContainsSubstring("fleeting"));
  CHECK(outcome(place.reopen().space("logged", k_in_memory)) == "invalid_argument");
  CHECK(must(must(place.store->space("logged")).get("k")) == "v");
}

TEST_CASE("a batch may write to a logged space and to one in memory only", "[spaces]") {
  Place place;
  Space logged = must(place.store->space("logged"));
  Space fleeting = must(place.store->space("fleeting", k_in_memory));
  Batch batch;
  must(batch.put(logged, "k", "batch"));
  must(batch.put(fleeting, "k", "batch"));
  const Seq seq = must(place.store->write(batch));
  CHECK((held(logged, "k") == Held{"batch", seq}));
  CHECK((held(fleeting, "k") == Held{"batch", seq}));
  CHECK(must(must(place.reopen().space("logged")).get("k")) == "batch");
}

TEST_CASE("a dropped space is gone, and one made again under its name is empty", "[spaces]") {
  Place place;
  const bool logged = GENERATE(false, true);
  const SpaceOptions options{.logged = logged};
  Space old = must(place.store->space("s", options));
  for (int i = 0; i < 1'000; ++i) must(old.put("k" + std::to_string(i), "old"));
  CHECK(must(place.store->drop_space("s")));
  CHECK_FALSE(must(place.store->drop_space("s")));
  CHECK_FALSE(must(place.store->drop_space("never there")));
  CHECK(place.store->spaces().empty());
  Space fresh = must(place.store->space("s", options));
  CHECK(fresh.size() == 0);
  CHECK_FALSE(must(fresh.get("k1")));
  CHECK(outcome(old.get("k1")) == "closed");
  must(fresh.put("k1", "new"));
  CHECK(outcome(old.put("k1", "old")) == "closed");
  CHECK(must(fresh.get("k1")) == "new");
  CHECK(content(fresh).size() == 1);
}

TEST_CASE("a space made after a reopening is none of those before, though they were empty", "[spaces]") {
  Place place;
  const Names names{"a", "b", "c"};
  for (const std::string& name : names) must(place.store->space(name));
  place.reopen();
  for (const std::string& name : names) must(must(place.store->space(name)).put("k", name));
  must(must(place.store->space("new")).put("k", "new"));
  place.reopen();
  for (const std::string& name : {"a"s, "b"s, "c"s, "new"s})
    CHECK(must(must(place.store->space(name)).get("k")) == name);
}

TEST_CASE("the memory of a dropped space is there for the next one", "[spaces]") {
  Store store = must(Store::open({}));
  const std::string value(1'000, 'v');
  std::size_t carved = 0;
  for (int i = 0; i < 40; ++i) {
    Space space = must(store.space("s"));
    for (int k = 0; k < 1'000; ++k) must(space.put("k" + std::to_string(k), value));
    CHECK(must(store.drop_space("s")));
    if (i == 10) carved = store.stats().memory.carved_bytes;
  }
  INFO(carved << " bytes after 10");
  CHECK(store.stats().memory.carved_bytes < 2 * carved);
}

TEST_CASE("a drop waits for who is inside the space, but not for one who stays", "[spaces]") {
  using namespace std::chrono_literals;
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  must(space.put("k", "v"));
  std::latch inside{1};
  std::latch leave{1};
  std::jthread visitor([&] {
    must(space.visit("k", [&](const Entry&) {
      inside.count_down();
      leave.wait();
    }));
  });
  inside.wait();
  const auto began_at = std::chrono::steady_clock::now();
  CHECK(must(store.drop_space("s")));
  CHECK(std::chrono::steady_clock::now() - began_at >= 100ms);
  leave.count_down();
}

TEST_CASE("stores in memory hash under seeds of their own", "[spaces]") {
  Store one = must(Store::open({}));
  Store other = must(Store::open({}));
  CHECK(store::Access::core(one).hash_seed() != store::Access::core(other).hash_seed());
}

TEST_CASE("spaces that a failed log refuses take no memory", "[spaces]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Store store = must(store::Access::open(small_store(directory / "store"), files));
  Space space = must(store.space("s"));
  files.fail_from(Call::write, 1);
  // Or refused, where a write of the log's own has failed before.
  const std::string first = outcome(space.put("k", "v", k_sync));
  CHECK((first == "indeterminate" || first == "read_only"));
  std::size_t carved = 0;
  for (int i = 0; i < 6'000; ++i) {
    CHECK(outcome(store.space("refused " + std::to_string(i))) == "read_only");
    // What was retired is used again once some megabytes are.
    if (i == 2'000) carved = store.stats().memory.carved_bytes;
  }
  INFO(carved << " bytes after 2,000");
  CHECK(store.stats().memory.carved_bytes < 2 * carved);
  CHECK(store.spaces() == Names{"s"});
}

TEST_CASE("a dropped space stays dropped over three restarts, its successor stays new", "[spaces]") {
  Place place;
  for (const char* name : {"kept", "dropped", "remade"}) {
    Space space = must(place.store->space(name));
    for (int i = 0; i < 500; ++i) must(space.put("k" + std::to_string(i), "old"));
  }
  place.reopen();
  CHECK(must(place.store->drop_space("dropped")));
  CHECK(must(place.store->drop_space("remade")));
  must(must(place.store->space("remade")).put("k1", "new"));
  for (int life = 0; life < 3; ++life) {
    Store& store = place.reopen();
    CHECK(store.spaces() == Names{"kept", "remade"});
    CHECK(must(store.space("kept")).size() == 500);
    const Content remade = content(must(store.space("remade")));
    REQUIRE(remade.size() == 1);
    CHECK(remade.at("k1").value == "new");
  }
  CHECK(must(place.store->space("dropped")).size() == 0);
}

TEST_CASE("a thousand small spaces come back, each with its own", "[spaces]") {
  Place place;
  const int spaces = static_cast<int>(scaled(1'000));
  const std::size_t before = resident_bytes();
  for (int i = 0; i < spaces; ++i) {
    Space space = must(place.store->space("space" + std::to_string(i)));
    for (int key = 0; key < 3; ++key) must(space.put("k" + std::to_string(key), std::to_string(i)));
  }
  CHECK(place.store->stats().spaces == static_cast<std::size_t>(spaces));
  if (k_slowness == 1) CHECK(resident_bytes() - before < std::size_t{spaces} << 20);
  Store& store = place.reopen();
  CHECK(store.spaces().size() == static_cast<std::size_t>(spaces));
  for (int i = 0; i < spaces; ++i) {
    Space space = must(store.space("space" + std::to_string(i)));
    REQUIRE(space.size() == 3);
    REQUIRE(must(space.get("k1")) == std::to_string(i));
    if (i % 2 == 0) REQUIRE(must(store.drop_space("space" + std::to_string(i))));
  }
  CHECK(place.reopen().spaces().size() == static_cast<std::size_t>(spaces / 2));
}

TEST_CASE("threads that open one name get one space", "[spaces]") {
  Place place;
  for (int round = 0; round < 20; ++round) {
    const std::string name = "s" + std::to_string(round);
    together(8, [&](unsigned thread) { must(must(place.store->space(name)).put(std::to_string(thread), "v")); });
    CHECK(must(place.store->space(name)).size() == 8);
  }
  CHECK(place.reopen().spaces().size() == 20);
}

TEST_CASE("a drop amid writes leaves no write behind", "[spaces]") {
  Place place;
  const std::uint64_t rounds = scaled(100);
  std::atomic<bool> stop{false};
  together(4, [&](unsigned thread) {
    if (thread == 0) {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        expect(must(place.store->space("s")).name() == "s", "another space");
        must(place.store->drop_space("s"));
      }
      stop = true;
      return;
    }
    while (!stop) {
      const auto space = place.store->space("s");
      if (!space) continue;
      Space open = *space;
      for (int i = 0; i < 50; ++i) {
        const auto put = open.put("k" + std::to_string(i), "v");
        expect(put || put.error().code == ErrorCode::closed, "a put beside a drop neither worked nor was closed");
      }
    }
  });
  (void)must(place.store->space("s"));
  must(place.store->drop_space("s"));
  CHECK(place.store->spaces().empty());
  CHECK(place.reopen().spaces().empty());
}

TEST_CASE("statistics of a space count what it holds", "[spaces]") {
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  std::size_t payload = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    must(space.put(key, "first value, to be replaced"));
    must(space.put(key, std::string(static_cast<std::size_t>(i % 100), 'v')));
    payload += key.size() + static_cast<std::size_t>(i % 100);
  }
  SpaceStats stats = space.stats();
  CHECK(stats.keys == 10'000);
  CHECK(space.size() == 10'000);
  CHECK(stats.payload_bytes == payload);
  CHECK(stats.record_bytes >= stats.payload_bytes);
  CHECK(stats.table_bytes > 0);
  CHECK(stats.segments > 0);
  for (int i = 0; i < 10'000; ++i) CHECK(must(space.erase("key" + std::to_string(i))));
  stats = space.stats();
  CHECK(stats.keys == 0);
  CHECK(stats.payload_bytes == 0);
}
