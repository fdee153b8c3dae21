// Actors with nothing to do: how seldom they look, and what wakes them.

#include "actors/analytics_book.h"
#include "actors/monitor.h"
#include "actors/sample_pool.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/wait.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

using namespace actable;
using namespace actable::test;
using actors::SamplePool;
using store::SampleBatch;
using namespace std::chrono_literals;

namespace {

/// Turns that actors have in that time.
std::size_t turns_in(Stage& stage, std::chrono::milliseconds time) {
  std::size_t turns = 0;
  for (auto passed = 0ms; passed < time; passed += 10ms) turns += stage.pass(10ms);
  return turns;
}

/// A stage whose actors have had nothing to do for long.
class Resting {
 public:
  explicit Resting(Options options = {}) : stage_(std::move(options)) {
    look_at_all(stage_, space);
    (void)turns_in(stage_, 5s);
  }

  Stage& stage() { return stage_; }
  [[nodiscard]] std::uint64_t samples() { return stage_.tree().analytics().report().samples; }
  void get(std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) (void)must(space.get("nothing"));
  }

 private:
  Stage stage_;

 public:
  Space space = must(stage_.store().space("s"));
};

void bring_full(SamplePool& pool) {
  SampleBatch* const batch = pool.exchange(nullptr);
  REQUIRE(batch != nullptr);
  batch->count = SampleBatch::k_capacity;
  pool.take(batch);
}

}  // namespace

TEST_CASE("an idle store has two turns of its actors a second, however many there are", "[rest]") {
  Options options;
  options.shards = 64;
  Resting resting(options);
  CHECK(turns_in(resting.stage(), 60s) <= 120);
}

TEST_CASE("actors that rest are woken by a full batch, and not by one that is not", "[rest]") {
  Resting resting;
  const std::uint64_t before = resting.samples();
  resting.get(SampleBatch::k_capacity - 1);
  resting.stage().run();
  CHECK(resting.samples() == before);
  resting.get(1);
  resting.stage().run();
  CHECK(resting.samples() == before + SampleBatch::k_capacity);
  // They look ten times a second now, and so does shard 0 at times.
  CHECK(turns_in(resting.stage(), 500ms) >= 10);
  (void)turns_in(resting.stage(), 5s);
  CHECK(turns_in(resting.stage(), 60s) <= 120);
}

TEST_CASE("while actors rest, a batch that is not full waits a second at most", "[rest]") {
  Resting resting;
  const std::uint64_t before = resting.samples();
  resting.get(1);
  (void)turns_in(resting.stage(), 1s);
  CHECK(resting.samples() == before + 1);
}

TEST_CASE("a monitor wakes actors that rest, and they rest again when it is over", "[rest]") {
  Resting resting;
  const auto monitor = std::make_shared<actors::Monitor>(1'000);
  resting.stage().tree().analytics().show(monitor);
  resting.stage().run();
  resting.get(1);
  (void)turns_in(resting.stage(), 100ms);
  CHECK(monitor->fetch().items.size() == 1);
  (void)turns_in(resting.stage(), 5s);
  CHECK(turns_in(resting.stage(), 10s) >= 100);
  monitor->end();
  (void)turns_in(resting.stage(), 5s);
  CHECK(turns_in(resting.stage(), 60s) <= 120);
}

TEST_CASE("actors that rest when the store is closed end", "[rest]") {
  Resting resting;
  must(resting.stage().tree().close());
  (void)turns_in(resting.stage(), 2s);
  CHECK(turns_in(resting.stage(), 60s) == 0);
}

TEST_CASE("who brings a batch wakes once, and the next one does if he cannot", "[rest]") {
  SamplePool pool(16);
  int calls = 0;
  bool memory = true;
  bool all = true;
  pool.wake_with([&] {
    ++calls;
    if (!memory) throw std::bad_alloc();
    return all;
  });
  bring_full(pool);
  CHECK(calls == 0);
  pool.wake_at(1);
  bring_full(pool);
  bring_full(pool);
  CHECK(calls == 1);
  pool.wake_at(1);
  memory = false;
  bring_full(pool);
  memory = true;
  bring_full(pool);
  bring_full(pool);
  CHECK(calls == 3);
  pool.wake_at(1);
  all = false;
  bring_full(pool);
  all = true;
  bring_full(pool);
  bring_full(pool);
  CHECK(calls == 5);
  pool.wake_at(1);
  pool.wake_with({});
  bring_full(pool);
  CHECK(calls == 5);
}

TEST_CASE("so many batches wake as it was said, and whoever is awake is woken early", "[rest]") {
  SamplePool pool(8);
  int calls = 0;
  pool.wake_with([&] {
    ++calls;
    return true;
  });
  pool.wake_at(3);
  bring_full(pool);
  bring_full(pool);
  CHECK(calls == 0);
  (void)pool.next_full();
  bring_full(pool);
  CHECK(calls == 0);
  bring_full(pool);
  CHECK(calls == 1);

  Resting resting;
  resting.get(SampleBatch::k_capacity);
  resting.stage().run();
  const std::uint64_t before = resting.samples();
  constexpr std::size_t k_half = actors::AnalyticsBook::k_batches_max / 2;
  resting.get((k_half - 1) * SampleBatch::k_capacity);
  resting.stage().run();
  CHECK(resting.samples() == before);
  resting.get(SampleBatch::k_capacity);
  resting.stage().run();
  CHECK(resting.samples() == before + k_half * SampleBatch::k_capacity);
}

TEST_CASE("no batch is brought between a last look and a rest without anybody being woken", "[rest]") {
  constexpr std::uint64_t k_batches = 20'000;
  SamplePool pool(8);
  std::mutex mutex;
  std::condition_variable woken;
  bool awake = true;
  std::atomic<std::uint64_t> entered{0};
  pool.wake_with([&] {
    const std::lock_guard lock(mutex);
    awake = true;
    woken.notify_one();
    return true;
  });
  std::atomic<bool> given_up{false};
  std::jthread actor([&] {
    while (entered.load() < k_batches) {
      if (pool.next_full() != nullptr) {
        entered.fetch_add(1);
        continue;
      }
      {
        const std::lock_guard lock(mutex);
        awake = false;
      }
      pool.wake_at(1);
      if (pool.next_full() != nullptr) {
        entered.fetch_add(1);
        continue;
      }
      std::unique_lock lock(mutex);
      if (!woken.wait_for(lock, 60s, [&] { return awake; })) {
        given_up = true;
        return;
      }
    }
  });
  for (std::uint64_t i = 0; i < k_batches && !given_up; ++i) {
    bring_full(pool);
    while (entered.load() <= i && !given_up) std::this_thread::yield();
  }
  actor.join();
  CHECK_FALSE(given_up);
  CHECK(entered.load() == k_batches);
  pool.wake_with({});
}
