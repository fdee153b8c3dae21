#pragma once

#include "base/park.h"
#include "base/record_memory.h"
#include "table/segment.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string_view>

/// A lock-free hash table from binary keys to records.
///
/// *Directory.* A binary trie over the hash's top bits, kept as one array for
/// each depth: entry p of level d stands for all hashes that begin with the d
/// bits p. An entry is null (nobody got that deep), a segment, or *split* (look
/// one level deeper). It goes null → segment → split and never back; a segment
/// in it may be replaced by another. A lookup starts at the deepest level in
/// use and climbs while it meets null. Nothing is ever copied or moved when the
/// directory grows. Several neighbouring entries hold the same segment where it
/// was made of several: entries do not become fewer, at 8 bytes each.
///
/// *Slots* of a bucket's chain fill in order and are never emptied: an insert
/// may swap only the first empty slot, so two threads that insert one key meet
/// there and the loser sees the winner. An update swaps a record for a newer
/// one of the same key, an erasure swaps in a tombstone. So for one key there
/// is one slot for as long as the segment lives.
///
/// *Replacing a segment*, when its chain buckets are used up. Any thread that
/// meets a frozen word takes part; each step is idempotent:
///   1. set the frozen flag of every control word and slot of it, after which
///      nothing in it changes;
///   2. copy what lives into one segment of the same depth (mostly tombstones)
///      or two of the next, privately;
///   3. offer the copy by setting `replacement`, from null, once; whoever loses
///      drops his copy;
///   4. put the copy into the directory: the new entries first, then the old
///      one becomes split (or the copy itself);
///   5. the first who sees it in no entry any more retires the old segment.
/// Nobody writes to a copy before it is in the directory for the key concerned
/// (writers find it there, not through `replacement`). Two that erasures have left
/// nearly empty are replaced by one in the same way: table/merge.cc.
///
/// *Why step 5 is safe.* A segment comes into an entry in place of one that it
/// replaces only. Who does step 4 goes through all entries of the segment's
/// hashes, and brings each forward as far as it goes: while what it holds has a
/// replacement, that is put there, be it the segment's own or that of an older
/// one which somebody has not finished putting away. Afterwards no entry holds
/// the segment or an older one, so it cannot come back. Nor may it be found through
/// the `replacement` of one that an entry still holds: for the first of two, which
/// both halves of the one that was split lead to, the entries of both halves, and
/// the one above them, are brought forward.
///
/// *Why a reader may believe a frozen slot.* Let it have found the old segment
/// through the directory, at a moment when the new one was not there for its
/// key; or it was there, but the reader had chosen the entry to look at before it was.
/// What is frozen is what the key held at the moment of step 4, and that
/// came after the reader began. So there was a moment during the read when the
/// answer was right.
///
/// *One entry says nothing of another.* A segment that several entries hold goes
/// from them one by one, in no order that could be relied on: who finishes putting
/// away an older one may be ahead. So what is found through an entry speaks for the
/// hashes of that entry; and for all of the segment's as long as it has no
/// replacement, since until then every entry holds it or an older one. Who wants
/// all of a segment, a scan say, follows `replacement` until there is none.
///
/// *Hints.* `Bucket::with_tag_of` looks at a whole bucket at once and says where a
/// tag seems to be. What it names is read again, as an atomic, and only that is
/// believed; for a key that no named slot holds, the slots are gone over one by
/// one. So a hint that is wrong costs time and nothing else.
///
/// *Park points*: table.insert, table.update, table.chain, table.freeze,
/// table.copy, table.offer, table.swing, table.retire, table.move, table.claim,
/// table.merge.
namespace actable::table {

/// Where a key's next version goes: found by `locate`, good for one `publish`.
struct Position {
  /// Null when it was not found.
  std::atomic<std::uint64_t>* slot;
  std::uint64_t seen;
  /// What the key holds; null when it has no slot yet. May be a tombstone.
  Record* old;

