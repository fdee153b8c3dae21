#include "base/hash.h"
#include "table/hash_range.h"
#include "table/hash_table.h"

/// Walking the table, or a range of its hashes; see ScanPosition.
///
/// The hashes of one segment, as it was when the scan came to it, are walked
/// bucket by bucket. If the segment splits meanwhile, its parts have the same
/// buckets and their ranges of hashes lie within, so the walk goes on at the
/// same bucket of each part, one part a step. If it is merged with another, what
/// the other held is left to the walk of the other's hashes.
namespace actable::table {
namespace {

// Buckets, of some five records with two cache lines each: twenty lines under way. Other
// distances were not tried.
constexpr unsigned k_scan_ahead = 2;

/// Of two ends, of which 0 stands for 2^64.
std::uint64_t earlier_end(std::uint64_t a, std::uint64_t b) noexcept { return a - 1 < b - 1 ? a : b; }

/// Starts fetching what a bucket's own slots hold. Records lie anywhere in memory, and
/// each is a cache miss of its own.
void prefetch_records(const Bucket& bucket) noexcept {
  for (const auto& s : bucket.slots) {
    const auto* const at = reinterpret_cast<const char*>(slot::record(s.load(std::memory_order_relaxed)));
    if (at == nullptr) return;
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
  }
}

}  // namespace

Segment& HashTable::whole_segment_for(std::uint64_t hash) const noexcept {
  Segment* segment = segment_for(hash);
  while (true) {
    // acquire, twice: pairs with the releases in `offer` and `claim_both`, and with
    // what decides a merge.
    Segment* const next = segment->replacement.load(std::memory_order_acquire);
    if (next == nullptr) return *segment;
    const Merge merge = next->merge.load(std::memory_order_acquire);
    if (merge == Merge::pending || merge == Merge::given_up) return *segment;
    const bool right = prefix_of(hash, segment->depth + 1) % 2 != 0;
    segment = next->sibling != nullptr && right ? next->sibling : next;
  }
}

void HashTable::scan(ScanPosition& position, const std::function<void(const Record&)>& emit) const {
  if (position.done) return;
  if (!position.begun) {
    position.begun = true;
    position.end = earlier_end(end_hash(*segment_for(position.first)), position.limit);
  }
  Segment& segment = whole_segment_for(position.at);
  const std::uint64_t end = end_hash(segment);
  // A segment may begin before what is left to walk, or end after it: one that is
  // being split, of which a part was walked already, one that was merged, or one at
  // an end of the scan.
  const bool within = first_hash(segment) >= position.at && end - 1 <= position.end - 1;
  if (position.bucket + k_scan_ahead < Segment::k_home_buckets) {
    prefetch_records(segment.buckets()[position.bucket + k_scan_ahead]);
  }
  for_each_word(segment, position.bucket, [&](std::uint64_t word) {
    if (slot::tombstone(word)) return;
    const Record& record = *slot::record(word);
    if (!within) {
      const std::uint64_t hash = base::hash_key(record.key(), hash_seed_);
      if (hash < position.at || hash > position.end - 1) return;
    }
    emit(record);
  });
  position.at = end;
  if (end - 1 < position.end - 1) return;

  position.at = position.first;
  if (++position.bucket < Segment::k_home_buckets) return;
  position.bucket = 0;
  position.first = position.at = position.end;
  if (position.end == position.limit) {
    position.done = true;
  } else {
    position.end = earlier_end(end_hash(*segment_for(position.first)), position.limit);
  }
}

void HashTable::clear_next(Cache& cache, ScanPosition& position) noexcept {
  Segment* const segment = segment_for(position.first);
  position.first = end_hash(*segment);
  position.done = position.first == 0;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for_each_word(*segment, b, [&](std::uint64_t word) {
      Record* const record = slot::record(word);
      memory_.retire(cache, record, record->bytes());
    });
  }
  // Left behind where memory was exhausted.
  Segment* const given_up = segment->replacement.load(std::memory_order_acquire);
  if (given_up != nullptr && given_up->merge.load(std::memory_order_acquire) == Merge::given_up) {
    drop_claim(cache, *given_up);
  }
  retire_segment(cache, segment);
}

}  // namespace actable::table
