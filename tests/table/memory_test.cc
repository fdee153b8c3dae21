#include "tests/support/catch.h"
#include "tests/support/failing_memory.h"
#include "tests/table/table_fixture.h"

#include <optional>
#include <string>
#include <vector>

// Tables that run out of memory.
namespace actable::table {
namespace {

using test::FailingMemory;
using test::Held;
using test::Table;

constexpr std::uint64_t k_never = ~std::uint64_t{0};

/// Keys of which each is given a record beforehand: what fails is the table's memory.
class Inserts {
 public:
  Inserts(Table& table, std::vector<std::string> keys) : table_(table), keys_(std::move(keys)) {
    const base::WritePin pin(table_.epochs, table_.slot());
    for (const std::string& key : keys_) {
      records_.push_back(Record::make(table_.memory, table_.cache(), key, "value", false));
    }
  }

  /// Inserts the next key, of whose requests for memory the nth fails, and with
  /// `for_good` all later ones. False, and nothing done, when it needed that.
  bool insert_next(std::uint64_t nth = k_never, bool for_good = false) {
    const base::WritePin pin(table_.epochs, table_.slot());
    const std::uint64_t hash = table_.hash(keys_[inserted_]);
    Position at{};
    bool located = false;
    {
      const FailingMemory failing(nth, for_good);
      located = table_.under_test().locate(table_.cache(), hash, keys_[inserted_], at);
      failed_ = failing.failed();
    }
    if (!located) return false;
    test::expect(at.old == nullptr, "the key was there");
    records_[inserted_]->number(table_.epochs.draw(table_.slot(), pin.epoch(), 0));
    test::expect(table_.under_test().publish(at, hash, records_[inserted_]), "another thread was first");
    ++inserted_;
    return true;
  }

  /// True when a request of the last insertion failed.
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool all() const noexcept { return inserted_ == keys_.size(); }

  /// That each key inserted so far is found, and that there are no others.
  void check() const {
    std::size_t found = 0;
    for (const auto& [key, held] : table_.content()) found += held.value == "value" ? 1 : 0;
    CHECK(found == inserted_);
    std::size_t missing = 0;
    for (std::size_t i = 0; i < inserted_; ++i) missing += table_.find(keys_[i]) ? 0 : 1;
    CHECK(missing == 0);
  }

 private:
  Table& table_;
  const std::vector<std::string> keys_;
  std::vector<Record*> records_;
  std::size_t inserted_ = 0;
  bool failed_ = false;
};

TEST_CASE("a table for which there is no memory is not made, whichever request fails") {
  base::Epochs epochs;
  base::RecordMemory memory(epochs);
  base::RecordMemory::Cache& cache = *memory.cache(base::thread_index());
  const base::WritePin pin(epochs, *epochs.slot(base::thread_index()));
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    HashTable table(epochs, memory, test::seed());
    bool made = false;
    bool failed = false;
    {
      const FailingMemory failing(nth);
      made = table.prepare(cache);
      failed = failing.failed();
    }
    if (!failed) {
      CHECK(made);
      CHECK(table.stats().segments == 1);
      CHECK(table.find(0, "key") == nullptr);
      break;
    }
    CHECK_FALSE(made);
    CHECK(table.stats().segments == 0);
    ++failures;
  }
  // The first levels of the directory, and the segment.
  CHECK(failures >= 2);
}

TEST_CASE(
    "a split for which there is memory for no half, or for one, changes nothing, and is done with memory for both") {
  Table table;
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back("key " + std::to_string(i));
  Inserts inserts(table, keys);
  const std::size_t segment_bytes = Segment::bytes_for(Segment::k_chain_buckets);
  std::vector<void*> taken;
  taken.reserve(10'000);
  {
    const base::WritePin pin(table.epochs, table.slot());
    const FailingMemory failing(1, true);
    while (void* const block = table.memory.allocate(table.cache(), segment_bytes)) taken.push_back(block);
  }
  REQUIRE(taken.size() >= 2);
  while (inserts.insert_next(1, true)) REQUIRE_FALSE(inserts.all());
  for (std::uint64_t free_segments = 0; free_segments < 2; ++free_segments) {
    CHECK_FALSE(inserts.insert_next(1, true));
    CHECK(inserts.failed());
    CHECK(table.stats().segments == 1);
    CHECK(table.stats().splits == 0);
    inserts.check();
    // What the failed attempt took is given back: the next finds it.
    const base::WritePin pin(table.epochs, table.slot());
    table.memory.release(table.cache(), taken.back(), segment_bytes);
    taken.pop_back();
  }
  CHECK(inserts.insert_next(1, true));
  CHECK(table.stats().segments == 2);
  CHECK(table.stats().splits == 1);
  while (!inserts.all()) REQUIRE(inserts.insert_next());
  inserts.check();
}

TEST_CASE("a level of the directory for which there is no memory is made when there is") {
  const bool for_good = GENERATE(false, true);
  const std::int64_t mappings = test::allocations::mappings();
  std::optional<Table> of_its_own(std::in_place);
  Table& table = *of_its_own;
  // They agree in the first 12 bits of their hashes, so the directory needs
  // more levels than it begins with.
  std::vector<std::string> keys;
  test::Random random(test::seed());
  for (std::uint64_t i = 0; i < 40'000; ++i) keys.push_back(table.key_at(random() >> 12, i));
  Inserts inserts(table, keys);
  std::uint64_t failures = 0;
  while (!inserts.all()) {
    const TableStats before = table.stats();
    for (std::uint64_t nth = 1;; ++nth) {
      if (inserts.insert_next(nth, for_good)) break;
      REQUIRE(inserts.failed());
      CHECK(table.stats().bytes >= before.bytes);
      ++failures;
      inserts.check();
    }
  }
  inserts.check();
  // Two halves at each split, and a level each from the tenth on.
  CHECK(table.stats().splits >= 10);
  CHECK(failures >= 1);
  // Levels, and the memory of records and segments.
  CHECK(test::allocations::mappings() > mappings);
  of_its_own.reset();
  CHECK(test::allocations::mappings() == mappings);
}

TEST_CASE("maintenance for which there is no memory leaves keys as writable as they were") {
  // A segment that has tombstones, and two that are nearly empty.
  const int keys = GENERATE(400, 1000);
  Table table;
  for (int i = 0; i < keys; ++i) table.put("key " + std::to_string(i), "value");
  for (int i = 100; i < keys; ++i) table.erase("key " + std::to_string(i));
  table.epochs.advance();
  table.epochs.advance();
  const TableStats before = table.stats();
  bool tidied = true;
  unsigned writable = 0;
  {
    const base::WritePin pin(table.epochs, table.slot());
    const FailingMemory failing(1, true);
    while (table.memory.allocate(table.cache(), Segment::bytes_for(Segment::k_chain_buckets)) != nullptr) {
    }
    TidyPosition position;
    tidied = table.under_test().tidy(table.cache(), position, 1'000);
    for (int i = 0; i < 100; ++i) {
      const std::string key = "key " + std::to_string(i);
      Position at{};
      writable += table.under_test().locate(table.cache(), table.hash(key), key, at) && at.live() ? 1 : 0;
    }
  }
  CHECK_FALSE(tidied);
  CHECK(writable == 100);
  table.tidy();
  CHECK(table.stats().tombstones_dropped == static_cast<std::uint64_t>(keys) - 100);
  CHECK(table.stats().rebuilds + table.stats().merges > before.rebuilds + before.merges);
  CHECK(table.content().size() == 100);
}

}  // namespace
}  // namespace actable::table
