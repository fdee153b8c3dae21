#include "base/park.h"
#include "table/census.h"
#include "table/hash_table.h"

/// Merging two segments that erasures have left nearly empty, the halves of one
/// range of hashes, into one. It is a replacement (table/hash_table.h) of which
/// step 3 concerns two segments:
///   1. freeze both;
///   2. copy what lives into one segment, `whole`, privately; its `merge` is *pending*;
///   3. *claim* first the left one, then the right one, by setting its
///      `replacement` from null to `whole`;
///   4. `merge` goes from pending to *done*, once, and the merge is decided.
/// Then the entries of both are brought forward, and both are retired.
///
/// *Nobody waits for it.* Who meets a half that is claimed by a pending merge
/// decides: if it is the right one, both are claimed, and he has `merge` become
/// done; if it is the left one, he cannot know, and has it become *given up*. Then
/// nothing was decided for the half, and he replaces it by itself. The right one,
/// too, may be replaced by itself before it is claimed: then who merges gives up.
///
/// *Why it is all or nothing.* `merge` leaves pending once. It becomes done only
/// after both claims; and a claim is taken back, by the `offer` of another copy,
/// only after `merge` has become given up, so at that moment both stand. From then
/// on both replacements are `whole` for good.
///
/// *Who gives `whole` back.* While a merge is not done, `claims` counts the
/// replacements that name it or may still come to do so: two at first. Who takes a
/// claim back, or fails to set it, counts down, and the last one retires it. It was
/// in no entry. Others may be looking at `merge`, all of them pinned since they
/// found it named.
namespace actable::table {

HashTable::Merged HashTable::merge(Cache& cache, Segment& left, Segment& right) noexcept {
  freeze(left);
  freeze(right);
  const base::Epoch tombstones_before = epochs_.tombstones_before();
  Segment* const whole = copy_both(cache, left, right, tombstones_before);
  if (whole == nullptr) return Merged::no_memory;
  if (!claim_both(cache, left, right, *whole)) {
    // They are frozen, and would be replaced by who writes to them next.
    const bool replaced = replace(cache, left, k_tidy_records_max) && replace(cache, right, k_tidy_records_max);
    return replaced ? Merged::no : Merged::no_memory;
  }
  merges_.fetch_add(1, std::memory_order_relaxed);
  if (!swing(cache, left) || !swing(cache, right)) return Merged::no_memory;
  retire_dropped(cache, left, tombstones_before);
  retire_dropped(cache, right, tombstones_before);
  return Merged::yes;
}

/// Both are frozen. Null when memory is exhausted.
Segment* HashTable::copy_both(Cache& cache, Segment& left, Segment& right, base::Epoch tombstones_before) noexcept {
  const auto for_each_kept = [&](unsigned bucket, auto&& f) {
    for (Segment* const half : {&left, &right}) {
      for_each_word(*half, bucket, [&](std::uint64_t word) {
        if (!droppable(word, tombstones_before)) f(word);
      });
    }
  };
  Census census;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    unsigned in_bucket = 0;
    for_each_kept(b, [&](std::uint64_t) { ++in_bucket; });
    census.add_bucket(in_bucket);
  }
  Segment* const whole = make_segment(cache, left.prefix / 2, left.depth - 1, census.chain_capacity());
  if (whole == nullptr) return nullptr;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for_each_kept(b, [&](std::uint64_t word) { append(*whole, b, word & ~slot::k_frozen); });
  }
  // relaxed: nobody else sees it yet.
  whole->merge.store(Merge::pending, std::memory_order_relaxed);
  whole->claims.store(2, std::memory_order_relaxed);
  return whole;
}

/// True when both are replaced by `whole`, which is given back otherwise.
bool HashTable::claim_both(Cache& cache, Segment& left, Segment& right, Segment& whole) noexcept {
  ACTABLE_PARK("table.claim");
  Segment* expected = nullptr;
  // release, twice: the copy is whole; pairs with the acquire in `replacement_of`.
  if (!left.replacement.compare_exchange_strong(expected, &whole, std::memory_order_acq_rel)) {
    release_segment(cache, &whole);
    return false;
  }
  ACTABLE_PARK("table.claim");
  expected = nullptr;
  const bool both = right.replacement.compare_exchange_strong(expected, &whole, std::memory_order_acq_rel);
  ACTABLE_PARK("table.merge");
  Merge seen = Merge::pending;
  // acq_rel: all that hangs on it is in the order of this word. Lost: somebody
  // who met one of the halves has decided.
  if (whole.merge.compare_exchange_strong(seen, both ? Merge::done : Merge::given_up, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
    seen = both ? Merge::done : Merge::given_up;
  }
  if (!both) drop_claim(cache, whole);
  return seen == Merge::done;
}

/// Of a merge that was given up.
void HashTable::drop_claim(Cache& cache, Segment& whole) noexcept {
  // acq_rel: the other's claim was taken back before.
  if (whole.claims.fetch_sub(1, std::memory_order_acq_rel) == 1) retire_segment(cache, &whole);
}

}  // namespace actable::table
