// How the table grows, what that costs, and what it gives back.

#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <latch>
#include <optional>
#include <set>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

/// Another thread, pinned for writing as long as this lives: nothing retired
/// meanwhile is reused, no tombstone dropped. It has a lease, and before it
/// unpins it writes what it is told.
class PinnedWriter {
 public:
  explicit PinnedWriter(Table& table)
      : thread_([this, &table] {
          (void)table.put("a lease is drawn", "");
          const base::WritePin pin(table.epochs, table.slot());
          pinned_.count_down();
          go_.wait();
          if (last_word_) last_word_(pin.epoch());
        }) {
    pinned_.wait();
  }
  ~PinnedWriter() { let_go(); }
  PinnedWriter(const PinnedWriter&) = delete;
  PinnedWriter& operator=(const PinnedWriter&) = delete;

  void let_go(std::function<void(base::Epoch)> last_word = {}) {
    if (!thread_.joinable()) return;
    last_word_ = std::move(last_word);
    go_.count_down();
    thread_.join();
  }

 private:
  std::latch pinned_{1};
  std::latch go_{1};
  std::function<void(base::Epoch)> last_word_;
  std::jthread thread_;
};

std::string key(std::uint64_t i) { return "key" + std::to_string(i); }

double bytes_per_key(const Table& table, std::uint64_t keys) {
  return static_cast<double>(table.stats().bytes) / static_cast<double>(keys);
}

/// Ever new keys in and, `alive` later, out again.
void pass_through(Table& table, std::uint64_t first, std::uint64_t count, std::uint64_t alive) {
  for (std::uint64_t i = first; i < first + count; ++i) {
    table.put(key(i), "value");
    if (i >= first + alive) table.erase(key(i - alive));
  }
  for (std::uint64_t i = first + count - alive; i < first + count; ++i) table.erase(key(i));
}

}  // namespace

TEST_CASE("a new table is one segment") {
  const Table table;
  CHECK(table.stats().segments == 1);
  CHECK(table.stats().bytes < 16 * 1024);
  CHECK(table.stats().splits == 0);
}