  [[nodiscard]] bool live() const noexcept { return old != nullptr && !slot::tombstone(seen); }
  [[nodiscard]] Seq seq() const noexcept { return old == nullptr ? 0 : old->seq(); }
};

/// How far a scan has come: the hashes in [first, end) are being walked, bucket
/// by bucket; those below `first` are done, and in `bucket` those below `at`
/// too. `limit` is where the scan ends. As an end, 0 stands for 2^64.
struct ScanPosition {
  std::uint64_t first = 0;
  std::uint64_t at = first;
  std::uint64_t end = 0;
  std::uint64_t limit = 0;
  std::uint32_t bucket = 0;
  bool begun = false;
  bool done = false;
};

/// How far maintenance has come with the hashes from `begin` up to `end`: segments
/// with hashes from `at` on are to be looked at; 0 as the end stands for 2^64. In
/// the one of `at`, records in buckets below `bucket` are where they should be.
///
/// That stays so when the segment is replaced meanwhile: a key keeps its bucket's
/// number, and what is written anew is where it should be anyway. Segments are
/// merged by who is at one of them only.
struct TidyPosition {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t at = begin;
  std::uint32_t bucket = 0;
  /// That segment was replaced for its tombstones, or could not be merged.
  bool rebuilt = false;
  bool done = false;
};

struct TableStats {
  std::size_t segments;
  std::size_t segment_bytes;
  /// With the directory.
  std::size_t bytes;
  std::uint64_t splits;
  std::uint64_t rebuilds;
  std::uint64_t merges;
  std::uint64_t tombstones_dropped;
};

/// Thread safety: *synchronized*. Callers are pinned (base/epoch.h) for as long
/// as they use what they got; for writing, where they draw a number for what they
/// publish. (Maintenance draws none, and is pinned for reading.)
class HashTable {
 public:
  using Cache = base::RecordMemory::Cache;

  HashTable(base::Epochs& epochs, base::RecordMemory& memory, std::uint64_t hash_seed) noexcept;
  ~HashTable();
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;

  /// Makes the first segment. False when memory is exhausted. Before anything else.
  [[nodiscard]] bool prepare(Cache& cache) noexcept;

  /// Where an operation on a hash begins: its entry in what was the deepest level.
  /// Stays good as long as the table.
  using Start = const std::atomic<std::uint64_t>*;

  /// Starts fetching the bucket of a hash. Needs no pin, for it looks at nothing but
  /// the directory, which stays; so it can be the first thing that an operation does.
  [[nodiscard, gnu::always_inline]] Start start(std::uint64_t hash) const noexcept;

  /// The key's record, or null when it is absent or erased.
  [[nodiscard, gnu::always_inline]] const Record* find(Start start, std::uint64_t hash,
                                                       std::string_view key) const noexcept;
  [[nodiscard]] const Record* find(std::uint64_t hash, std::string_view key) const noexcept {
    return find(entry_of(hash), hash, key);
  }

  /// The bucket where a key of this hash is looked for first. Good while pinned.
  [[nodiscard, gnu::always_inline]] Bucket& home(Start start, std::uint64_t hash) const noexcept {
    return segment_at(start, hash)->home(hash);
  }
  [[nodiscard]] Bucket& home(std::uint64_t hash) const noexcept { return home(entry_of(hash), hash); }

  /// Starts fetching the bucket, and then the record, of a hash. The first looks at
  /// nothing but the directory, which stays: it needs no pin.
  void prefetch_bucket(std::uint64_t hash) const noexcept { __builtin_prefetch(&home(hash)); }
  void prefetch_record(std::uint64_t hash) const noexcept;

  /// Finds the slot for the next version of the key, making room if it must.
  /// False when memory is exhausted.
  [[nodiscard]] bool locate(Cache& cache, std::uint64_t hash, std::string_view key, Position& position) noexcept {
    position = locate_at(home(hash), hash, key);
    return position.slot != nullptr || locate_slowly(cache, hash, key, position);
  }

  /// Finds most keys that are there: those in their first bucket, in a segment
  /// that is not being replaced. The slot is null for all others, which are for
  /// `locate` to find. What it finds stays in registers, so it is the way for
  /// who has fetched the bucket ahead.
  [[nodiscard]] static Position locate_at(Bucket& home, std::uint64_t hash, std::string_view key) noexcept;

