// Eight threads on the same few keys: one slot a key, one winner a version.

#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>

using namespace actable;
using namespace actable::test;

namespace {

constexpr unsigned k_threads = 8;
constexpr unsigned k_keys = 16;

std::string hot_key(std::uint64_t i) { return "hot" + std::to_string(i % k_keys); }

std::uint64_t number_in(const std::optional<Held>& held) { return held ? std::stoull(held->value) : 0; }

}  // namespace

TEST_CASE("counters that eight threads raise end at the exact sum, and no version is replaced twice") {
  Table table;
  struct Step {
    unsigned key;
    Table::Replaced numbers;
  };
  std::array<std::vector<Step>, k_threads> steps;
  together(k_threads, [&](unsigned thread) {
    Random random(seed() + thread);
    for (std::uint64_t i = 0; i < scaled(40'000); ++i) {
      const auto key = static_cast<unsigned>(random.below(k_keys));
      steps[thread].push_back({key, table.update(hot_key(key), [](const std::optional<Held>& old) {
                                 return std::to_string(number_in(old) + 1);
                               })});
    }
  });
  for (unsigned key = 0; key < k_keys; ++key) {
    std::vector<Table::Replaced> chain;
    for (const auto& list : steps) {
      for (const Step& step : list) {
        if (step.key == key) chain.push_back(step.numbers);
      }
    }
    std::ranges::sort(chain, {}, &Table::Replaced::fresh);
    Seq last = 0;
    for (const Table::Replaced& link : chain) {
      if (link.old != last) FAIL("a version was replaced twice, or numbered below the one it replaced");
      last = link.fresh;
    }
    CHECK(number_in(table.find(hot_key(key))) == chain.size());
    CHECK(table.find(hot_key(key))->seq == last);
  }
}

TEST_CASE("of eight threads that insert one key, one wins, and there is one slot") {
  Table table;
  const std::uint64_t rounds = 20 + scaled(5'000);
  std::vector<std::atomic<unsigned>> won(rounds);
  std::barrier next(k_threads);
  together(k_threads, [&](unsigned thread) {
    for (std::uint64_t round = 0; round < rounds; ++round) {
      next.arrive_and_wait();
      if (table.put_if_absent("key" + std::to_string(round), std::to_string(thread)) != 0) won[round].fetch_add(1);
    }
  });
  CHECK(std::ranges::all_of(won, [](const auto& winners) { return winners == 1; }));
  CHECK(table.content().size() == rounds);
}

TEST_CASE("inserts of one key meet in one slot while its segment is replaced") {
  Table table;
  const std::uint64_t rounds = 500 + scaled(3'000);
  const std::uint64_t prefix = seed() & 0xffff'0000'0000'0000;
  std::vector<std::atomic<unsigned>> won(rounds);
  std::barrier next(k_threads);
  // All keys fall into one bucket of one segment, so that it overflows all the time.
  together(k_threads, [&](unsigned thread) {
    for (std::uint64_t round = 0; round < rounds; ++round) {
      next.arrive_and_wait();
      const std::string shared = table.key_at(prefix | (round << 7), 0);
      if (table.put_if_absent(shared, std::to_string(thread)) != 0) won[round].fetch_add(1);
      expect(table.find(shared).has_value(), "a key that was inserted is not found");
      if (thread == 0 && round >= 300) (void)table.erase(table.key_at(prefix | ((round - 300) << 7), 0));
    }
  });
  CHECK(std::ranges::all_of(won, [](const auto& winners) { return winners == 1; }));
  CHECK(table.content().size() == std::min<std::uint64_t>(rounds, 300));
  CHECK(table.stats().splits + table.stats().rebuilds > 0);
}

TEST_CASE("an erasure and the insertions that follow it are each done once") {
  Table table;
  std::atomic<std::int64_t> inserted{0};
  std::atomic<std::int64_t> erased{0};
  together(k_threads, [&](unsigned thread) {
    Random random(seed() + thread);
    for (std::uint64_t i = 0; i < scaled(60'000); ++i) {
      const std::string key = hot_key(random());
      if (random.one_in(2)) {
        if (table.put_if_absent(key, "value") != 0) inserted.fetch_add(1, std::memory_order_relaxed);
      } else {
        if (table.erase(key) != 0) erased.fetch_add(1, std::memory_order_relaxed);
      }
    }
  });
  CHECK(static_cast<std::int64_t>(table.content().size()) == inserted - erased);
}

TEST_CASE("readers of keys that others replace, among keys that come and go, see them in order") {
  Table table;
  std::atomic<unsigned> writing{4};
  for (unsigned key = 0; key < k_keys; ++key) table.put(hot_key(key), "0");
  together(k_threads, [&](unsigned thread) {
    Random random(seed() + thread);
    if (thread < 2) {
      for (std::uint64_t i = 1; i <= scaled(60'000); ++i) {
        table.update(hot_key(random()),
                     [](const std::optional<Held>& old) { return std::to_string(number_in(old) + 1); });
      }
    } else if (thread < 4) {
      // Ever new keys, soon erased: segments are split and rebuilt.
      for (std::uint64_t i = 0; i < scaled(60'000); ++i) {
        table.put(std::to_string(thread) + "." + std::to_string(i), "passing");
        if (i >= 500) (void)table.erase(std::to_string(thread) + "." + std::to_string(i - 500));
      }
    } else {
      std::array<Held, k_keys> last{};
      for (Held& held : last) held.value = "0";
      while (writing.load(std::memory_order_acquire) != 0) {
        const std::uint64_t key = random.below(k_keys);
        const std::optional<Held> found = table.find(hot_key(key));
        expect(found.has_value(), "a key that is there throughout was not found");
        expect(found->seq >= last[key].seq, "a key's number went back");
        expect(number_in(found) >= number_in(last[key]), "a key's value went back");
        last[key] = *found;
      }
      return;
    }
    writing.fetch_sub(1, std::memory_order_release);
  });
  CHECK(table.stats().splits > 0);
}
