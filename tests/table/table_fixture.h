#pragma once

#include "base/epoch.h"
#include "base/hash.h"
#include "base/record_memory.h"
#include "table/hash_table.h"
#include "tests/support/colliding_keys.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace actable::test {

/// A value and the number it was written with.
struct Held {
  std::string value;
  Seq seq = 0;
  bool operator==(const Held&) const = default;
};
using Content = std::map<std::string, Held>;

/// A table of its own, with what it stands on: what the tests of this floor are
/// written in. Each function but `scan` is one operation, pinned from beginning
/// to end, as the store does it. A failure is an exception.
///
/// Thread safety: *synchronized*.
class Table {
 public:
  explicit Table(std::uint64_t hash_seed = seed()) : hash_seed_(hash_seed), table_(epochs, memory, hash_seed) {
    expect(table_.prepare(cache()), "memory is exhausted");
  }

  Seq put(std::string_view key, std::string_view value) {
    return write(key, value, false, [](const table::Position&) { return true; });
  }
  /// 0, and nothing done, when the key is absent.
  Seq erase(std::string_view key) {
    return write(key, {}, true, [](const table::Position& at) { return at.live(); });
  }
  /// 0, and nothing done, when the key is there.
  Seq put_if_absent(std::string_view key, std::string_view value) {
    return write(key, value, false, [](const table::Position& at) { return !at.live(); });
  }

  /// Replaces the value by `next(old)`, atomically, and tells the numbers of both.
  struct Replaced {
    Seq old = 0;
    Seq fresh = 0;
  };
  template <class Next>
  Replaced update(std::string_view key, Next next) {
    while (true) {
      const std::optional<Held> old = find(key);
      const Seq seen = old ? old->seq : 0;
      const Seq fresh = write(key, next(old), false,
                              [seen](const table::Position& at) { return seen == (at.live() ? at.seq() : 0); });
      if (fresh != 0) return {seen, fresh};
    }
  }

  /// The number in the key's slot, that of a tombstone too; 0 when it has none.
  Seq last_number(std::string_view key) {
    const base::WritePin pin(epochs, slot());
    table::Position at{};
    expect(table_.locate(cache(), hash(key), key, at), "memory is exhausted");
    return at.seq();
  }

  [[nodiscard]] std::optional<Held> find(std::string_view key) {
    const base::ReadPin pin(epochs, slot());
    table_.prefetch_bucket(hash(key));
    table_.prefetch_record(hash(key));
    const table::Record* const record = table_.find(hash(key), key);
    if (record == nullptr) return std::nullopt;
    expect(record->key() == key, "a record of another key was found");
    return Held{std::string(record->value()), record->seq()};
  }

  /// Where an operation on the key would begin now.
  [[nodiscard]] table::HashTable::Start start(std::string_view key) { return table_.start(hash(key)); }

  /// As `find`, for an operation that chose some time ago where to begin.
  [[nodiscard]] std::optional<Held> find_from(table::HashTable::Start start, std::string_view key) {
    const base::ReadPin pin(epochs, slot());
    const table::Record* const record = table_.find(start, hash(key), key);
    const table::Position at = table::HashTable::locate_at(table_.home(start, hash(key)), hash(key), key);
    expect(at.slot == nullptr || !at.live() || at.old == record, "a reader and a writer do not find the same");
    if (record == nullptr) return std::nullopt;
    return Held{std::string(record->value()), record->seq()};
  }

  /// One step of a scan: calls `emit` for each record of the next bucket.
  void scan(table::ScanPosition& position, const std::function<void(const table::Record&)>& emit) {
    const base::ReadPin pin(epochs, slot());
    table_.scan(position, emit);
  }

  /// All that is there. Throws when a key comes twice.
  [[nodiscard]] Content content() {
    Content found;
    for (table::ScanPosition position; !position.done;) {
      scan(position, [&found](const table::Record& record) {
        const bool is_new = found.emplace(record.key(), Held{std::string(record.value()), record.seq()}).second;
        expect(is_new, "a scan returned a key twice");
      });
    }
    return found;
  }

