#include "base/park.h"
#include "table/hash_range.h"
#include "table/hash_table.h"

#include <algorithm>

/// Maintenance: segments without tombstones that nobody needs, and everything
/// out of memory that is to go back; see TidyPosition.
///
/// *Moving a record* is publishing a copy of it, number and all, in the place of
/// the original: by compare-and-swap, from the very word that was read. Lost
/// means that a newer version has taken its place, which is never in memory
/// that leaves, or that the slot was frozen; then the segment is replaced first
/// and the copy's slot looked at. A writer whose compare-and-swap is lost to a
/// move locates again, as to any other; that happens once for a slot and
/// compaction. Readers find one or the other, which say the same. The original
/// is not retired, for it goes with its arena.
namespace actable::table {
namespace {

// A segment is rebuilt when this part of its slots are tombstones to be dropped.
constexpr unsigned k_tombstones_part = 8;

}  // namespace

bool HashTable::tidy(Cache& cache, TidyPosition& position, std::size_t bytes_max) noexcept {
  if (position.done) return true;
  Segment& segment = *segment_for(position.at);
  // acquire: nothing that was unlinked from the segment before is looked at.
  if (segment.replacement.load(std::memory_order_acquire) != nullptr) {
    return replace(cache, segment, k_tidy_records_max);
  }
  const bool leaves = base::RecordMemory::leaves(cache, &segment);
  // Once for a segment: or who goes on writing to it would keep us here.
  if (!position.rebuilt && position.bucket == 0) {
    const Look seen = look(segment);
    if (Segment* const other = neighbour_to_merge(segment, seen.kept, position)) {
      if (!has_room_for_segment(cache)) return false;
      const bool first = segment.prefix % 2 == 0;
      const Merged merged = merge(cache, first ? segment : *other, first ? *other : segment);
      // What they have become may be merged with its neighbour in turn.
      if (merged == Merged::yes) position.at = std::min(first_hash(segment), first_hash(*other));
      position.rebuilt = merged == Merged::no;
      return merged != Merged::no_memory;
    }
    if (!leaves && seen.droppable * k_tombstones_part >= std::max(seen.kept + seen.droppable, 1U)) {
      position.rebuilt = replace_with_room(cache, segment);
      return position.rebuilt;
    }
  }
  if (leaves) {
    position.rebuilt = replace_with_room(cache, segment);
    return position.rebuilt;
  }
  if (base::RecordMemory::moves(cache)) {
    for (; position.bucket < Segment::k_home_buckets; ++position.bucket) {
      switch (move_bucket(cache, segment, position.bucket, bytes_max)) {
        case Moved::all:
          break;
        case Moved::some:
          return true;
        case Moved::frozen:
          return replace(cache, segment, k_tidy_records_max);
        case Moved::no_memory:
          return false;
      }
    }
  }
  const std::uint64_t end = end_hash(segment);
  position.done = end - 1 >= position.end - 1;
  position.at = end;
  position.bucket = 0;
  position.rebuilt = false;
  return true;
}

/// Asked before anything is frozen. What goes back here is what the thread gets
/// next, under the same pin.
bool HashTable::has_room_for_segment(Cache& cache) noexcept {
  Segment* const trial = make_segment(cache, 0, 0, Segment::k_chain_buckets);
  if (trial == nullptr) return false;
  release_segment(cache, trial);
  return true;
}

HashTable::Look HashTable::look(Segment& segment) const noexcept {
  const base::Epoch tombstones_before = epochs_.tombstones_before();
  Look seen;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for_each_word(segment, b,
                  [&](std::uint64_t word) { ++(droppable(word, tombstones_before) ? seen.droppable : seen.kept); });
  }
  return seen;
}

/// The other half of the range of hashes that this segment has a half of, if it is
/// one segment, within the position's hashes, and both together are nearly empty.
Segment* HashTable::neighbour_to_merge(Segment& segment, unsigned kept, const TidyPosition& position) const noexcept {
  if (segment.depth == 0 || kept > k_merge_records_max) return nullptr;
  // How many entries there are, about.
  if (depth() >= segment.depth + k_merged_levels_max) return nullptr;
  const std::uint64_t prefix = segment.prefix ^ 1;
  const std::uint64_t first = prefix << (64 - segment.depth);
  if (first < position.begin || (position.end != 0 && first >= position.end)) return nullptr;
  Segment& other = *segment_for(first);
  // acquire: as in `tidy`.
  if (other.depth != segment.depth || other.replacement.load(std::memory_order_acquire) != nullptr) return nullptr;
  return kept + look(other).kept <= k_merge_records_max ? &other : nullptr;
}

HashTable::Moved HashTable::move_bucket(Cache& cache, Segment& segment, unsigned bucket,
                                        std::size_t& bytes_max) noexcept {
  for (Bucket* b = &segment.buckets()[bucket]; b != nullptr;
       // acquire: pairs with the release in extend_chain.
       b = segment.next(b->control.load(std::memory_order_acquire))) {
    for (auto& s : b->slots) {
      while (true) {
        // acquire: pairs with the release in `publish`.
        const std::uint64_t word = s.load(std::memory_order_acquire);
        // An empty one, too: what the frozen segment holds is for its copy.
        if (slot::frozen(word)) return Moved::frozen;
        if (slot::empty(word)) return Moved::all;
        if (!base::RecordMemory::leaves(cache, slot::record(word))) break;
        if (bytes_max == 0) return Moved::some;
        const std::size_t bytes = slot::record(word)->bytes();
        if (!move_record(cache, s, word)) return Moved::no_memory;
        bytes_max -= std::min(bytes_max, bytes);
      }
    }
  }
  return Moved::all;
}

/// False when memory is exhausted. The caller looks at the slot again.
bool HashTable::move_record(Cache& cache, std::atomic<std::uint64_t>& from, std::uint64_t word) noexcept {
  Record* const copy = Record::copy(memory_, cache, *slot::record(word));
  if (copy == nullptr) return false;
  ACTABLE_PARK("table.move");
  // release: the copy is whole.
  if (!from.compare_exchange_strong(word, slot::word(slot::tag(word), copy, slot::tombstone(word)),
                                    std::memory_order_acq_rel, std::memory_order_relaxed)) {
    memory_.release(cache, copy, copy->bytes());
  }
  return true;
}

}  // namespace actable::table
