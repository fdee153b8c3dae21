// Maintenance through its steps, which the tests drive: memory goes back,
// tombstones go, and whatever else happens meanwhile is as it would be without.

#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <array>
#include <atomic>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;

/// A store and who maintains it.
class Place {
 public:
  explicit Place(Options options = in_memory()) : store(must(Store::open(options))), shards_(options.shards) {}

  [[nodiscard]] static Options in_memory() {
    Options options;
    options.shards = 4;
    options.retired_bytes = k_mib;
    return options;
  }

  [[nodiscard]] store::StoreCore& core() { return store::Access::core(store); }
  [[nodiscard]] MemoryStats memory() const { return store.stats().memory; }

  /// A step of each shard, in a random order. The one that had most to do.
  store::Maintained step(Random& random) {
    store::Maintained most = store::Maintained::idle;
    for (unsigned i = 0; i < shards_; ++i) {
      most = std::max(most, must(core().maintain(static_cast<unsigned>(random.below(shards_)))));
    }
    return most;
  }
  /// Until there is nothing to do, for any shard.
  void maintain() {
    Random random(seed());
    for (unsigned idle = 0; idle < 20;) {
      const store::Maintained done = step(random);
      if (done == store::Maintained::idle) ++idle;
      if (done > store::Maintained::looking) idle = 0;
    }
  }
  void compact() {
    const std::uint64_t before = memory().compactions;
    core().ask_for_compaction();
    maintain();
    expect(memory().compactions == before + 1, "there was not one compaction");
  }

  Store store;

 private:
  const unsigned shards_;
};

std::string key_of(std::uint64_t i) { return "key" + std::to_string(i); }

}  // namespace

TEST_CASE("after nine of ten keys were erased, memory goes back", "[maintenance]") {
  Place place;
  Space space = must(place.store.space("s"));
  const std::uint64_t keys = scaled(400'000);
  const std::string value(100, 'v');
  for (std::uint64_t i = 0; i < keys; ++i) must(space.put(key_of(i), value));
  const std::size_t full = resident_bytes();
  const std::size_t carved = place.memory().carved_bytes;
  place.maintain();
  // Nothing was erased: nothing to do.
  CHECK(place.memory().compactions == 0);
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i % 10 != 0) must(space.erase(key_of(i)));
  }
  CHECK(space.stats().tombstones >= keys * 8 / 10);
  place.maintain();
  const MemoryStats memory = place.memory();
  const SpaceStats stats = space.stats();
  INFO(carved << " bytes carved before, " << memory.carved_bytes << " after; " << full << " resident before, "
              << resident_bytes() << " after; " << stats.tombstones << " tombstones");
  if (k_slowness == 1) {
    CHECK(memory.compactions >= 1);
    CHECK(memory.carved_bytes <= carved / 3);
    CHECK(memory.returned_bytes >= carved);
    CHECK(stats.tombstones <= stats.keys / 4 + 4096);
  }
  CHECK_FALSE(memory.compacting);
  CHECK(stats.keys == (keys + 9) / 10);
  for (std::uint64_t i = 0; i < keys; ++i) {
    const auto found = must(space.get(key_of(i)));
    if (found.has_value() != (i % 10 == 0)) FAIL("key " << i);
  }
  // And not once more for the same.
  for (std::uint64_t i = 0; i < keys; i += 10) must(space.put(key_of(i), value));
  place.maintain();
  CHECK(place.memory().compactions == memory.compactions);
}

