#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

#include <actable/store.h>

#include <algorithm>
#include <latch>
#include <string>
#include <thread>
#include <vector>

/// What broke once, each as the smallest run that showed it.
namespace actable::test {
namespace {

TEST_CASE("a visited record keeps its bytes after reopening a store that was overwritten a lot", "[regression]") {
  const TemporaryDirectory directory;
  {
    Store store = must(Store::open(small_store(directory.path())));
    Space space = must(store.space("a"));
    // Each thread retires nearly as much as makes it begin an epoch, replay all of it.
    together(32, [&space](unsigned thread) {
      Space own = space;
      for (int i = 0; i < 930; ++i) must(own.put("k" + std::to_string(thread), std::string(1000, 'x')));
    });
    must(store.close());
  }
  Store store = must(Store::open(small_store(directory.path())));
  const base::Epochs& epochs = store::Access::core(store).epochs();
  CHECK(epochs.safe() <= epochs.now());
  Space space = must(store.space("a"));
  must(space.put("victim", std::string(1000, 'V')));
  bool changed = false;
  must(space.visit("victim", [&](const Entry& entry) {
    std::thread([&space] {
      for (int i = 0; i < 5000; ++i) must(space.put("victim", std::string(1000, 'W')));
    }).join();
    changed = !std::ranges::all_of(entry.value, [](char c) { return c == 'V'; });
  }));
  CHECK_FALSE(changed);
}

TEST_CASE("a batch that erases an absent key numbers later writes of that key above it", "[regression]") {
  // Without a log, whose rounds would end the first thread's lease meanwhile.
  Store store = must(Store::open({}));
  Space space = must(store.space("a"));
  must(space.put("leases numbers", "below those of the batch"));
  Seq erased = 0;
  std::thread([&] {
    Batch batch;
    must(batch.erase(space, "k"));
    must(batch.put(space, "other", "v"));
    erased = must(store.write(batch));
  }).join();
  CHECK(must(space.put("k", "later")) > erased);
  CHECK(must(space.get("k")) == "later");
}

TEST_CASE("an erasure outlives a replay in which much is overwritten before it", "[regression]") {
  const TemporaryDirectory directory;
  {
    Store store = must(Store::open(small_store(directory.path())));
    Space space = must(store.space("a"));
    for (int i = 0; i < 2000; ++i) must(space.put("erased" + std::to_string(i), "v"));
    for (int i = 0; i < 2000; ++i) REQUIRE(must(space.erase("erased" + std::to_string(i))));
    for (int i = 0; i < 4000; ++i) must(space.put("hot", std::string(4000, 'x')));
    must(store.close());
  }
  for (int restart = 0; restart < 3; ++restart) {
    Store store = must(Store::open(small_store(directory.path())));
    Space space = must(store.space("a"));
    CHECK(space.size() == 1);
    CHECK(content(space).size() == 1);
  }
}

TEST_CASE("room reserved for a large value that was not written goes back", "[regression]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory.path());
  options.staging_bytes = std::size_t{1} << 20;
  options.write_deadline = std::chrono::milliseconds(500);
  Store store = must(Store::open(options));
  Space space = must(store.space("a"));
  must(space.put("there", "v"));
  const std::string large(k_value_bytes_max, 'x');
  std::latch reserved(2);
  std::latch end(1);
  std::vector<std::jthread> holders;
  for (int i = 0; i < 2; ++i) {
    holders.emplace_back([&] {
      // Large values pass one at a time here, so a thread may be told to wait.
      (void)space.put_if_absent("there", large);
      reserved.count_down();
      end.wait();
    });
  }
  reserved.wait();
  CHECK(outcome(space.put("other", large)) == "ok");
  end.count_down();
}

TEST_CASE("no two writes of a life have one number, however threads fight for leases", "[regression]") {
  Store store = must(Store::open({}));
  Space space = must(store.space("a"));
  constexpr unsigned k_threads = 4;
  constexpr std::size_t k_writes = 20'000;
  std::vector<std::vector<Seq>> numbers(k_threads);
  together(k_threads, [&](unsigned thread) {
    for (std::size_t i = 0; i < k_writes; ++i) {
      const std::string key = i % 3 == 0 ? "shared" : "own" + std::to_string(thread * k_writes + i);
      numbers[thread].push_back(must(space.put(key, "v")));
    }
  });
  std::vector<Seq> all;
  for (const auto& own : numbers) all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all);
  CHECK(std::ranges::adjacent_find(all) == all.end());
}

TEST_CASE("a write to a closed store touches nothing of it", "[regression]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory.path())));
  Space space = must(store.space("a"));
  for (int i = 0; i < 1000; ++i) must(space.put("k", std::string(1000, 'x')));
  Batch batch;
  must(batch.put(space, "k", "v"));
  must(store.close());
  CHECK(outcome(space.put("k", "v")) == "closed");
  CHECK(outcome(store.write(batch)) == "closed");
}

TEST_CASE("memory that nobody holds back any more slows no writer", "[regression]") {
  Options options;
  options.retired_bytes = std::size_t{1} << 20;
  Store store = must(Store::open(options));
  Space space = must(store.space("a"));
  must(space.put("k", "v"));
  // A thread retires far more than the budget while a visitor stands, and idles.
  std::latch retired(1);
  std::latch end(1);
  std::jthread loader([&] {
    for (int i = 0; i < 4000; ++i) must(space.put("hot", std::string(1000, 'x')));
    retired.count_down();
    end.wait();
  });
  must(space.visit("k", [&](const Entry&) { retired.wait(); }));
  CHECK(store.stats().memory.retired_bytes > options.retired_bytes);
  auto& core = store::Access::core(store);
  auto* const own = must(core.context());
  for (int i = 0; i < 200; ++i) must(space.put("mine", std::string(1000, 'y')));
  // Epochs begin a millisecond apart at the least.
  // `until` would throw, and leave the loader waiting for the end.
  CHECK(eventually(std::chrono::minutes(1), [&] {
    core.let_others_run(*own);
    return !own->cache().budget_due();
  }));
  end.count_down();
}

}  // namespace
}  // namespace actable::test
