// Scans beside writers: what is there throughout comes exactly once.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>

using namespace actable;
using namespace actable::test;

namespace {

/// A space of one shard, so that it is small at first and grows while scanned.
struct Place {
  Store store = must(Store::open({.shards = 1}));
  Space space = must(store.space("s"));
};

std::string staying(std::uint64_t i) { return "staying" + std::to_string(i); }
std::string passing(std::uint64_t i) { return "passing" + std::to_string(i); }

/// One scan beside writers. Throws when a key comes twice, a value is not whole
/// or of another key, or one of the `stays` keys is missing.
void scan_once(const Space& space, std::uint64_t stays) {
  std::unordered_map<std::string, int> times;
  Cursor cursor = space.scan();
  while (must(cursor.next())) {
    const Entry& entry = cursor.entry();
    expect(++times[std::string(entry.key)] == 1, "a key came twice");
    expect(unseal(entry.value).has_value(), "a value is not whole");
    expect(entry.seq != 0, "an entry has no number");
  }
  for (std::uint64_t i = 0; i < stays; ++i) {
    expect(times[staying(i)] == 1, "a key that was there throughout did not come");
  }
}

/// Scans on two threads until `write` has returned on a third.
void scan_beside(const Space& space, std::uint64_t stays, const std::function<void()>& write) {
  std::atomic<bool> writing{true};
  together(3, [&](unsigned thread) {
    struct Ending {
      std::atomic<bool>& writing;
      ~Ending() { writing = false; }
    };
    if (thread == 0) {
      const Ending ending{writing};
      write();
      return;
    }
    while (writing) scan_once(space, stays);
  });
  scan_once(space, stays);
}

}  // namespace

TEST_CASE("a scan of an empty space ends at once, and of a full one finds everything", "[iteration]") {
  Place place;
  CHECK_FALSE(must(place.space.scan().next()));
  for (std::uint64_t i = 0; i < 10'000; ++i) must(place.space.put(staying(i), sealed(i, 8 + i % 100)));
  Cursor cursor = place.space.scan();
  std::size_t found = 0;
  while (must(cursor.next())) {
    ++found;
    REQUIRE(must(place.space.get(cursor.entry().key)) == cursor.entry().value);
  }
  CHECK(found == 10'000);
  CHECK_FALSE(must(cursor.next()));  // and stays at the end
}

TEST_CASE("keys that stay come once while others are inserted and the table grows", "[iteration]") {
  Place place;
  const std::uint64_t stays = 1'000;
  for (std::uint64_t i = 0; i < stays; ++i) must(place.space.put(staying(i), sealed(i, 20)));
  const std::uint64_t splits = place.space.stats().splits;
  scan_beside(place.space, stays, [&] {
    for (std::uint64_t i = 0; i < scaled(150'000); ++i) must(place.space.put(passing(i), sealed(i, 20)));
  });
  CHECK(place.space.stats().splits > splits);
  CHECK(place.space.size() == stays + scaled(150'000));
}

TEST_CASE("keys that stay come once while others come and go", "[iteration]") {
  Place place;
  const std::uint64_t stays = 2'000;
  for (std::uint64_t i = 0; i < stays; ++i) must(place.space.put(staying(i), sealed(i, 20)));
  const std::uint64_t rebuilds = place.space.stats().rebuilds;
  scan_beside(place.space, stays, [&] {
    for (std::uint64_t i = 0; i < std::max<std::uint64_t>(60'000, scaled(300'000)); ++i) {
      must(place.space.put(passing(i), sealed(i, 20)));
      if (i >= 100) expect(must(place.space.erase(passing(i - 100))), "a key just put is absent");
    }
  });
  CHECK(place.space.stats().rebuilds > rebuilds);
}

TEST_CASE("keys come once while their values are replaced by longer and shorter ones", "[iteration]") {
  Place place;
  const std::uint64_t stays = 3'000;
  for (std::uint64_t i = 0; i < stays; ++i) must(place.space.put(staying(i), sealed(i, 20)));
  scan_beside(place.space, stays, [&] {
    Random random(seed());
    for (std::uint64_t i = 0; i < scaled(300'000); ++i) {
      must(place.space.put(staying(random.below(stays)), sealed(random(), 8 + random.skewed(500))));
    }
  });
}

TEST_CASE("a cursor kept over growth and erasure finds the rest, and holds nothing back", "[iteration]") {
  Place place;
  const std::uint64_t stays = 5'000;
  for (std::uint64_t i = 0; i < stays; ++i) must(place.space.put(staying(i), sealed(i, 20)));
  std::unordered_map<std::string, int> times;
  Cursor cursor = place.space.scan();
  for (int i = 0; i < 10; ++i) {
    REQUIRE(must(cursor.next()));
    ++times[std::string(cursor.entry().key)];
  }
  for (std::uint64_t i = 0; i < 50'000; ++i) must(place.space.put(passing(i), sealed(i, 20)));
  for (std::uint64_t i = 0; i < 50'000; ++i) must(place.space.erase(passing(i)));
  while (must(cursor.next())) ++times[std::string(cursor.entry().key)];
  for (std::uint64_t i = 0; i < stays; ++i) REQUIRE(times[staying(i)] == 1);
  const StoreStats stats = place.store.stats();
  CHECK(stats.epoch_pinned_oldest == stats.epoch);
}

TEST_CASE("two cursors of one space do not disturb each other, and a moved one goes on", "[iteration]") {
  Place place;
  for (std::uint64_t i = 0; i < 3'000; ++i) must(place.space.put(staying(i), sealed(i, 20)));
  Cursor first = place.space.scan();
  Cursor second = place.space.scan();
  std::size_t found = 0;
  while (must(first.next())) {
    REQUIRE(must(second.next()));
    REQUIRE(first.entry().key == second.entry().key);
    if (++found % 1'000 == 0) first = Cursor(std::move(first));
  }
  CHECK_FALSE(must(second.next()));
  CHECK(found == 3'000);
}

TEST_CASE("large values come out of a scan whole", "[iteration]") {
  Place place;
  for (std::uint64_t i = 0; i < 40; ++i) must(place.space.put(staying(i), sealed(i, 300'000 + i)));
  must(place.space.put(staying(40), sealed(40, k_value_bytes_max)));
  scan_once(place.space, 41);
}