  /// One step of a compaction, which it begins if none is under way; for one thread
  /// at a time. False when that has ended.
  bool compact_next(table::TidyPosition& position) {
    using Compaction = base::RecordMemory::Compaction;
    const base::ReadPin pin(epochs, slot());
    switch (memory.compaction()) {
      case Compaction::none:
        expect(memory.begin_compaction(memory.carved_bytes()), "memory is exhausted");
        position = {};
        return true;
      case Compaction::moving:
        expect(table_.tidy(cache(), position, 1'000), "memory is exhausted");
        if (position.done) memory.moved_all();
        return true;
      default:
        expect(memory.step_compaction() != base::RecordMemory::Step::no_memory, "memory is exhausted");
        return memory.compaction() != Compaction::none;
    }
  }
  void compact() {
    table::TidyPosition position;
    while (compact_next(position)) {
    }
  }
  /// Goes over all of the table once, outside of a compaction.
  void tidy() {
    for (table::TidyPosition position; !position.done;) {
      const base::ReadPin pin(epochs, slot());
      expect(table_.tidy(cache(), position, 1'000), "memory is exhausted");
    }
  }

  [[nodiscard]] std::uint64_t hash(std::string_view key) const noexcept { return base::hash_key(key, hash_seed_); }
  /// A key of this hash; see tests/support/colliding_keys.h.
  [[nodiscard]] std::string key_at(std::uint64_t hash, std::uint64_t variant) const {
    return key_with_hash(hash, variant, hash_seed_);
  }
  [[nodiscard]] table::TableStats stats() const noexcept { return table_.stats(); }
  [[nodiscard]] table::HashTable& under_test() noexcept { return table_; }

  [[nodiscard]] base::Epochs::Slot& slot() { return *epochs.slot(base::thread_index()); }
  [[nodiscard]] base::RecordMemory::Cache& cache() { return *memory.cache(base::thread_index()); }

  base::Epochs epochs;
  base::RecordMemory memory{epochs};

 private:
  template <class Wanted>
  Seq write(std::string_view key, std::string_view value, bool tombstone, Wanted wanted) {
    const base::WritePin pin(epochs, slot());
    base::RecordMemory::Cache& mine = cache();
    table::Record* const fresh = table::Record::make(memory, mine, key, value, tombstone);
    expect(fresh != nullptr, "memory is exhausted");
    table::Position at{};
    Seq seq = 0;
    do {
      expect(table_.locate(mine, hash(key), key, at), "memory is exhausted");
      if (!wanted(at)) {
        memory.release(mine, fresh, fresh->bytes());
        return 0;
      }
      seq = epochs.draw(slot(), pin.epoch(), at.seq());
      expect(seq > at.seq(), "a number is not above the one it replaces");
      fresh->number(seq);
    } while (!table_.publish(at, hash(key), fresh));
    if (at.old != nullptr) memory.retire(mine, at.old, at.old->bytes());
    return seq;
  }

  const std::uint64_t hash_seed_;
  table::HashTable table_;
};

/// How two contents differ, for people; empty if they do not. Numbers count.
[[nodiscard]] inline std::string difference(const Content& found, const Content& due) {
  std::size_t differing = 0;
  std::string first;
  const auto differs = [&](const std::string& key, const char* how) {
    if (differing++ == 0) first = "`" + key.substr(0, 40) + "` " + how;
  };
  for (const auto& [key, held] : due) {
    const auto at = found.find(key);
    if (at == found.end()) {
      differs(key, "is missing");
    } else if (at->second != held) {
      differs(key, "has another value or number");
    }
  }
  for (const auto& [key, held] : found) {
    if (!due.contains(key)) differs(key, "should not be there");
  }
  return differing == 0 ? first : first + ", and " + std::to_string(differing - 1) + " other differences";
}

/// How the table differs from what is due; empty if it does not.
[[nodiscard]] inline std::string differs_from(Table& table, const Content& due) {
  return difference(table.content(), due);
}

}  // namespace actable::test