TEST_CASE("segments split one at a time, and every split adds one") {
  Table table;
  std::size_t before = 1;
  for (std::uint64_t i = 0; i < scaled(200'000) + 20'000; ++i) {
    table.put(key(i), "value");
    const auto stats = table.stats();
    if (stats.segments > before + 1) FAIL("one insert added " << stats.segments - before << " segments");
    before = stats.segments;
    if (stats.rebuilds == 0 && stats.segments != stats.splits + 1) FAIL("a split did not add one segment");
  }
  CHECK(table.stats().splits > 20);
}

TEST_CASE("an operation finds its key from where it began, however the table has grown and shrunk since") {
  Table table;
  const std::uint64_t keys = scaled(40'000) + 10'000;
  // Each was chosen when there were so many keys.
  std::vector<std::pair<std::string, table::HashTable::Start>> began;
  const auto begin_some = [&] {
    for (std::uint64_t i = 0; i < keys; i += keys / 50) began.emplace_back(key(i), table.start(key(i)));
  };
  const auto check_all = [&](std::uint64_t there) {
    for (const auto& [name, start] : began) {
      const auto held = table.find_from(start, name);
      const auto fresh = table.find(name);
      if (held != fresh) FAIL("of " << there << " keys " << name << " is not found from where it was begun");
    }
  };
  begin_some();
  for (std::uint64_t i = 0; i < keys; ++i) {
    table.put(key(i), "value");
    if (i % (keys / 20) == 0) {
      begin_some();
      check_all(i + 1);
    }
  }
  CHECK(table.stats().splits > 10);
  for (std::uint64_t i = 0; i + 10 < keys; ++i) table.erase(key(i));
  // So that no write can be numbered below the tombstones.
  table.epochs.advance();
  table.epochs.advance();
  table.tidy();
  CHECK(table.stats().merges > 10);
  check_all(10);
  for (std::uint64_t i = 0; i < keys; ++i) table.put(key(i), "again");
  check_all(keys);
}

TEST_CASE("the table takes 10 to 32 bytes a key, however many there are") {
  Table table;
  std::uint64_t keys = 0;
  // Segments fill at about the same time, so the cost swings between these.
  for (std::uint64_t until = 5'000; until <= scaled(500'000) + 50'000; until += until / 4) {
    while (keys < until) table.put(key(keys++), "v");
    INFO(keys << " keys in " << table.stats().segments << " segments");
    CHECK(bytes_per_key(table, keys) > 10);
    CHECK(bytes_per_key(table, keys) < 32);
  }
}

TEST_CASE("a record takes 14 bytes beside its key and value") {
  CHECK(table::Record::bytes_for(3, 5) == 14 + 3 + 5);
  Table table;
  const base::WritePin pin(table.epochs, *table.epochs.slot(base::thread_index()));
  const table::Record* const record = table::Record::make(table.memory, table.cache(), "key", "value", false);
  REQUIRE(record != nullptr);
  const auto* const begin = reinterpret_cast<const char*>(record);
  CHECK(record->key().data() == begin + 14);
  CHECK(record->value().data() == begin + 14 + 3);
}

TEST_CASE("the table counts its segments and its directory") {
  Table table;
  table.put(key(0), "v");
  CHECK(table.stats().segments == 1);
  // The lowest level of a directory takes as much as those above it, and an entry.
  constexpr std::size_t k_entry_bytes = sizeof(std::uint64_t);
  CHECK(table.stats().bytes ==
        table::Segment::bytes_for(table::Segment::k_chain_buckets) + sizeof(table::HashTable) + 2 * k_entry_bytes);
}

TEST_CASE("replacing values needs no more table and no more memory") {
  Table table;
  for (std::uint64_t i = 0; i < 5'000; ++i) table.put(key(i), "value");
  const auto before = table.stats();
  const std::size_t carved = table.memory.carved_bytes();
  Random random(seed());
  for (std::uint64_t i = 0; i < scaled(300'000) + 100'000; ++i) table.put(key(random.below(5'000)), "other");
  CHECK(table.stats().bytes == before.bytes);
  CHECK(table.stats().splits == before.splits);
  CHECK(table.stats().rebuilds == before.rebuilds);
  INFO(carved << " bytes before, " << table.memory.carved_bytes() << " after");
  CHECK(table.memory.carved_bytes() <= carved + (std::size_t{8} << 20));
}

TEST_CASE("keys that come and go leave a table of the size of those alive") {
  Table table;
  constexpr std::uint64_t k_alive = 1'000;
  pass_through(table, 0, 50'000, k_alive);
  const auto early = table.stats();
  const std::size_t carved = table.memory.carved_bytes();
  pass_through(table, 50'000, 50'000 + scaled(500'000), k_alive);
  const auto late = table.stats();
  INFO(early.segments << " segments after 50,000 keys, " << late.segments << " at the end, " << late.rebuilds
                      << " rebuilds");
  CHECK(late.rebuilds > early.rebuilds);
  // Tombstones are dropped only when an epoch has passed, which comes with each
  // MiB retired, but once a millisecond at most: some 30,000 may be waiting.
  CHECK(late.segments <= 2 * early.segments + 8);
  CHECK(late.segments <= 150);
  CHECK(table.memory.carved_bytes() <= carved + (std::size_t{8} << 20));
}

TEST_CASE("tombstones are dropped by the next rebuild once an epoch has passed") {
  Table table;
  std::uint64_t next = 0;
  for (int wave = 0; wave < 200; ++wave) {
    pass_through(table, next, 200, 50);
    next += 200;
    table.epochs.advance();
  }
  INFO(next << " keys came and went through " << table.stats().segments << " segments");
  CHECK(table.stats().segments <= 4);
  CHECK(table.content().empty());
}

TEST_CASE("a tombstone stays while a writer could number below it, and goes afterwards") {
  Table table;
  PinnedWriter writer(table);
  // In the pinned epoch itself, or in a later one.
  if (GENERATE(false, true)) table.epochs.advance();
  table.put("erased", "value");
  const Seq erasure = table.erase("erased");
  REQUIRE(erasure != 0);
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    table.put(key(i), "value");
    if (i % 100 == 0) table.epochs.advance();
  }
  CHECK(table.stats().splits > 0);
  CHECK(table.last_number("erased") == erasure);

  // The pinned thread still has its old lease, below the erasure's number.
  Seq theirs = 0;
  writer.let_go([&](base::Epoch epoch) {
    table::Position at{};
    if (!table.under_test().locate(table.cache(), table.hash("erased"), "erased", at)) return;
    theirs = table.epochs.draw(table.slot(), epoch, at.seq());
  });
  CHECK(theirs > erasure);

  for (std::uint64_t i = 3'000; i < 12'000; ++i) {
    table.put(key(i), "value");
    if (i % 100 == 0) table.epochs.advance();
  }
  CHECK(table.last_number("erased") == 0);
  CHECK(table.put("erased", "again") > erasure);
}

TEST_CASE("a segment that one bucket has filled is replaced by one with room for half as much again") {
  Table table;
  const std::size_t before = table.stats().bytes;
  for (std::uint64_t i = 0; table.stats().rebuilds == 0; ++i) table.put(table.key_at(i << 7, i), "v");
  // All 23 chain buckets were in use: as many, 11 and 8 more.
  CHECK(table.stats().bytes - before == (23 + 11 + 8 - table::Segment::k_chain_buckets) * sizeof(table::Bucket));
  CHECK(table.stats().segments == 1);
}

/// A key of the first bucket, in either half of a segment that splits.
std::string crowding_key(const Table& table, std::uint64_t i) { return table.key_at(i << 63 | i << 7, i); }

/// Fills the first bucket's chain and has the segment replaced, when of that
/// bucket's keys `alive` are there.
void crowd(Table& table, std::uint64_t alive) {
  const std::uint64_t room = table::Bucket::k_slots * (1 + std::uint64_t{table::Segment::k_chain_buckets});
  for (std::uint64_t i = 0; i < room; ++i) {
    table.put(crowding_key(table, i), "v");
    if (i >= alive) table.erase(crowding_key(table, i));
  }
  REQUIRE(table.stats().rebuilds + table.stats().splits == 0);
  // Twice: nobody could number below the erasures any more.
  table.epochs.advance();
  table.epochs.advance();
  table.put(crowding_key(table, room), "v");
}

TEST_CASE("a segment of 448 records is replaced by one, of 449 by two") {
  for (const std::uint64_t records : {448, 449}) {
    Table table;
    constexpr std::uint64_t k_in_first_bucket = 2;
    for (std::uint64_t i = 0; i < records - k_in_first_bucket; ++i) {
      table.put(table.key_at(i << 63 | i << 15 | (1 + i % (table::Segment::k_home_buckets - 1)), i), "v");
    }
    crowd(table, k_in_first_bucket);
    INFO(records << " records");
    CHECK(table.stats().rebuilds == (records == 448 ? 1 : 0));
    CHECK(table.stats().splits == (records == 448 ? 0 : 1));
    CHECK(table.content().size() == records + 1);
  }
}

TEST_CASE("a copy has more room than others when more than three quarters of its chain buckets would be in use") {
  struct Row {
    std::uint64_t chained;
    std::uint64_t room;
  };
  for (const Row row : {Row{17, table::Segment::k_chain_buckets}, Row{18, 18 + 9 + 8}}) {
    for (const std::uint64_t last : {std::uint64_t{1}, std::uint64_t{table::Bucket::k_slots}}) {
      Table table;
      const std::size_t before = table.stats().bytes;
      crowd(table, table::Bucket::k_slots * row.chained + last);
      INFO(row.chained << " chain buckets, " << last << " records in the last");
      REQUIRE(table.stats().rebuilds == 1);
      CHECK(table.stats().bytes - before == (row.room - table::Segment::k_chain_buckets) * sizeof(table::Bucket));
    }
  }
}

TEST_CASE("what is dropped and replaced is used again") {
  Table table;
  std::uint64_t next = 0;
  std::size_t carved = 0;
  // How many segments there are at the most depends on when epochs begin, and is
  // reached sooner or later in the first hundred.
  for (int wave = 0; wave < 400; ++wave) {
    pass_through(table, next, 5'000, 4'000);
    next += 5'000;
    table.epochs.advance();
    if (wave == 150) carved = table.memory.carved_bytes();
  }
  INFO(carved << " bytes carved after 150 waves, " << table.memory.carved_bytes() << " after 400");
  CHECK(table.memory.carved_bytes() <= carved + carved / 4);
}

TEST_CASE("what is erased in one bucket alone is used again, whichever it is") {
  // The first and the last of a segment, and one between.
  const std::uint64_t bucket = GENERATE(values<std::uint64_t>({0, 64, table::Segment::k_home_buckets - 1}));
  Table table;
  std::uint64_t next = 0;
  std::size_t carved = 0;
  for (int wave = 0; wave < 200; ++wave) {
    for (const std::uint64_t end = next + 100; next < end; ++next) {
      const std::string name = table.key_at(next << 7 | bucket, next);
      table.put(name, std::string(100, 'v'));
      table.erase(name);
    }
    table.epochs.advance();
    if (wave == 50) carved = table.memory.carved_bytes();
  }
  INFO(carved << " bytes carved after 50 waves, " << table.memory.carved_bytes() << " after 200");
  CHECK(table.memory.carved_bytes() <= carved + carved / 4);
}

TEST_CASE("a cleared table has given its memory back") {
  Table table;
  std::size_t carved = 0;
  for (int round = 0; round < 8; ++round) {
    table::HashTable other(table.epochs, table.memory, 1);
    {
      const base::WritePin pin(table.epochs, table.slot());
      REQUIRE(other.prepare(table.cache()));
    }
    for (std::uint64_t i = 0; i < 10'000; ++i) {
      const base::WritePin pin(table.epochs, table.slot());
      const std::string name = key(i);
      const std::uint64_t hash = base::hash_key(name, 1);
      table::Record* const record = table::Record::make(table.memory, table.cache(), name, "value", false);
      REQUIRE(record != nullptr);
      table::Position at{};
      REQUIRE(other.locate(table.cache(), hash, name, at));
      record->number(table.epochs.draw(table.slot(), pin.epoch(), at.seq()));
      REQUIRE(other.publish(at, hash, record));
    }
    for (table::ScanPosition position; !position.done;) {
      const base::WritePin pin(table.epochs, table.slot());
      other.clear_next(table.cache(), position);
    }
    CHECK(other.stats().segments == 0);
    table.epochs.advance();
    if (round == 2) carved = table.memory.carved_bytes();
  }
  INFO(carved << " bytes carved after 3 tables, " << table.memory.carved_bytes() << " after 8");
  CHECK(table.memory.carved_bytes() <= carved + carved / 4);
  // And each piece once.
  table.epochs.advance();
  const base::WritePin pin(table.epochs, table.slot());
  std::set<void*> pieces;
  const std::size_t bytes = table::Record::bytes_for(7, 5);
  for (int i = 0; i < 10'000; ++i) pieces.insert(table.memory.allocate(table.cache(), bytes));
  CHECK(pieces.size() == 10'000);
  for (void* const piece : pieces) table.memory.release(table.cache(), piece, bytes);
}

TEST_CASE("threads that make the table grow together lose nothing and waste no segment") {
  Table table;
  constexpr unsigned k_threads = 6;
  const std::uint64_t each = scaled(60'000) + 5'000;
  together(k_threads, [&](unsigned thread) {
    for (std::uint64_t i = 0; i < each; ++i) table.put(key(i * k_threads + thread), std::to_string(i));
  });
  const Content found = table.content();
  CHECK(found.size() == each * k_threads);
  for (std::uint64_t i = 0; i < each * k_threads; ++i) {
    if (found.at(key(i)).value != std::to_string(i / k_threads)) FAIL("a key has another's value");
  }
  INFO(table.stats().segments << " segments for " << found.size() << " keys");
  CHECK(bytes_per_key(table, found.size()) < 32);
}
