// Maintenance of a table: tombstones go, and everything is moved out of memory
// that goes back, while others read and write.

#include "tests/support/catch.h"
#include "tests/support/wait.h"
#include "tests/table/table_fixture.h"

#include <array>
#include <atomic>

using namespace actable;
using namespace actable::test;

namespace {

std::string key_of(std::uint64_t i) { return "key" + std::to_string(i); }

/// Puts keys, and erases all but every tenth.
Content put_and_erase(Table& table, std::uint64_t keys, std::size_t value_bytes) {
  Content stay;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string value = std::to_string(i) + std::string(value_bytes, 'v');
    const Seq seq = table.put(key_of(i), value);
    if (i % 10 == 0) stay[key_of(i)] = Held{value, seq};
  }
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i % 10 != 0) table.erase(key_of(i));
  }
  return stay;
}

}  // namespace

TEST_CASE("maintenance drops tombstones that no write can be numbered below, and no others") {
  Table table;
  const std::uint64_t keys = scaled(20'000);
  const Content stay = put_and_erase(table, keys, 10);
  const Seq erased = table.last_number(key_of(1));
  REQUIRE(erased != 0);
  table.tidy();
  CHECK(table.last_number(key_of(1)) == erased);
  table.epochs.advance();
  table.epochs.advance();
  const auto before = table.stats();
  table.tidy();
  CHECK(table.last_number(key_of(1)) == 0);
  CHECK(table.stats().tombstones_dropped > keys * 3 / 4);
  CHECK(table.stats().segments < before.segments);
  CHECK(differs_from(table, stay) == "");
  const auto after = table.stats();
  table.tidy();
  CHECK(table.stats().rebuilds == after.rebuilds);
}

TEST_CASE("a compaction gives back what is not in use, and changes no record") {
  Table table;
  const Content stay = put_and_erase(table, scaled(100'000), 100);
  table.epochs.advance();
  const std::size_t before = table.memory.carved_bytes();
  table.compact();
  INFO(before << " bytes carved before, " << table.memory.carved_bytes() << " after");
  CHECK(table.memory.carved_bytes() < before / 3);
  CHECK(table.memory.returned_bytes() >= before);
  CHECK(differs_from(table, stay) == "");
  // And all is as ever.
  for (int round = 0; round < 3; ++round) {
    for (const auto& [key, held] : stay) CHECK(table.put(key, "again") > held.seq);
    table.compact();
    CHECK(table.content().size() == stay.size());
  }
  CHECK(table.memory.retired_bytes() <= before);
}

TEST_CASE("a compaction keeps what a visitor looks at, and ends when he has") {
  Table table;
  const Seq seq = table.put("key", "value");
  table::TidyPosition position;
  on_another_thread([&] {
    const base::ReadPin pin(table.epochs, table.slot());
    const table::Record* const record = table.under_test().find(table.hash("key"), "key");
    on_another_thread([&] {
      // As far as it gets.
      for (int i = 0; i < 1'000; ++i) table.compact_next(position);
      expect(table.memory.compaction() == base::RecordMemory::Compaction::entering, "nobody waited for the visitor");
    });
    expect(record->value() == "value", "the record is not what it was");
  });
  while (table.memory.compaction() != base::RecordMemory::Compaction::moving) table.compact_next(position);
  on_another_thread([&] {
    const base::ReadPin pin(table.epochs, table.slot());
    const table::Record* const record = table.under_test().find(table.hash("key"), "key");
    on_another_thread([&] {
      for (int i = 0; i < 1'000; ++i) table.compact_next(position);
      expect(table.memory.compaction() == base::RecordMemory::Compaction::settling, "nobody waited for the visitor");
    });
    expect(record->value() == "value" && record->seq() == seq, "the record is not what it was");
    const table::Record* const moved = table.under_test().find(table.hash("key"), "key");
    expect(moved != record, "the record was not moved");
    expect(moved->value() == "value" && moved->seq() == seq, "the copy is not what it is a copy of");
  });
  while (table.compact_next(position)) {
  }
  CHECK(table.find("key") == Held{"value", seq});
}

TEST_CASE("a thread that sleeps through compactions finds no block of memory that is gone") {
  Table table;
  std::atomic<int> turn{0};
  together(2, [&](unsigned thread) {
    for (int round = 0; round < 6; ++round) {
      while (turn.load(std::memory_order_acquire) % 2 != static_cast<int>(thread)) std::this_thread::yield();
      if (thread == 0) {
        // Leaves magazines of all kinds behind: to allocate from, retired, in limbo.
        for (std::uint64_t i = 0; i < 2'000; ++i) table.put(key_of(i % 300), std::string(200, 'a'));
      } else {
        table.compact();
        table.compact();
      }
      turn.fetch_add(1, std::memory_order_acq_rel);
    }
  });
  CHECK(table.content().size() == 300);
}

TEST_CASE("nothing is lost and no number goes back while compactions go on", "[compaction]") {
  Table table;
  constexpr unsigned k_writers = 4;
  constexpr std::uint64_t k_keys = 500;
  std::atomic<unsigned> writing{k_writers};
  std::atomic<std::uint64_t> compactions{0};
  std::array<Content, k_writers> contents;
  for (std::uint64_t i = 0; i < k_keys; ++i) table.put("shared" + std::to_string(i), "0");
  std::array<std::uint64_t, k_writers> added{};
  together(k_writers + 1, [&](unsigned thread) {
    if (thread == k_writers) {
      table::TidyPosition position;
      while (writing.load(std::memory_order_acquire) != 0) {
        if (!table.compact_next(position)) ++compactions;
      }
      while (table.memory.compaction() != base::RecordMemory::Compaction::none) table.compact_next(position);
      return;
    }
    Random random(seed() + thread);
    Content& own = contents[thread];
    const struct Done {
      std::atomic<unsigned>& writing;
      ~Done() { writing.fetch_sub(1, std::memory_order_acq_rel); }
    } done{writing};
    const auto write = [&] {
      const std::string key = std::to_string(thread) + "." + std::to_string(random.below(2'000));
      switch (random.below(5)) {
        case 0:
        case 1: {
          const std::string value(random.skewed(random.one_in(50) ? 60'000 : 200), static_cast<char>('a' + thread));
          own[key] = Held{value, table.put(key, value)};
          break;
        }
        case 2:
          expect((table.erase(key) != 0) == (own.erase(key) != 0), "an erasure found a key where it was not");
          break;
        case 3: {
          const auto at = own.find(key);
          expect(table.find(key) == (at == own.end() ? std::nullopt : std::optional(at->second)),
                 "a key is not as its thread left it");
          break;
        }
        default:
          table.update("shared" + std::to_string(random.below(k_keys)),
                       [](const std::optional<Held>& old) { return std::to_string(std::stoull(old->value) + 1); });
          ++added[thread];
      }
    };
    for (std::uint64_t i = 0; i < scaled(60'000); ++i) write();
    // The compacting thread may get few turns beside so many.
    until("a compaction has ended", [&] {
      write();
      return compactions != 0;
    });
  });
  Content due;
  for (const Content& own : contents) due.insert(own.begin(), own.end());
  std::uint64_t sum = 0;
  Content found = table.content();
  for (std::uint64_t i = 0; i < k_keys; ++i) {
    const auto at = found.find("shared" + std::to_string(i));
    REQUIRE(at != found.end());
    sum += std::stoull(at->second.value);
    found.erase(at);
  }
  CHECK(sum == added[0] + added[1] + added[2] + added[3]);
  CHECK(difference(found, due) == "");
}

TEST_CASE("an iteration over a table that is compacted meanwhile finds each key once") {
  Table table;
  const Content stay = put_and_erase(table, scaled(20'000), 50);
  table.epochs.advance();
  std::atomic<bool> scanned{false};
  std::uint64_t compactions = 0;
  together(2, [&](unsigned thread) {
    if (thread == 0) {
      table::TidyPosition position;
      while (!scanned.load(std::memory_order_acquire)) {
        if (!table.compact_next(position)) ++compactions;
      }
      while (table.memory.compaction() != base::RecordMemory::Compaction::none) table.compact_next(position);
      return;
    }
    // `content` throws where a key comes twice.
    for (int round = 0; round < 5; ++round) expect(differs_from(table, stay).empty(), "a scan missed a key");
    scanned.store(true, std::memory_order_release);
  });
  CHECK(differs_from(table, stay) == "");
}
