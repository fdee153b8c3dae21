// A million random operations of all kinds against a plain map.

#include "tests/store/vocabulary.h"
#include "tests/store/walk.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <atomic>

using namespace actable;
using namespace actable::test;

namespace {

constexpr unsigned k_threads = 8;

/// One shard, so that the table is small at first and grows often.
Options one_shard(Options options = {}) {
  options.shards = 1;
  return options;
}

std::uint64_t splits(Store& store) {
  return must(store.space("one")).stats().splits + must(store.space("two")).stats().splits;
}

/// Eight walks beside each other, on keys of their own in the same spaces.
void walk_together(Store& store, std::uint64_t steps, std::uint64_t sync_one_in) {
  std::atomic<std::size_t> keys{0};
  together(k_threads, [&](unsigned lane) {
    Walk walk({.seed = seed() + lane, .lane = lane, .lanes = k_threads, .keys = 8'000, .sync_one_in = sync_one_in},
              store);
    while (walk.steps() < steps) {
      walk.step();
      if (walk.steps() % (steps / 3) == 0) walk.compare_all();
    }
    walk.compare_all();
    keys.fetch_add(walk.keys(), std::memory_order_relaxed);  // read after the threads were joined
  });
  CHECK(must(store.space("one")).size() + must(store.space("two")).size() == keys.load());
}

}  // namespace

TEST_CASE("a store in memory behaves as a plain map", "[model]") {
  Store store = must(Store::open(one_shard()));
  Walk walk({.seed = seed()}, store);
  const std::uint64_t steps = scaled(1'000'000);
  while (walk.steps() < steps) {
    walk.step();
    if (walk.steps() % (steps / 8) == 0) walk.compare_all();
  }
  CHECK(walk.keys() > steps / 50);
  CHECK(splits(store) > 0);
  CHECK(store.last_seq() >= walk.last());
}

TEST_CASE("a logged store behaves as a plain map, over restarts too", "[model]") {
  const LogIo io = GENERATE(from_range(every_log_io()));
  const TemporaryDirectory directory;
  const Options options = one_shard(small_store(directory / "store", io));
  std::optional<Store> store = must(Store::open(options));
  Walk walk({.seed = seed() + 100, .keys = 20'000, .sync_one_in = 2'000}, *store);
  const std::uint64_t steps = scaled(150'000);
  while (walk.steps() < steps) {
    walk.step();
    if (walk.steps() % (steps / 4) != 0) continue;
    walk.compare_all();
    must(store->close());
    store.reset();
    store = must(Store::open(options));
    CHECK(store->last_seq() >= walk.last());
    walk.use(*store);
    walk.compare_all();
  }
  CHECK(splits(*store) > 0);
}

TEST_CASE("eight threads on keys of their own each see a plain map, in memory", "[model]") {
  Store store = must(Store::open(one_shard()));
  walk_together(store, scaled(125'000), 0);
  CHECK(splits(store) > 0);
}

TEST_CASE("eight threads on keys of their own each see a plain map, with a log", "[model]") {
  const TemporaryDirectory directory;
  Content one;
  Content two;
  {
    Store store = must(Store::open(small_store(directory / "store")));
    walk_together(store, scaled(20'000), 2'000);
    one = content(must(store.space("one")));
    two = content(must(store.space("two")));
  }
  Store store = must(Store::open(small_store(directory / "store")));
  CHECK(difference(content(must(store.space("one"))), one) == "");
  CHECK(difference(content(must(store.space("two"))), two) == "");
}
