// One thread stopped at each step of the store's own: between drawing a number
// and publishing, between publishing and staging, inside a batch, in the log's
// round, in a checkpoint. Meanwhile others complete 10,000 operations on the same key and in the
// same bucket, and the table grows. Then it goes on, and the store is opened
// again.

#include "tests/support/park.h"
#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/colliding_keys.h"
#include "tests/support/model.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <array>
#include <atomic>
#include <latch>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

constexpr std::uint64_t k_operations = 10'000;
constexpr unsigned k_others = 4;

/// What one thread has done: the keys that are its own, its writes to the key
/// that all share, and what it added to the counter of all.
struct Deeds {
  Content own;
  std::map<Seq, std::optional<std::string>> shared;
  std::int64_t added = 0;
};

/// A store, the threads' keys in it, and what they did.
class Scene {
 public:
  explicit Scene(bool logged) : logged_(logged) {
    open();
    must(space->add("counter", 0));
    for (std::uint64_t i = 0; i < 300; ++i) {
      const std::string key = "staying" + std::to_string(i);
      staying_[key] = Held{key, must(space->put(key, key))};
    }
  }

  void open() {
    Options options = logged_ ? small_store(directory_ / "store") : Options{};
    options.shards = 1;
    store = must(Store::open(options));
    space = must(store->space("s"));
  }

  [[nodiscard]] bool logged() const noexcept { return logged_; }

  /// A key in the bucket of the shared one.
  [[nodiscard]] std::string near_key(std::uint64_t owner, std::uint64_t i) const {
    return key_with_hash(k_pattern | (i * 0x9e3779b97f4a7c15 & k_elsewhere_in_bucket), owner << 32 | i, hash_seed());
  }
  [[nodiscard]] static std::string far_key(std::uint64_t owner, std::uint64_t i) {
    return std::to_string(owner) + "." + std::to_string(i);
  }

  void put(Deeds& deeds, const std::string& key, const std::string& value) {
    deeds.own[key] = Held{value, must(space->put(key, value))};
  }
  void erase(Deeds& deeds, const std::string& key) {
    expect(must(space->erase(key)) == (deeds.own.erase(key) != 0), "an erasure found a key where it was not");
  }
  void put_shared(Deeds& deeds, const std::string& value) { deeds.shared[must(space->put(shared(), value))] = value; }
  void erase_shared(Deeds& deeds) {
    const auto to_nothing = [](std::optional<std::string_view>) { return std::optional<std::string>(); };
    if (const Seq seq = must(space->update(shared(), to_nothing)); seq != 0) deeds.shared[seq] = std::nullopt;
  }
  void add(Deeds& deeds) {
    must(space->add("counter", 1));
    ++deeds.added;
  }
  void write_batch(Deeds& deeds) {
    Batch batch;
    must(batch.put(*space, shared(), "batch"));
    for (std::uint64_t i = 0; i < 3; ++i) must(batch.put(*space, near_key(77, i), "batch"));
    const Seq seq = must(store->write(batch));
    deeds.shared[seq] = "batch";
    for (std::uint64_t i = 0; i < 3; ++i) deeds.own[near_key(77, i)] = Held{"batch", seq};
  }

  /// What the others do while one is stopped.
  void others_are_busy() {
    together(k_others, [this](unsigned thread) { be_busy(thread + 1, others_[thread]); });
    const Content found = content(*space);
    for (const auto& [key, record] : staying_) expect(found.contains(key), "a key that stays did not come in a scan");
  }

  /// How the space differs from what all have done; empty if it does not.
  [[nodiscard]] std::string wrong() const {
    Content due = staying_;
    std::map<Seq, std::optional<std::string>> writes;
    std::int64_t sum = 0;
    const auto add_to_due = [&](const Deeds& deeds) {
      due.insert(deeds.own.begin(), deeds.own.end());
      writes.insert(deeds.shared.begin(), deeds.shared.end());
      sum += deeds.added;
    };
    add_to_due(stopped);
    for (const Deeds& deeds : others_) add_to_due(deeds);
    if (!writes.empty() && writes.rbegin()->second)
      due[shared()] = Held{*writes.rbegin()->second, writes.rbegin()->first};
    const Content found = content(*space);
    const auto counter = found.find("counter");
    if (counter != found.end()) due["counter"] = Held{counter_bytes(sum), counter->second.seq};
    if (const auto synced = found.find("synced"); synced != found.end()) due["synced"] = synced->second;
    return difference(found, due);
  }

  std::optional<Store> store;
  std::optional<Space> space;
  Deeds stopped;

 private:
  static constexpr std::uint64_t k_pattern = 0x5a5a'0000'0000'0033;
  static constexpr std::uint64_t k_elsewhere_in_bucket = 0x0000'ffff'ffff'ff80;

  [[nodiscard]] std::uint64_t hash_seed() const {
    return store::Access::core(*const_cast<Scene*>(this)->store).hash_seed();
  }
  [[nodiscard]] std::string shared() const { return near_key(0, 0); }

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
          add(deeds);
          break;
        case 5:
          put(deeds, far_key(thread, i), std::string(random.one_in(4) ? 1'000 : 10, 'v'));
          break;
        case 6: {
          const std::string staying = "staying" + std::to_string(random.below(300));
          expect(must(space->get(staying)) == staying, "a key that stays was not found as it was written");
          break;
        }
        default: {
          const auto at = deeds.own.find(near);
          expect(held(*space, near) == (at == deeds.own.end() ? std::nullopt : std::optional(at->second)),
                 "a key is not as its thread left it");
        }
      }
    }
  }

  const bool logged_;
  TemporaryDirectory directory_;
  Content staying_;
  std::array<Deeds, k_others> others_;
};