  /// Swaps in the key's next version. False when another thread was first, or
  /// the segment is being replaced: locate again. On success the record in
  /// `position.old` is unlinked; retiring it is the caller's.
  [[nodiscard]] bool publish(const Position& position, std::uint64_t hash, Record* fresh) noexcept {
    return publish(position, hash, fresh, fresh->tombstone());
  }
  [[nodiscard]] bool publish(const Position& position, std::uint64_t hash, Record* fresh, bool tombstone) noexcept {
    const std::uint64_t word = slot::word(slot::tag_of(hash), fresh, tombstone);
    std::uint64_t expected = position.seen;
    if (position.old == nullptr) {
      ACTABLE_PARK("table.insert");
    } else {
      ACTABLE_PARK("table.update");
    }
    // release: the record is whole. acq_rel because the caller goes on to read
    // and retire the old one.
    return position.slot->compare_exchange_strong(expected, word, std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// Calls `emit` for each live record of the next bucket of one segment, and
  /// moves on. The records are valid while the caller stays pinned.
  void scan(ScanPosition& position, const std::function<void(const Record&)>& emit) const;

  /// Gives back the records and the segment at `position`, and moves on. The
  /// table is used by nobody any more, and not used again.
  void clear_next(Cache& cache, ScanPosition& position) noexcept;

  /// One step of maintenance: merges two segments that are nearly empty, replaces
  /// one that has many tombstones to be dropped or lies in memory that leaves
  /// (base/record_memory.h), or moves records out of such memory until they make up
  /// `bytes_max`, at least one. When the
  /// position is done, nothing that the table held at its beginning, in its range,
  /// lies there. False when memory is exhausted; may be tried again.
  [[nodiscard]] bool tidy(Cache& cache, TidyPosition& position, std::size_t bytes_max) noexcept;

  [[nodiscard]] TableStats stats() const noexcept;

 private:
  static constexpr unsigned k_depth_max = 26;
  static constexpr unsigned k_levels_built_in = 9;
  static constexpr std::size_t k_level_alignment = 64;
  static constexpr std::uint64_t k_level_shift = k_level_alignment - 1;
  // An entry that is neither null nor a segment.
  static constexpr std::uint64_t k_split = 1;
  // Replaced by one segment if no more live in it, else by two: then a third of
  // the copy is still free.
  static constexpr unsigned k_rebuild_records_max = 448;
  // Maintenance does not make two of one that is well filled.
  static constexpr unsigned k_tidy_records_max = 640;
  // Two segments with no more in them are made one: it has room for as many again.
  static constexpr unsigned k_merge_records_max = 320;
  // Who replaces a merged segment goes through its entries, 64 at most.
  static constexpr unsigned k_merged_levels_max = 6;

  using Entry = std::atomic<std::uint64_t>;

  struct Copy;

  [[nodiscard]] static std::uint64_t prefix_of(std::uint64_t hash, unsigned depth) noexcept {
    return hash >> 1 >> (63 - depth);
  }
  /// A level's address and, in its low six bits, which levels leave free, 63 less its depth.
  [[nodiscard]] static std::uint64_t level_word(Entry* level, unsigned depth) noexcept {
    return reinterpret_cast<std::uint64_t>(level) | (63 - depth);
  }
  [[nodiscard]] unsigned depth() const noexcept {
    return 63 - static_cast<unsigned>(deepest_.load(std::memory_order_acquire) & k_level_shift);
  }
  /// In the deepest level.
  [[nodiscard, gnu::always_inline]] Start entry_of(std::uint64_t hash) const noexcept;
  [[nodiscard, gnu::always_inline]] Segment* segment_at(Start start, std::uint64_t hash) const noexcept;
  /// The entry that held a segment when it was looked at: in the deepest level, or
  /// further up where that has none.
  [[nodiscard]] Start entry_in_use(std::uint64_t hash) const noexcept;
  [[nodiscard]] Segment* segment_for(std::uint64_t hash) const noexcept { return segment_at(entry_of(hash), hash); }
  /// One that had no replacement when it was looked at: all that it holds, of other
  /// hashes too, was linked then.
  [[nodiscard]] Segment& whole_segment_for(std::uint64_t hash) const noexcept;
  [[nodiscard]] bool locate_slowly(Cache& cache, std::uint64_t hash, std::string_view key, Position& position) noexcept;
  /// Along the chain, slot by slot: finds also what hints did not name.
  [[nodiscard]] static const Record* find_slowly(Segment& segment, std::uint64_t hash, std::string_view key) noexcept;
  [[nodiscard]] Entry* entry(std::uint64_t prefix, unsigned depth) const noexcept;
  [[nodiscard]] bool add_level(unsigned depth) noexcept;
  [[nodiscard]] bool extend_chain(Segment& segment, Bucket& bucket) noexcept;

  /// With a copy of ours, if it is taken: one segment up to `whole_records_max`.
  [[nodiscard]] bool replace(Cache& cache, Segment& segment,
                             unsigned whole_records_max = k_rebuild_records_max) noexcept;
  /// For maintenance, which nobody waits for: where there is no memory for a copy,
  /// nothing is frozen, and keys can be written as before.
  [[nodiscard]] bool replace_with_room(Cache& cache, Segment& segment) noexcept;
  /// What takes the segment's place; null while that is not decided.
  [[nodiscard]] static Segment* replacement_of(Segment& segment) noexcept;
  static void freeze(Segment& segment) noexcept;
  [[nodiscard]] bool copy(Cache& cache, Segment& segment, Copy& into) noexcept;
  void plan(Segment& segment, Copy& into) const noexcept;
  [[nodiscard]] bool make_parts(Cache& cache, const Segment& segment, Copy& into) noexcept;
  void release_parts(Cache& cache, Copy& copy) noexcept;
  void retire_dropped(Cache& cache, Segment& segment, base::Epoch tombstones_before) noexcept;
  /// A tombstone that a copy leaves out.
  [[nodiscard]] static bool droppable(std::uint64_t word, base::Epoch tombstones_before) noexcept {
    return slot::tombstone(word) && base::epoch_of(slot::record(word)->seq()) < tombstones_before;
  }
  /// False when another's copy was first, or a merge: then it is given back.
  [[nodiscard]] bool offer(Cache& cache, Segment& segment, Copy& copy) noexcept;
  [[nodiscard]] bool swing(Cache& cache, Segment& segment) noexcept;
  [[nodiscard]] bool bring_forward(std::uint64_t prefix, unsigned depth) noexcept;
  void put_halves(std::uint64_t prefix, unsigned depth, Segment& first) noexcept;

  enum class Merged : std::uint8_t { yes, no, no_memory };
  [[nodiscard]] Merged merge(Cache& cache, Segment& left, Segment& right) noexcept;
  [[nodiscard]] Segment* copy_both(Cache& cache, Segment& left, Segment& right, base::Epoch tombstones_before) noexcept;
  [[nodiscard]] bool claim_both(Cache& cache, Segment& left, Segment& right, Segment& whole) noexcept;
  void drop_claim(Cache& cache, Segment& whole) noexcept;

  enum class Moved : std::uint8_t { all, some, frozen, no_memory };
  /// What a segment holds.
  struct Look {
    unsigned kept = 0;
    /// Tombstones to be dropped.
    unsigned droppable = 0;
  };
  [[nodiscard]] Look look(Segment& segment) const noexcept;
  [[nodiscard]] bool has_room_for_segment(Cache& cache) noexcept;
  [[nodiscard]] Segment* neighbour_to_merge(Segment& segment, unsigned kept,
                                            const TidyPosition& position) const noexcept;
  [[nodiscard]] Moved move_bucket(Cache& cache, Segment& segment, unsigned bucket, std::size_t& bytes_max) noexcept;
  [[nodiscard]] bool move_record(Cache& cache, std::atomic<std::uint64_t>& from, std::uint64_t word) noexcept;

  [[nodiscard]] Segment* make_segment(Cache& cache, std::uint64_t prefix, unsigned depth,
                                      std::uint32_t chain_buckets) noexcept;
  void release_segment(Cache& cache, Segment* segment) noexcept;
  void retire_segment(Cache& cache, Segment* segment) noexcept;
  [[nodiscard]] bool goes_right(std::uint64_t word, unsigned depth) const noexcept;
  static void append(Segment& segment, unsigned bucket, std::uint64_t word) noexcept;

  template <class F>
  static void for_each_word(Segment& segment, unsigned bucket, F&& f);

  // Read by every operation, changed seldom.
  std::atomic<std::uint64_t> deepest_{0};
  std::array<std::atomic<Entry*>, k_depth_max + 1> levels_{};

  base::Epochs& epochs_;
  base::RecordMemory& memory_;
  const std::uint64_t hash_seed_;
  struct FreeLevels {
    void operator()(Entry* levels) const noexcept { ::operator delete[](levels, std::align_val_t{k_level_alignment}); }
  };
  std::unique_ptr<Entry[], FreeLevels> levels_built_in_;

  alignas(64) std::atomic<std::size_t> segments_{0};
  std::atomic<std::size_t> segment_bytes_{0};
  std::atomic<std::uint64_t> splits_{0};
  std::atomic<std::uint64_t> rebuilds_{0};
  std::atomic<std::uint64_t> merges_{0};
  std::atomic<std::uint64_t> tombstones_dropped_{0};
};

inline HashTable::Entry* HashTable::entry(std::uint64_t prefix, unsigned depth) const noexcept {
  // acquire: pairs with the release that set the level.
  return levels_[depth].load(std::memory_order_acquire) + prefix;
}

[[gnu::always_inline]] inline HashTable::Start HashTable::entry_of(std::uint64_t hash) const noexcept {
  // acquire: pairs with the release in add_level.
  const std::uint64_t word = deepest_.load(std::memory_order_acquire);
  const auto* const level = reinterpret_cast<Start>(word & ~k_level_shift);
  return level + (hash >> 1 >> (word & k_level_shift));
}

[[gnu::always_inline]] inline HashTable::Start HashTable::start(std::uint64_t hash) const noexcept {
  Start at = entry_of(hash);
  // relaxed: to be read again.
  std::uint64_t found = at->load(std::memory_order_relaxed);
  // While a level comes into use most of its entries are null.
  if (found <= k_split) [[unlikely]] {
    at = entry_in_use(hash);
    found = at->load(std::memory_order_relaxed);
  }
  __builtin_prefetch(Segment::home_address(found, hash));
  return at;
}

[[gnu::always_inline]] inline Segment* HashTable::segment_at(Start start, std::uint64_t hash) const noexcept {
  while (true) {
    // acquire: pairs with the release that put the segment here.
    const std::uint64_t found = start->load(std::memory_order_acquire);
    if (found > k_split) [[likely]]
      return reinterpret_cast<Segment*>(found);
    // Split since `start` was chosen, or further up.
    start = entry_in_use(hash);
  }
}

inline const Record* HashTable::find(Start start, std::uint64_t hash, std::string_view key) const noexcept {
  Segment& segment = *segment_at(start, hash);
  const Bucket& bucket = segment.home(hash);
  for (Bucket::Hint hint = bucket.with_tag_of(hash); hint; hint.next()) {
    // acquire: pairs with the release in `publish`: the record is whole.
    const std::uint64_t word = bucket.slots[hint.slot()].load(std::memory_order_acquire);
    if (slot::empty(word)) break;
    const Record* const record = slot::record(word);
    if (record->has_key(key)) [[likely]]
      return slot::tombstone(word) ? nullptr : record;
  }
  return find_slowly(segment, hash, key);
}

[[gnu::always_inline]] inline Position HashTable::locate_at(Bucket& home, std::uint64_t hash,
                                                            std::string_view key) noexcept {
  for (Bucket::Hint hint = home.with_tag_of(hash); hint; hint.next()) {
    std::atomic<std::uint64_t>& s = home.slots[hint.slot()];
    // acquire: pairs with the release in `publish`.
    const std::uint64_t word = s.load(std::memory_order_acquire);
    if (slot::frozen(word) || slot::empty(word)) break;
    if (slot::record(word)->has_key(key)) [[likely]]
      return {&s, word, slot::record(word)};
  }
  return {nullptr, 0, nullptr};
}

/// Calls `f(word)` for each slot in use of a bucket's chain. What `f` throws comes through.
template <class F>
void HashTable::for_each_word(Segment& segment, unsigned bucket, F&& f) {
  for (Bucket* b = &segment.buckets()[bucket]; b != nullptr;
       b = segment.next(b->control.load(std::memory_order_acquire))) {
    for (const auto& s : b->slots) {
      // acquire: pairs with the release in `publish`.
      const std::uint64_t word = s.load(std::memory_order_acquire);
      if (slot::empty(word)) return;
      f(word);
    }
  }
}

}  // namespace actable::table
