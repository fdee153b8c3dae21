// One thread stopped at each step of insert, update, erase, growth and the
// memory beneath them; meanwhile others complete 10,000 operations on the same
// key and in the same bucket, and the table grows. Then it goes on.

#include "tests/support/park.h"
#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <algorithm>
#include <array>

using namespace actable;
using namespace actable::test;

namespace {

constexpr std::uint64_t k_operations = 10'000;
constexpr unsigned k_others = 4;
// Its class fills a magazine with 61 KiB, so that a MiB is soon retired.
constexpr std::size_t k_large = 1'000;

/// What one thread has done: the keys that are its own, and its writes to the
/// key that all share.
struct Deeds {
  Content own;
  std::map<Seq, std::optional<std::string>> shared;
};

/// A table, the threads' keys in it, and what they did.
class Scene {
 public:
  Scene() {
    for (std::uint64_t i = 0; i < 300; ++i) staying_[spread_key(99, i)] = Held{};
    for (auto& [key, held] : staying_) held = {"staying", table.put(key, "staying")};
  }

  /// A key in the bucket of the shared one.
  [[nodiscard]] std::string near_key(std::uint64_t owner, std::uint64_t i) const {
    return table.key_at((pattern_ & ~k_elsewhere_in_bucket) | (i * 0x9e3779b97f4a7c15 & k_elsewhere_in_bucket),
                        owner << 32 | i);
  }
  /// A key in the shared one's segment, as long as the table is small.
  [[nodiscard]] std::string spread_key(std::uint64_t owner, std::uint64_t i) const {
    return table.key_at((pattern_ & k_prefix) | (i * 0x9e3779b97f4a7c15 & ~k_prefix), owner << 32 | i);
  }

  void put(Deeds& deeds, const std::string& key, const std::string& value) {
    deeds.own[key] = Held{value, table.put(key, value)};
  }
  void erase(Deeds& deeds, const std::string& key) {
    expect((table.erase(key) != 0) == (deeds.own.erase(key) != 0), "an erasure found a key where it was not");
  }
  void put_shared(Deeds& deeds, const std::string& value) { deeds.shared[table.put(shared_, value)] = value; }
  void erase_shared(Deeds& deeds) {
    if (const Seq seq = table.erase(shared_); seq != 0) deeds.shared[seq] = std::nullopt;
  }

  /// What the others do while one is stopped.
  void be_busy(unsigned thread, Deeds& deeds) {
    Random random(seed() + thread);
    for (std::uint64_t i = 0; i < k_operations / k_others; ++i) {
      const std::string near = near_key(thread, random.below(40));
      switch (random.below(8)) {
        case 0:
          put_shared(deeds, std::to_string(thread) + "." + std::to_string(i));
          break;
        case 1:
          erase_shared(deeds);
          break;
        case 2:
          put(deeds, near, std::to_string(i));
          break;
        case 3:
          erase(deeds, near);
          break;
        case 4:
        case 5:
          put(deeds, spread_key(thread, i), std::string(random.one_in(4) ? k_large : 10, 'v'));
          break;
        case 6: {
          const auto& [key, held] = *std::next(staying_.begin(), static_cast<long>(random.below(staying_.size())));
          expect(table.find(key) == held, "a key that is there throughout was not found as it was written");
          break;
        }
        default: {
          const auto at = deeds.own.find(near);
          expect(table.find(near) == (at == deeds.own.end() ? std::nullopt : std::optional(at->second)),
                 "a key is not as its thread left it");
        }
      }
    }
  }

  /// They also scan, however far a replacement of segments has come.
  void others_are_busy() {
    together(k_others, [this](unsigned thread) { be_busy(thread + 1, others_[thread]); });
    const Content found = table.content();
    for (const auto& [key, held] : staying_) expect(found.contains(key), "a key that stays did not come in a scan");
  }

  /// How the table differs from what all have done; empty if it does not.
  [[nodiscard]] std::string wrong() {
    Content due = staying_;
    std::map<Seq, std::optional<std::string>> shared;
    const auto add = [&](const Deeds& deeds) {
      due.insert(deeds.own.begin(), deeds.own.end());
      shared.insert(deeds.shared.begin(), deeds.shared.end());
    };
    add(stopped);
    for (const Deeds& deeds : others_) add(deeds);
    if (!shared.empty() && shared.rbegin()->second)
      due[shared_] = Held{*shared.rbegin()->second, shared.rbegin()->first};
    return differs_from(table, due);
  }

