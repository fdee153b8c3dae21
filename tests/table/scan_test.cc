// Scans while the table changes: what is there throughout comes exactly once.

#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <atomic>
#include <unordered_map>

using namespace actable;
using namespace actable::test;

namespace {

std::string staying(std::uint64_t i) { return "staying" + std::to_string(i); }
std::string passing(std::uint64_t i) { return "passing" + std::to_string(i); }

/// Scans, calling `between` after every step. Throws when a key comes twice, or
/// one of the `stays` staying keys does not come. Returns how many came.
std::size_t scan_with(Table& table, std::uint64_t stays, const std::function<void()>& between) {
  std::unordered_map<std::string, unsigned> times;
  table::ScanPosition position;
  while (!position.done) {
    table.scan(position, [&](const table::Record& record) {
      expect(++times[std::string(record.key())] == 1, "a key came twice");
      expect(record.value() == record.key(), "a record is not whole");
    });
    between();
  }
  for (std::uint64_t i = 0; i < stays; ++i) {
    expect(times.contains(staying(i)), "a key that was there throughout did not come");
  }
  return times.size();
}

void put(Table& table, const std::string& key) { table.put(key, key); }

}  // namespace

TEST_CASE("a scan of an empty table ends, having found nothing") {
  Table table;
  CHECK(scan_with(table, 0, [] {}) == 0);
}

TEST_CASE("a scan that has ended stays at the end") {
  Table table;
  put(table, "key");
  table::ScanPosition position;
  while (!position.done) table.scan(position, [](const table::Record&) {});
  put(table, "another");
  table.scan(position, [](const table::Record&) { FAIL("a record came after the end"); });
  CHECK(position.done);
}

TEST_CASE("a scan finds each live key once, and no erased one") {
  Table table;
  const std::uint64_t count = GENERATE(1U, 100U, 1'000U, 50'000U);
  for (std::uint64_t i = 0; i < count; ++i) {
    put(table, staying(i));
    put(table, passing(i));
    table.erase(passing(i));
  }
  CHECK(scan_with(table, count, [] {}) == count);
}

TEST_CASE("keys that are there throughout come once while segments split between the steps") {
  Table table;
  Random random(seed());
  const std::uint64_t stays = 1 + random.below(3'000);
  for (std::uint64_t i = 0; i < stays; ++i) put(table, staying(i));
  const std::uint64_t splits = table.stats().splits;
  std::uint64_t passed = 0;
  // A burst now and then, so that whole ranges split several times within one
  // step, and steps without any.
  const std::uint64_t last = scaled(200'000) + 20'000;
  scan_with(table, stays, [&] {
    const std::uint64_t burst = random.one_in(20) ? 3'000 : random.one_in(2) ? 40 : 0;
    for (std::uint64_t i = 0; i < burst && passed < last; ++i) put(table, passing(passed++));
  });
  CHECK(table.stats().splits > splits + 10);
  CHECK(scan_with(table, stays, [] {}) == stays + passed);
}

TEST_CASE("keys that are there throughout come once while others come, go and are replaced") {
  Table table;
  Random random(seed());
  const std::uint64_t stays = 1 + random.below(3'000);
  for (std::uint64_t i = 0; i < stays; ++i) put(table, staying(i));
  const std::uint64_t rebuilds = table.stats().rebuilds;
  std::uint64_t passed = 0;
  for (int scans = 0; scans < 10; ++scans) {
    scan_with(table, stays, [&] {
      for (int i = 0; i < 20; ++i) {
        put(table, passing(passed));
        if (passed >= 50) table.erase(passing(passed - 50));
        ++passed;
      }
      put(table, staying(random.below(stays)));
      table.epochs.advance();
    });
  }
  CHECK(table.stats().rebuilds > rebuilds);
}

TEST_CASE("keys that crowd into one bucket come once while it overflows and splits") {
  Table table;
  // Hashes agree in their first bits and in the bucket.
  Random random(seed());
  const std::uint64_t pattern = random();
  const auto next_key = [&](std::uint64_t i) {
    return table.key_at((pattern & 0xf000'0000'0000'007f) | (random() & 0x0fff'ffff'ffff'ff80), i);
  };
  std::vector<std::string> stays;
  for (std::uint64_t i = 0; i < 100; ++i) put(table, stays.emplace_back(next_key(i)));
  std::unordered_map<std::string, unsigned> times;
  std::uint64_t more = 1'000;
  table::ScanPosition position;
  while (!position.done) {
    table.scan(position, [&](const table::Record& record) { ++times[std::string(record.key())]; });
    for (int i = 0; i < 30; ++i) put(table, next_key(more++));
  }
  for (const auto& [key, count] : times) CHECK(count == 1);
  for (const std::string& key : stays) CHECK(times.contains(key));
  CHECK(table.stats().splits > 2);
  CHECK(table.stats().rebuilds > 0);
}

TEST_CASE("scans beside threads that insert, erase and replace find what stays exactly once") {
  Table table;
  constexpr std::uint64_t k_stays = 2'000;
  for (std::uint64_t i = 0; i < k_stays; ++i) put(table, staying(i));
  std::atomic<unsigned> writing{3};
  together(5, [&](unsigned thread) {
    Random random(seed() + thread);
    if (thread >= 3) {
      while (writing.load(std::memory_order_acquire) != 0) scan_with(table, k_stays, [] {});
      return;
    }
    const auto own = [thread](std::uint64_t i) { return passing(i * 3 + thread); };
    for (std::uint64_t i = 0; i < scaled(60'000); ++i) {
      put(table, own(i));
      if (thread == 1 && i >= 200) table.erase(own(i - 200));
      if (thread == 2) put(table, staying(random.below(k_stays)));
    }
    writing.fetch_sub(1, std::memory_order_release);
  });
  CHECK(table.stats().splits > 0);
  scan_with(table, k_stays, [] {});
}
