#include "store/access.h"
#include "store/checks.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/colliding_keys.h"
#include "tests/support/failing_memory.h"
#include "tests/support/simulated_disk.h"

#include <optional>
#include <string>
#include <vector>

// Stores whose opening runs out of memory.
namespace actable::test {
namespace {

/// Spaces with records, with none but an erased one, with none at all, and one
/// that is dropped.
Content fill(SimulatedDisk& disk, const Options& options) {
  Store store = must(store::Access::open(options, disk));
  Space space = must(store.space("kept"));
  // All in one bucket of the table, which replaying makes grow for them alone.
  const std::uint64_t hash_seed = store::Access::core(store).hash_seed();
  for (std::uint64_t i = 0; i < 300; ++i) must(space.put(key_with_hash(i << 7, i, hash_seed), "v"));
  must(space.put("longer", std::string(1000, 'v')));
  must(space.erase("longer"));
  must(must(store.space("dropped")).put("k", "v"));
  must(must(store.space("empty")).put("k", "v"));
  must(must(store.space("empty")).erase("k"));
  must(store.space("new"));
  CHECK(must(store.drop_space("dropped")));
  Content due = content(space);
  must(store.close());
  return due;
}

TEST_CASE("whichever request for memory fails while a store is opened, it is not opened and harmed in nothing") {
  const Options options = small_store("/simulated", LogIo::pwrite);
  SimulatedDisk disk;
  const Content due = fill(disk, options);
  const auto check = [&due](Store& store) {
    REQUIRE(difference(content(must(store.space("kept"))), due) == "");
    REQUIRE(store.spaces() == std::vector<std::string>{"empty", "kept", "new"});
  };
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    INFO("request " << nth);
    REQUIRE(nth < 20'000);
    const auto copy = disk.killed();
    bool failed = false;
    {
      std::optional<Result<Store>> store;
      {
        Options of_opening = options;
        const FailingMemory failing(nth);
        store.emplace(
            store::guarded("opening the store", [&] { return store::Access::open(std::move(of_opening), *copy); }));
        failed = failing.failed();
      }
      // Where it can do without it opens all the same.
      if (*store) check(**store);
      if (!*store) {
        REQUIRE(failed);
        REQUIRE(outcome(*store) == "no_memory");
        ++failures;
      }
    }
    if (!failed) break;
    Store next = must(store::Access::open(options, *copy));
    check(next);
  }
  CHECK(failures > 50);
}

TEST_CASE("a step of a scan that runs out of memory says so, and the next call begins it again") {
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  for (int i = 0; i < 5000; ++i) must(space.put("k" + std::to_string(i), std::string(100, 'v')));
  const Content due = content(space);
  Cursor cursor = space.scan();
  Content found;
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    Result<bool> more = false;
    {
      const FailingMemory failing(nth % 4 + 1);
      more = cursor.next();
    }
    if (!more) {
      REQUIRE(outcome(more) == "no_memory");
      ++failures;
      continue;
    }
    if (!*more) break;
    REQUIRE(found.emplace(cursor.entry().key, Held{std::string(cursor.entry().value), cursor.entry().seq}).second);
  }
  CHECK(difference(found, due) == "");
  CHECK(failures > 10);
}

}  // namespace
}  // namespace actable::test