TEST_CASE("segments that erasures have left nearly empty are merged within their shards, and once", "[maintenance]") {
  Place place;
  Space space = must(place.store.space("s"));
  const std::uint64_t keys = scaled(200'000);
  for (std::uint64_t i = 0; i < keys; ++i) must(space.put(key_of(i), "v"));
  const SpaceStats full = space.stats();
  place.maintain();
  CHECK(space.stats().merges == 0);
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i % 50 != 0) must(space.erase(key_of(i)));
  }
  place.maintain();
  const SpaceStats thin = space.stats();
  INFO(full.segments << " segments, then " << thin.segments << " with " << thin.tombstones << " tombstones");
  // Some thousands of tombstones may stay.
  if (k_slowness == 1) CHECK(thin.segments * 4 <= full.segments);
  CHECK(thin.merges > 0);
  CHECK(thin.segments >= 4);
  CHECK(thin.table_bytes < full.table_bytes);
  const std::uint64_t passes = place.core().maintenance_pass();
  place.maintain();
  CHECK(place.core().maintenance_pass() == passes);
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (must(space.get(key_of(i))).has_value() != (i % 50 == 0)) FAIL("key " << i);
  }
}

TEST_CASE("tombstones go without a compaction, too, and an erasure keeps its number as long as it must",
          "[maintenance]") {
  Place place;
  Space space = must(place.store.space("s"));
  const std::uint64_t keys = 20'000;
  for (std::uint64_t i = 0; i < keys; ++i) must(space.put(key_of(i), "v"));
  must(space.put("visited", "v"));
  must(space.visit("visited", [&](const Entry&) {
    on_another_thread([&] {
      for (std::uint64_t i = 0; i < keys; ++i) must(space.erase(key_of(i)));
      // The visitor could not write with a lower number, but who says so?
      place.maintain();
      expect(space.stats().tombstones >= keys * 3 / 4, "tombstones went under a pin");
    });
  }));
  place.maintain();
  CHECK(space.stats().tombstones <= 4096 + space.size() / 4);
  CHECK(space.size() == 1);
  CHECK(place.memory().compactions == 0);
}