  Table table;
  Deeds stopped;

 private:
  static constexpr std::uint64_t k_prefix = 0xff00'0000'0000'0000;
  static constexpr std::uint64_t k_elsewhere_in_bucket = 0x0000'ffff'ffff'ff80;

  const std::uint64_t pattern_ = Random(seed())();
  const std::string shared_ = table.key_at(pattern_, 0);
  Content staying_;
  std::array<Deeds, k_others> others_;
};

/// What the stopped thread is about. `prepare` runs before, on the test's thread.
struct Work {
  std::string name;
  std::function<void(Scene&)> prepare;
  std::function<void(Scene&)> run;
};

const auto nothing = [](Scene&) {};

const Work insert{"an insert", nothing, [](Scene& scene) { scene.put_shared(scene.stopped, "stopped"); }};

const Work update{"an update", [](Scene& scene) { scene.put_shared(scene.stopped, "old"); }, insert.run};

const Work erase{"an erasure", update.prepare, [](Scene& scene) { scene.erase_shared(scene.stopped); }};

/// Fills the bucket's chain, so that the segment is replaced although it holds few.
const Work crowd{"inserts into one bucket", nothing, [](Scene& scene) {
                   for (std::uint64_t i = 0; i < 300; ++i) scene.put(scene.stopped, scene.near_key(77, i), "near");
                 }};

const Work grow{"inserts that split a segment", nothing, [](Scene& scene) {
                  const auto before = scene.table.stats().splits;
                  std::uint64_t i = 0;
                  while (scene.table.stats().splits == before || i % 100 != 0) {
                    scene.put(scene.stopped, scene.spread_key(77, i++), "spread");
                  }
                }};

/// Ever new keys, soon erased, until tombstones fill the segment.
const Work rebuild{"inserts into a segment of tombstones", nothing, [](Scene& scene) {
                     for (std::uint64_t i = 0; i < 2'000; ++i) {
                       scene.put(scene.stopped, scene.spread_key(77, i), "soon gone");
                       if (i >= 20) scene.erase(scene.stopped, scene.spread_key(77, i - 20));
                       if (i % 50 == 0) scene.table.epochs.advance();
                     }
                   }};

/// Retires some MiB.
const Work replace_large{"updates of large values", nothing, [](Scene& scene) {
                           for (std::uint64_t i = 0; i < 4'000; ++i) {
                             scene.put(scene.stopped, scene.spread_key(77, i % 100), std::string(k_large, 'v'));
                           }
                         }};

void put_large(Scene& scene) {
  for (std::uint64_t i = 0; i < 4'000; ++i) {
    scene.put(scene.stopped, scene.spread_key(77, i), std::string(k_large, 'v'));
  }
}
void erase_large(Scene& scene) {
  for (std::uint64_t i = 0; i < 4'000; ++i) {
    scene.erase(scene.stopped, scene.spread_key(77, i));
    if (i % 500 == 499) scene.table.epochs.advance();
  }
}

const Work insert_large{"inserts of large values", nothing, put_large};

/// A thread that only erases has memory to share.
const Work give_away{"erasures of large values", put_large, erase_large};

/// A thread that only inserts takes what another has shared.
const Work take_over{"inserts after another's erasures",
                     [](Scene& scene) {
                       put_large(scene);
                       erase_large(scene);
                     },
                     put_large};

/// Many records, most of them erased: what a compaction is for.
void thin_out(Scene& scene) {
  for (std::uint64_t i = 0; i < 2'000; ++i) scene.put(scene.stopped, scene.spread_key(77, i), std::string(100, 'v'));
  for (std::uint64_t i = 0; i < 2'000; ++i) {
    if (i % 10 != 0) scene.erase(scene.stopped, scene.spread_key(77, i));
  }
  scene.table.epochs.advance();
}

const Work compact{"a compaction", thin_out, [](Scene& scene) { scene.table.compact(); }};

/// Of keys all over the table.
const Work merge{"a merge of segments",
                 [](Scene& scene) {
                   const auto key = [](std::uint64_t i) { return "all over " + std::to_string(i); };
                   for (std::uint64_t i = 0; i < 5'000; ++i) scene.put(scene.stopped, key(i), "soon gone");
                   for (std::uint64_t i = 100; i < 5'000; ++i) scene.erase(scene.stopped, key(i));
                   scene.table.epochs.advance();
                   scene.table.epochs.advance();
                 },
                 [](Scene& scene) { scene.table.tidy(); }};

/// Whoever is stopped here while he writes, another compacts as far as that goes.
const Work insert_under_compaction{"an insert", thin_out, insert.run};
const Work update_under_compaction{"an update",
                                   [](Scene& scene) {
                                     thin_out(scene);
                                     update.prepare(scene);
                                   },
                                   update.run};

struct Stop {
  std::string point;
  unsigned nth;
  Work work;
};

void check(const Stop& stop) {
  INFO("at " << stop.point << ", time " << stop.nth << ", in " << stop.work.name);
  Scene scene;
  stop.work.prepare(scene);
  ParkedThread parked(stop.point, stop.nth, [&] { stop.work.run(scene); });
  REQUIRE(parked.stopped());
  const auto splits = scene.table.stats().splits;
  scene.others_are_busy();
  CHECK(scene.table.stats().splits > splits);
  parked.resume();
  CHECK(scene.wrong() == "");
  // Nothing is left that holds others back, and the table is of use.
  scene.table.epochs.advance();
  CHECK(scene.table.epochs.safe() == scene.table.epochs.now());
  scene.others_are_busy();
  CHECK(scene.wrong() == "");
}

}  // namespace

TEST_CASE("a thread stopped in the middle of an insert, an update or an erasure stops no other") {
  check(GENERATE(values<Stop>({
      {"table.insert", 1, insert},
      {"table.update", 1, update},
      {"table.update", 1, erase},
      {"table.chain", 1, crowd},
      {"table.chain", 5, crowd},
      {"epoch.announce", 1, insert},
      {"epoch.announce", 1, update},
      {"epoch.lease", 1, insert},
      {"epoch.lease", 1, erase},
      {"epoch.lease", 3, grow},
  })));
}

TEST_CASE("a thread stopped in the middle of a split stops no other") {
  check(GENERATE(values<Stop>({
      {"table.freeze", 1, grow},
      {"table.freeze", 500, grow},
      // The last slot of the last bucket that is sure to be there.
      {"table.freeze", 128 * 7, grow},
      {"table.copy", 1, grow},
      {"table.offer", 1, grow},
      {"table.swing", 1, grow},
      {"table.swing", 2, grow},
      {"table.retire", 1, grow},
  })));
}

TEST_CASE("a thread stopped while it rebuilds a segment of tombstones, or one crowded bucket, stops no other") {
  check(GENERATE(values<Stop>({
      {"table.freeze", 1, rebuild},
      {"table.freeze", 700, rebuild},
      {"table.copy", 1, rebuild},
      {"table.offer", 1, rebuild},
      {"table.swing", 1, rebuild},
      {"table.retire", 1, rebuild},
      {"table.copy", 1, crowd},
      {"table.offer", 1, crowd},
      {"table.swing", 1, crowd},
      {"table.retire", 1, crowd},
  })));
}

TEST_CASE("a thread stopped while it takes memory or gives it back stops no other") {
  check(GENERATE(values<Stop>({
      {"memory.new_arena", 1, insert_large},
      {"memory.push", 1, give_away},
      {"memory.push", 7, give_away},
      {"memory.pop", 1, take_over},
      {"memory.pop", 5, take_over},
  })));
}

TEST_CASE("a thread stopped in the middle of a compaction stops no other") {
  check(GENERATE(values<Stop>({
      {"memory.generation", 1, compact},
      {"memory.exchange", 1, compact},
      // Of another thread's cache, or the second of its own.
      {"memory.exchange", 2, compact},
      {"table.move", 1, compact},
      {"table.move", 100, compact},
      {"table.freeze", 1, compact},
      {"table.freeze", 1'000, compact},
      {"table.offer", 1, compact},
      {"table.swing", 1, compact},
      {"table.retire", 1, compact},
  })));
}

TEST_CASE("a thread stopped while it merges two segments stops no other") {
  check(GENERATE(values<Stop>({
      {"table.freeze", 1, merge},
      {"table.freeze", 1'500, merge},
      {"table.claim", 1, merge},
      {"table.claim", 2, merge},
      {"table.claim", 3, merge},
      {"table.merge", 1, merge},
      {"table.swing", 1, merge},
      {"table.swing", 2, merge},
      {"table.retire", 1, merge},
      {"table.retire", 2, merge},
  })));
}

TEST_CASE("a compaction waits for a stopped writer, who loses nothing, and nobody else waits for either") {
  const auto stop = GENERATE(values<Stop>({
      {"epoch.announce", 1, update_under_compaction},
      {"table.insert", 1, insert_under_compaction},
      {"table.update", 1, update_under_compaction},
      {"epoch.lease", 1, insert_under_compaction},
  }));
  // How far the compaction has come when the writer is stopped.
  const int steps_before = GENERATE(0, 1, 3, 6, 9, 12, 20, 60);
  INFO("at " << stop.point << " after " << steps_before << " steps");
  Scene scene;
  stop.work.prepare(scene);
  table::TidyPosition position;
  for (int i = 0; i < steps_before; ++i) scene.table.compact_next(position);
  ParkedThread parked(stop.point, stop.nth, [&] { stop.work.run(scene); });
  REQUIRE(parked.stopped());
  for (int i = 0; i < 500; ++i) scene.table.compact_next(position);
  scene.others_are_busy();
  for (int i = 0; i < 500; ++i) scene.table.compact_next(position);
  parked.resume();
  CHECK(scene.wrong() == "");
  while (scene.table.memory.compaction() != base::RecordMemory::Compaction::none) scene.table.compact_next(position);
  CHECK(scene.wrong() == "");
  scene.table.compact();
  scene.others_are_busy();
  CHECK(scene.wrong() == "");
}

TEST_CASE("a thread stopped while it begins an epoch stops no other") {
  check(GENERATE(values<Stop>({
      {"epoch.before_advance", 1, replace_large},
      {"epoch.before_scan", 1, replace_large},
      {"epoch.before_advance", 2, give_away},
      {"epoch.before_scan", 1, rebuild},
  })));
}

// Others stay away from its bucket, so that only the freezing tells it.
TEST_CASE("what a stopped thread is about to write is not lost when its segment is replaced meanwhile") {
  struct Case {
    std::string point;
    std::uint64_t keys_before;
    std::uint64_t key;
  };
  const auto [point, keys_before, key] = GENERATE(values<Case>({
      {"table.insert", 3, 3},
      {"table.update", 3, 1},
      {"table.chain", table::Bucket::k_slots, table::Bucket::k_slots},
  }));
  INFO("at " << point);
  // The first and the last bucket of a segment, and one between.
  const std::uint64_t its_bucket = GENERATE(values<std::uint64_t>({0, 5, table::Segment::k_home_buckets - 1}));
  constexpr std::uint64_t k_other_bucket = 6;
  INFO("in bucket " << its_bucket);
  Table table;
  const auto key_in = [&table](std::uint64_t bucket, std::uint64_t i) { return table.key_at(i << 20 | bucket, i); };
  for (std::uint64_t i = 0; i < keys_before; ++i) table.put(key_in(its_bucket, i), "before");
  ParkedThread parked(point, 1, [&] { table.put(key_in(its_bucket, key), "stopped"); });
  REQUIRE(parked.stopped());
  for (std::uint64_t i = 0; table.stats().rebuilds == 0; ++i) table.put(key_in(k_other_bucket, i), "other");
  parked.resume();
  for (std::uint64_t i = 0; i < keys_before; ++i) CHECK(table.find(key_in(its_bucket, i)).has_value());
  REQUIRE(table.find(key_in(its_bucket, key)).has_value());
  CHECK(table.find(key_in(its_bucket, key))->value == "stopped");
}
