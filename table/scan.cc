#include "base/hash.h"
#include "table/hash_table.h"

/// Walking the table; see ScanPosition.
///
/// The hashes of one segment, as it was when the scan came to it, are walked
/// bucket by bucket. If the segment splits meanwhile, its parts have the same
/// buckets and their ranges of hashes lie within, so the walk goes on at the
/// same bucket of each part, one part a step.
namespace actable::table {
namespace {

[[nodiscard]] std::uint64_t first_hash(const Segment& segment) noexcept {
  return segment.depth == 0 ? 0 : segment.prefix << (64 - segment.depth);
}

/// 0 stands for 2^64.
[[nodiscard]] std::uint64_t end_hash(const Segment& segment) noexcept {
  return segment.depth == 0 ? 0 : (segment.prefix + 1) << (64 - segment.depth);
}

}  // namespace

void HashTable::scan(ScanPosition& position, const std::function<void(const Record&)>& emit) const {
  if (position.done) return;
  if (!position.begun) {
    position.begun = true;
    position.end = end_hash(*segment_for(position.first));
  }
  Segment& segment = *segment_for(position.at);
  const std::uint64_t end = end_hash(segment);
  // A segment may begin before what is left to walk: one that is being split,
  // of which a part was walked already.
  const bool within = first_hash(segment) >= position.at;
  for_each_word(segment, position.bucket, [&](std::uint64_t word) {
    if (slot::tombstone(word)) return;
    const Record& record = *slot::record(word);
    if (within || base::hash_key(record.key(), hash_seed_) >= position.at) emit(record);
  });
  position.at = end;
  if (end - 1 < position.end - 1) return;

  position.at = position.first;
  if (++position.bucket < Segment::k_home_buckets) return;
  position.bucket = 0;
  position.first = position.at = position.end;
  if (position.end == 0) {
    position.done = true;
  } else {
    position.end = end_hash(*segment_for(position.first));
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
  retire_segment(cache, segment);
}

}  // namespace actable::table