TEST_CASE("reads, writes, batches and scans go on while memory is compacted again and again", "[maintenance]") {
  const TemporaryDirectory directory;
  const bool logged = GENERATE(false, true);
  INFO((logged ? "with a log" : "in memory"));
  Options options = logged ? small_store(directory / "store") : Options{};
  options.shards = 4;
  Content before;
  {
    Place place(options);
    const std::array<Space, 2> spaces{must(place.store.space("a")), must(place.store.space("b"))};
    constexpr unsigned k_writers = 3;
    std::atomic<unsigned> writing{k_writers};
    std::array<std::int64_t, k_writers> added{};
    std::array<Content, k_writers> contents;
    together(k_writers + 2, [&](unsigned thread) {
      if (thread >= k_writers) {
        // Two threads, each with its shards.
        const unsigned first = (thread - k_writers) * 2;
        while (writing.load(std::memory_order_acquire) != 0) {
          place.core().ask_for_compaction();
          must(place.core().maintain(first));
          must(place.core().maintain(first + 1));
        }
        return;
      }
      const struct Done {
        std::atomic<unsigned>& writing;
        ~Done() { writing.fetch_sub(1, std::memory_order_acq_rel); }
      } done{writing};
      Random random(seed() + thread);
      Content& own = contents[thread];
      Space space = spaces[0];
      Space other = spaces[1];
      const auto compacted = [&] { return place.memory().compactions >= 3; };
      for (std::uint64_t i = 0; i < scaled(6'000) || i % 64 != 0 || !compacted(); ++i) {
        const std::string key = std::to_string(thread) + "." + std::to_string(random.below(1'000));
        const std::string value = sealed(i, 8 + random.skewed(random.one_in(100) ? 40'000 : 200));
        switch (random.below(7)) {
          case 0:
          case 1:
            own[key] = Held{value, must(space.put(key, value))};
            break;
          case 2:
            expect(must(space.erase(key)) == (own.erase(key) != 0), "an erasure found a key where it was not");
            break;
          case 3: {
            Batch batch;
            must(batch.put(space, key, value));
            must(batch.put(other, "batch" + std::to_string(thread), value));
            own[key] = Held{value, must(place.store.write(batch))};
            break;
          }
          case 4:
            must(other.add("counter", 1));
            ++added[thread];
            break;
          case 5: {
            const auto at = own.find(key);
            expect(held(space, key) == (at == own.end() ? std::nullopt : std::optional(at->second)),
                   "a key is not as its thread left it");
            break;
          }
          default:
            if (random.one_in(200)) (void)content(space);
        }
      }
    });
    CHECK(place.memory().compactions > 0);
    place.maintain();
    Content due;
    for (const Content& own : contents) due.insert(own.begin(), own.end());
    before = content(spaces[0]);
    CHECK(difference(before, due) == "");
    Space other = spaces[1];
    CHECK(must(other.add("counter", 0)) == added[0] + added[1] + added[2]);
    must(place.store.close());
  }
  if (!logged) return;
  Store reopened = must(Store::open(options));
  CHECK(difference(content(must(reopened.space("a"))), before) == "");
}

TEST_CASE("spaces come and go while memory is compacted", "[maintenance]") {
  Place place;
  Random random(seed());
  Space stays = must(place.store.space("stays"));
  for (std::uint64_t i = 0; i < 2'000; ++i) must(stays.put(key_of(i), std::string(100, 'v')));
  std::map<std::string, Content> due;
  for (int round = 0; round < 400; ++round) {
    if (round % 20 == 0) place.core().ask_for_compaction();
    place.step(random);
    const std::string name = "space" + std::to_string(random.below(6));
    switch (random.below(4)) {
      case 0:
        must(place.store.drop_space(name));
        due.erase(name);
        break;
      default: {
        Space space = must(place.store.space(name));
        const std::string key = key_of(random.below(50));
        due[name][key] = Held{name, must(space.put(key, name))};
      }
    }
  }
  place.maintain();
  CHECK(place.memory().compactions > 0);
  CHECK(stays.size() == 2'000);
  CHECK(place.store.spaces().size() == due.size() + 1);
  for (const auto& [name, content_due] : due)
    CHECK(difference(content(must(place.store.space(name))), content_due) == "");
}

TEST_CASE("a space that is dropped under a visitor is waited for, not walked", "[maintenance]") {
  Place place;
  Space space = must(place.store.space("s"));
  for (std::uint64_t i = 0; i < 3'000; ++i) must(space.put(key_of(i), std::string(100, 'v')));
  must(space.put("visited", "value"));
  Random random(seed());
  must(space.visit("visited", [&](const Entry& entry) {
    on_another_thread([&] {
      must(place.store.drop_space("s"));
      place.core().ask_for_compaction();
      for (int i = 0; i < 300; ++i) place.step(random);
      expect(place.memory().compacting, "a compaction ended while a visitor was in a dropped space");
    });
    expect(entry.value == "value", "the visitor's record has changed");
  }));
  place.maintain();
  CHECK(place.memory().compactions == 1);
  CHECK_FALSE(place.memory().compacting);
}

TEST_CASE("a space that was dropped under a visitor is given back in short steps", "[maintenance]") {
  constexpr std::size_t k_segments_a_step = 8;
  Place place;
  Space space = must(place.store.space("s"));
  const auto fill = [](Space& filled) {
    for (std::uint64_t i = 0; i < 40'000; ++i) must(filled.put(key_of(i), std::string(100, 'v')));
  };
  fill(space);
  const std::size_t segments = space.stats().segments;
  must(space.visit("key1", [&](const Entry&) { on_another_thread([&] { must(place.store.drop_space("s")); }); }));
  // Not `Store::stats`, which does a step, too.
  const std::size_t carved = place.core().memory().carved_bytes();
  std::size_t steps = 0;
  while (must(place.core().maintain(0)) == store::Maintained::working) ++steps;
  INFO(segments << " segments in " << steps << " steps");
  CHECK(steps * k_segments_a_step >= segments);
  CHECK(steps <= segments);
  Space again = must(place.store.space("s"));
  fill(again);
  CHECK(place.core().memory().carved_bytes() <= carved + 2 * k_mib);
}

TEST_CASE("a space that was dropped under a visitor is given back by the next call of stats", "[maintenance]") {
  Place place;
  const auto fill = [&place] {
    Space space = must(place.store.space("s"));
    for (std::uint64_t i = 0; i < 40'000; ++i) must(space.put(key_of(i), std::string(100, 'v')));
    return space;
  };
  const Space space = fill();
  must(space.visit("key1", [&](const Entry&) { on_another_thread([&] { must(place.store.drop_space("s")); }); }));
  const std::size_t carved = place.store.stats().memory.carved_bytes;
  (void)fill();
  CHECK(place.store.stats().memory.carved_bytes <= carved + 2 * k_mib);
}

TEST_CASE("hundreds of spaces are looked at in several steps, and none is forgotten", "[maintenance]") {
  constexpr std::uint64_t k_keys = 10'000;
  Options options = Place::in_memory();
  options.shards = 64;
  Place place(options);
  std::vector<Space> spaces;
  for (int i = 0; i < 300; ++i) spaces.push_back(must(place.store.space("space" + std::to_string(1'000 + i))));
  for (const std::size_t crowded : {std::size_t{0}, spaces.size() - 1}) {
    for (std::uint64_t i = 0; i < k_keys; ++i) must(spaces[crowded].put(key_of(i), "v"));
    for (std::uint64_t i = 0; i < k_keys; ++i) must(spaces[crowded].erase(key_of(i)));
  }
  CHECK(must(place.core().maintain(0)) == store::Maintained::looking);
  CHECK(place.core().maintenance_pass() == 0);
  place.maintain();
  CHECK(spaces.front().stats().tombstones <= 4096);
  CHECK(spaces.back().stats().tombstones <= 4096);
  while (must(place.core().maintain(0)) != store::Maintained::idle) {
  }
  int steps = 1;
  while (must(place.core().maintain(0)) != store::Maintained::idle) ++steps;
  CHECK(steps == 2);
}

TEST_CASE("closing ends a compaction wherever it is", "[maintenance]") {
  const int steps = GENERATE(1, 2, 4, 6, 9, 15, 40);
  Place place;
  Space space = must(place.store.space("s"));
  for (std::uint64_t i = 0; i < 3'000; ++i) must(space.put(key_of(i), std::string(100, 'v')));
  place.core().ask_for_compaction();
  Random random(seed());
  for (int i = 0; i < steps; ++i) place.step(random);
  must(place.store.close());
  for (unsigned shard = 0; shard < 4; ++shard) CHECK(outcome(place.core().maintain(shard)) == "closed");
  CHECK(outcome(space.get("k")) == "closed");
}

TEST_CASE("what was recovered is compacted like what was written", "[maintenance]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  options.shards = 4;
  {
    Store store = must(Store::open(options));
    Space space = must(store.space("s"));
    for (std::uint64_t i = 0; i < 3'000; ++i) must(space.put(key_of(i), sealed(i, 50)));
    for (std::uint64_t i = 0; i < 3'000; i += 2) must(space.erase(key_of(i)));
  }
  Place place(options);
  const Space space = must(place.store.space("s"));
  const Content before = content(space);
  place.compact();
  CHECK(difference(content(space), before) == "");
  must(must(place.store.space("new")).put("k", "v"));
  place.compact();
  CHECK(must(must(place.store.space("new")).get("k")) == "v");
}

TEST_CASE("the balance of the shards is told", "[maintenance]") {
  Place place;
  Space space = must(place.store.space("s"));
  CHECK(space.stats().shard_entropy == 1);
  CHECK(space.stats().shard_max_over_mean == 1);
  // Keys of one shard only.
  const auto shard_of = [&](const std::string& key) {
    return place.core().shard_map().shard_of(base::hash_key(key, place.core().hash_seed()));
  };
  std::uint64_t i = 0;
  for (std::uint64_t put = 0; put < 100; ++i) {
    if (shard_of(key_of(i)) != 2) continue;
    must(space.put(key_of(i), "v"));
    ++put;
  }
  CHECK_THAT(space.stats().shard_entropy, WithinAbs(0, 1e-9));
  CHECK_THAT(space.stats().shard_max_over_mean, WithinAbs(4, 1e-9));
  // As many of another.
  for (std::uint64_t put = 0; put < 100; ++i) {
    if (shard_of(key_of(i)) != 0) continue;
    must(space.put(key_of(i), "v"));
    ++put;
  }
  CHECK_THAT(space.stats().shard_entropy, WithinAbs(0.5, 1e-9));
  CHECK_THAT(space.stats().shard_max_over_mean, WithinAbs(2, 1e-9));
}

TEST_CASE("a compaction begun by itself takes at most half as much again as was carved", "[maintenance]") {
  const std::uint64_t percent_erased = GENERATE(35U, 60U);
  Place place;
  Space space = must(place.store.space("s"));
  const std::uint64_t keys = scaled(400'000);
  for (std::uint64_t i = 0; i < keys; ++i) must(space.put(key_of(i), std::string(100, 'v')));
  place.maintain();
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i % 100 < percent_erased) must(space.erase(key_of(i)));
  }
  const std::size_t carved = place.memory().carved_bytes;
  std::size_t most = 0;
  Random random(seed());
  for (unsigned idle = 0; idle < 20;) {
    idle = place.step(random) == store::Maintained::idle ? idle + 1 : 0;
    most = std::max(most, place.memory().carved_bytes);
  }
  INFO(percent_erased << " % erased: " << carved << " bytes carved, at most " << most);
  CHECK(most <= carved / 2 * 3);
  if (k_slowness == 1) CHECK((place.memory().compactions != 0) == (percent_erased > 50));
}

TEST_CASE("after a compaction at a peak the next waits for twice what was left, not for twice the peak",
          "[maintenance]") {
  if (k_slowness != 1) return;
  Place place;
  Space space = must(place.store.space("s"));
  for (std::uint64_t i = 0; i < 20'000; ++i) must(space.put(key_of(i), std::string(10'000, 'v')));
  const std::size_t peak = place.memory().carved_bytes;
  for (std::uint64_t i = 1'000; i < 20'000; ++i) must(space.erase(key_of(i)));
  place.maintain();
  REQUIRE(place.memory().compactions != 0);
  // As much lives as ever, but in blocks of other sizes each time.
  std::size_t most = 0;
  for (std::size_t bytes = 8'200; bytes < 40'000; bytes += bytes / 16) {
    for (std::uint64_t i = 0; i < 1'000; ++i) must(space.put(key_of(i), std::string(bytes, 'w')));
    place.maintain();
    most = std::max(most, place.memory().carved_bytes);
  }
  INFO(peak << " bytes carved at the peak, at most " << most << " afterwards");
  CHECK(most < peak);
}

TEST_CASE("what replaced records may take counts as it was tuned, not as the store was opened with", "[maintenance]") {
  if (k_slowness != 1) return;
  Options options = Place::in_memory();
  options.retired_bytes = 1'024 * k_mib;
  Place place(options);
  Space space = must(place.store.space("s"));
  for (std::uint64_t i = 0; i < 8'000; ++i) must(space.put(key_of(i), std::string(10'000, 'v')));
  for (std::uint64_t i = 0; i < 7'500; ++i) must(space.erase(key_of(i)));
  place.maintain();
  CHECK(place.memory().compactions == 0);
  auto tuning = place.core().tuning();
  tuning.retired_bytes = k_mib;
  must(place.core().tune(tuning));
  place.maintain();
  CHECK(place.memory().compactions == 1);
}