/// A write with `Durability::sync`, on a thread of its own.
class SyncWrite {
 public:
  explicit SyncWrite(Space space)
      : thread_([this, space = std::move(space)]() mutable {
          result_ = outcome(space.put("synced", "value", k_sync));
          done_.store(true, std::memory_order_release);
        }) {}

  [[nodiscard]] bool done() const noexcept { return done_.load(std::memory_order_acquire); }
  [[nodiscard]] std::string join() {
    thread_.join();
    return result_;
  }

 private:
  std::atomic<bool> done_{false};
  std::string result_;
  std::jthread thread_;
};

/// What the stopped thread is about, and when the test looks at it.
struct Work {
  std::string name;
  std::function<void(Scene&)> prepare;
  std::function<void(Scene&)> run;
};

const Work insert{"an insert", [](Scene&) {}, [](Scene& scene) { scene.put_shared(scene.stopped, "stopped"); }};
const Work replace{"a put", [](Scene& scene) { scene.put_shared(scene.stopped, "old"); }, insert.run};
const Work erase{"an erasure", replace.prepare, [](Scene& scene) { scene.erase_shared(scene.stopped); }};
const Work add{"an addition", [](Scene&) {}, [](Scene& scene) { scene.add(scene.stopped); }};
const Work batch{"a batch", replace.prepare, [](Scene& scene) { scene.write_batch(scene.stopped); }};
const Work fill_buffers{"puts that fill a buffer", [](Scene&) {},
                        [](Scene& scene) {
                          for (std::uint64_t i = 0; i < 300; ++i) {
                            scene.put(scene.stopped, Scene::far_key(77, i), std::string(1'000, 'v'));
                          }
                        }};

const Work write_checkpoint{"a checkpoint", replace.prepare, [](Scene& scene) { must(scene.store->checkpoint()); }};

struct Stop {
  std::string point;
  unsigned nth;
  Work work;
};

/// The stop is over: all is as everybody did it, in memory and after reopening.
void check_aftermath(Scene& scene) {
  CHECK(scene.wrong() == "");
  scene.others_are_busy();
  CHECK(scene.wrong() == "");
  if (!scene.logged()) return;
  const Seq last = scene.store->last_seq();
  CHECK(must(scene.store->sync()) >= last);
  must(scene.store->close());
  scene.open();
  CHECK(scene.wrong() == "");
}

/// `holds_cut`: the thread is stopped while pinned for writing, so that a sync
/// waits for it.
void check(const Stop& stop, bool logged, bool holds_cut) {
  INFO("at " << stop.point << ", time " << stop.nth << ", in " << stop.work.name
             << (logged ? ", logged" : ", in memory"));
  Scene scene(logged);
  stop.work.prepare(scene);
  ParkedThread parked(stop.point, stop.nth, [&] { stop.work.run(scene); });
  REQUIRE(parked.stopped());
  std::optional<SyncWrite> synced;
  if (logged) synced.emplace(*scene.space);
  scene.others_are_busy();
  if (logged && holds_cut) {
    REQUIRE(eventually(std::chrono::seconds(60), [&] { return held(*scene.space, "synced").has_value(); }));
    CHECK(scene.store->durable_seq() < held(*scene.space, "synced")->seq);
    CHECK_FALSE(synced->done());
  } else if (logged) {
    CHECK(synced->join() == "ok");
    synced.reset();
  }
  parked.resume();
  if (synced) CHECK(synced->join() == "ok");
  check_aftermath(scene);
}

}  // namespace

TEST_CASE("a thread stopped in the middle of a write stops no other, and holds back only syncs", "[park]") {
  const bool logged = GENERATE(false, true);
  check(GENERATE(values<Stop>({
            {"store.before_draw", 1, insert},
            {"store.before_draw", 1, replace},
            {"store.before_draw", 1, erase},
            {"store.before_draw", 1, add},
            {"store.published", 1, insert},
            {"store.published", 1, replace},
            {"store.published", 1, erase},
            {"store.published", 1, add},
            {"batch.before_draw", 1, batch},
            {"batch.between_keys", 1, batch},
            {"batch.between_keys", 2, batch},
            {"batch.between_keys", 4, batch},
        })),
        logged, true);
}

TEST_CASE("a thread stopped while it stages a record stops no other, and holds back only syncs", "[park]") {
  check(GENERATE(values<Stop>({
            {"staging.append", 1, insert},
            {"staging.append", 1, erase},
            {"staging.append", 1, batch},
            {"staging.append", 3, batch},
            {"staging.append", 100, fill_buffers},
        })),
        true, true);
}

TEST_CASE("a thread stopped while it closes a buffer holds back nothing", "[park]") {
  check(GENERATE(values<Stop>({
            {"staging.close_buffer", 1, fill_buffers},
            {"staging.close_buffer", 3, fill_buffers},
        })),
        true, false);
}

TEST_CASE("a thread stopped in the middle of a checkpoint holds back nothing", "[park]") {
  check(GENERATE(values<Stop>({
            {"checkpoint.cut", 1, write_checkpoint},
            {"checkpoint.cover", 1, write_checkpoint},
        })),
        true, false);
}

TEST_CASE("a log's thread stopped after it began a round holds back only syncs", "[park]") {
  Scene scene(true);
  base::park::arm("log.bumped", 1, base::park::Stops::anyone);
  SyncWrite synced(*scene.space);
  REQUIRE(base::park::wait_until_parked());
  REQUIRE(eventually(std::chrono::seconds(60), [&] { return held(*scene.space, "synced").has_value(); }));
  scene.others_are_busy();
  SyncWrite second(*scene.space);
  scene.others_are_busy();
  CHECK_FALSE(second.done());
  base::park::release();
  CHECK(synced.join() == "ok");
  CHECK(second.join() == "ok");
  check_aftermath(scene);
}
