#include "base/thread_index.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <memory>
#include <set>

namespace actable::base {
namespace {

using test::expect;
using test::on_another_thread;
using test::together;

/// The indices of so many threads that live at the same time.
std::vector<unsigned> indices_of(unsigned threads) {
  std::vector<unsigned> found(threads);
  std::barrier all_have(static_cast<std::ptrdiff_t>(threads));
  together(threads, [&](unsigned i) {
    found[i] = thread_index();
    all_have.arrive_and_wait();
  });
  return found;
}

}  // namespace

TEST_CASE("threads that live at the same time have different indices") {
  const auto found = indices_of(100);
  const std::set<unsigned> different(found.begin(), found.end());
  CHECK(different.size() == 100);
  CHECK(std::ranges::max(found) < k_threads_max);
}

TEST_CASE("a thread keeps its index until it ends") {
  together(8, [](unsigned) {
    const unsigned first = thread_index();
    for (int i = 0; i < 1000; ++i) expect(thread_index() == first, "the index of a thread changed");
    expect(thread_index_in_use(first), "the index of a live thread is said to be free");
  });
}

TEST_CASE("the lowest index that is free is given out") {
  const unsigned main = thread_index();
  for (int wave = 0; wave < 20; ++wave) {
    const unsigned threads = static_cast<unsigned>(1 + wave % 7);
    auto found = indices_of(threads);
    std::ranges::sort(found);
    // Of 0 to `threads`, all but this thread's own.
    unsigned due = 0;
    for (const unsigned index : found) {
      if (due == main) ++due;
      CHECK(index == due++);
    }
  }
}

TEST_CASE("an index is free again when its thread has ended, and what it did is seen by the next") {
  unsigned last = k_no_thread_index;
  int written = 0;  // Not atomic: ThreadSanitizer checks the order.
  PerThread<int> kept;
  for (int wave = 0; wave < 100; ++wave) {
    on_another_thread([&] {
      const unsigned index = thread_index();
      expect(last == k_no_thread_index || index == last, "the index of the ended thread was not given out again");
      last = index;
      int* const mine = kept.get(index, 0);
      expect(*mine == wave, "what was kept under the index is not there");
      ++*mine;
      ++written;
    });
    CHECK_FALSE(thread_index_in_use(last));
  }
  CHECK(written == 100);
}

TEST_CASE("a thread that ends has its index while its own objects end, and none afterwards") {
  unsigned at_first = 0;
  unsigned in_destructor = 0;
  unsigned at_the_end = 0;
  on_another_thread([&] {
    struct Asks {
      unsigned* answer;
      ~Asks() { *answer = thread_index(); }
    };
    // Before the thread has an index, and so destroyed after whatever comes later.
    static thread_local Asks asks{&in_destructor};
    (void)asks;
    at_first = thread_index();
    test::at_the_very_end([&] { at_the_end = thread_index(); });
  });
  REQUIRE(at_first < k_threads_max);
  CHECK(in_destructor == at_first);
  CHECK(at_the_end == k_no_thread_index);
  CHECK_FALSE(thread_index_in_use(at_first));
}

TEST_CASE("each thread has an item of its own, made when first asked for") {
  PerThread<unsigned> items;
  CHECK(items.find(thread_index()) == nullptr);
  CHECK(items.find(k_no_thread_index) == nullptr);
  std::barrier made(4);
  together(4, [&](unsigned i) {
    const unsigned index = thread_index();
    unsigned* const mine = items.get(index, i);
    made.arrive_and_wait();
    expect(mine != nullptr && *mine == i, "a thread found another's item");
    expect(items.get(index, 99U) == mine && items.find(index) == mine, "a second call made another item");
    expect(items.live_threads() == 4, "not all live threads with items are counted");
    made.arrive_and_wait();
  });
  std::vector<unsigned> seen;
  items.for_each([&seen](unsigned item) { seen.push_back(item); });
  std::ranges::sort(seen);
  CHECK(seen == std::vector<unsigned>{0, 1, 2, 3});
  CHECK(items.live_threads() == 0);
  CHECK(items.all_of([](unsigned item) { return item < 4; }));
  CHECK_FALSE(items.all_of([](unsigned item) { return item != 2; }));
}

TEST_CASE("each thread's item has cache lines of its own") {
  constexpr std::uintptr_t k_line_bytes = 64;
  PerThread<char> items;
  std::barrier all_have(16);
  together(16, [&](unsigned) {
    const auto at = reinterpret_cast<std::uintptr_t>(items.get(thread_index()));
    expect(at != 0 && at % k_line_bytes == 0, "an item does not begin with a line");
    all_have.arrive_and_wait();
  });
}

TEST_CASE("a forgotten item is destroyed, and the next call makes another") {
  PerThread<std::shared_ptr<int>> items;
  const auto watched = std::make_shared<int>(1);
  REQUIRE(items.get(thread_index(), watched) != nullptr);
  CHECK(watched.use_count() == 2);
  items.forget(thread_index());
  CHECK(watched.use_count() == 1);
  CHECK(items.find(thread_index()) == nullptr);
  CHECK(items.find(k_no_thread_index) == nullptr);
  CHECK(*items.get(thread_index(), std::make_shared<int>(2)) != nullptr);
}

TEST_CASE("items are destroyed with the whole") {
  const auto watched = std::make_shared<int>(1);
  {
    PerThread<std::shared_ptr<int>> items;
    together(5, [&](unsigned) { (void)items.get(thread_index(), watched); });
    CHECK(watched.use_count() > 1);
  }
  CHECK(watched.use_count() == 1);
}

TEST_CASE("scanners see whole items while threads make them") {
  struct Item {
    int first = 7;
    int second = 7;
  };
  PerThread<Item> items;
  std::atomic<unsigned> left{16};
  together(17, [&](unsigned i) {
    if (i != 0) {
      (void)items.get(thread_index());
      left.fetch_sub(1, std::memory_order_release);
      return;
    }
    // acquire: the loop ends after all have made theirs
    while (left.load(std::memory_order_acquire) != 0) {
      items.for_each([](const Item& item) { expect(item.first == 7 && item.second == 7, "half an item was seen"); });
    }
    std::size_t seen = 0;
    items.for_each([&seen](const Item&) { ++seen; });
    expect(seen >= 1 && seen <= 16, "as many items as threads were due");
  });
}

}  // namespace actable::base
