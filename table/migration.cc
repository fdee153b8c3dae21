#include "base/hash.h"
#include "base/park.h"
#include "table/census.h"
#include "table/hash_table.h"

#include <algorithm>

/// Replacing a segment that is full; the steps are in table/hash_table.h.
namespace actable::table {

/// A private copy of a frozen segment: one segment, or two of the next depth.
struct HashTable::Copy {
  std::array<Segment*, 2> parts{};
  /// Tombstones that the copy leaves out: words of the frozen segment. At most
  /// one a slot, so they are found again by walking it.
  base::Epoch tombstones_before;
  /// How many records one segment is to hold at most.
  unsigned whole_records_max;
  /// See `plan`.
  bool split = false;
  std::array<std::uint32_t, 2> chain_capacities{};
};

bool HashTable::replace(Cache& cache, Segment& segment, unsigned whole_records_max) noexcept {
  while (replacement_of(segment) == nullptr) {
    freeze(segment);
    Copy copied{.tombstones_before = epochs_.tombstones_before(), .whole_records_max = whole_records_max};
    if (!copy(cache, segment, copied)) return false;
    // Before it is offered: then nothing that follows can fail.
    if (copied.parts[1] != nullptr && !add_level(segment.depth + 1)) {
      release_parts(cache, copied);
      return false;
    }
    if (!offer(cache, segment, copied)) continue;
    if (!swing(cache, segment)) return false;
    // Ours was taken: what it left out is out of reach now.
    retire_dropped(cache, segment, copied.tombstones_before);
    return true;
  }
  return swing(cache, segment);
}

Segment* HashTable::replacement_of(Segment& segment) noexcept {
  // acquire: pairs with the releases in `offer` and `claim_both`: the copy is whole.
  Segment* const found = segment.replacement.load(std::memory_order_acquire);
  if (found == nullptr) return nullptr;
  Merge merge = found->merge.load(std::memory_order_acquire);
  if (merge == Merge::pending) {
    // The right one of the two is claimed last: who sees that knows that both are.
    // Who sees the left one claimed does not, and does not wait.
    const bool right = segment.prefix % 2 != 0;
    const Merge decision = right ? Merge::done : Merge::given_up;
    // acq_rel: all that hangs on it is in the order of this word.
    if (found->merge.compare_exchange_strong(merge, decision, std::memory_order_acq_rel, std::memory_order_acquire)) {
      merge = decision;
    }
  }
  return merge == Merge::given_up ? nullptr : found;
}

void HashTable::retire_dropped(Cache& cache, Segment& segment, base::Epoch tombstones_before) noexcept {
  std::uint64_t dropped = 0;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for_each_word(segment, b, [&](std::uint64_t word) {
      if (!droppable(word, tombstones_before)) return;
      Record* const record = slot::record(word);
      memory_.retire(cache, record, record->bytes());
      ++dropped;
    });
  }
  tombstones_dropped_.fetch_add(dropped, std::memory_order_relaxed);
}

void HashTable::freeze(Segment& segment) noexcept {
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for (Bucket* bucket = &segment.buckets()[b]; bucket != nullptr;) {
      // The control word first: after it the chain grows no more. acq_rel: what
      // was published before is seen; pairs with `publish` and `extend_chain`.
      const std::uint64_t control = bucket->control.fetch_or(Bucket::k_control_frozen, std::memory_order_acq_rel);
      for (auto& s : bucket->slots) {
        ACTABLE_PARK("table.freeze");
        if (!slot::frozen(s.load(std::memory_order_relaxed))) s.fetch_or(slot::k_frozen, std::memory_order_acq_rel);
      }
      bucket = segment.next(control);
    }
  }
}

bool HashTable::goes_right(std::uint64_t word, unsigned depth) const noexcept {
  const unsigned bit = 63 - depth;
  if (slot::tag_holds_bit(bit)) return (slot::tag(word) >> (bit - 40) & 1) != 0;
  return (base::hash_key(slot::record(word)->key(), hash_seed_) >> bit & 1) != 0;
}

/// What a copy takes, by what the segment holds now.
void HashTable::plan(Segment& segment, Copy& into) const noexcept {
  std::array<Census, 2> halves;
  Census whole;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    std::array<unsigned, 2> in_bucket{};
    for_each_word(segment, b, [&](std::uint64_t word) {
      if (!droppable(word, into.tombstones_before)) ++in_bucket[goes_right(word, segment.depth) ? 1 : 0];
    });
    for (unsigned half = 0; half < 2; ++half) halves[half].add_bucket(in_bucket[half]);
    whole.add_bucket(in_bucket[0] + in_bucket[1]);
  }
  into.split = whole.records > into.whole_records_max && segment.depth < k_depth_max;
  into.chain_capacities = {whole.chain_capacity(), 0};
  if (into.split) into.chain_capacities = {halves[0].chain_capacity(), halves[1].chain_capacity()};
}

/// As planned, empty. False, and nothing taken, when memory is exhausted.
bool HashTable::make_parts(Cache& cache, const Segment& segment, Copy& into) noexcept {
  for (unsigned part = 0; part < (into.split ? 2U : 1U); ++part) {
    into.parts[part] =
        into.split ? make_segment(cache, segment.prefix * 2 + part, segment.depth + 1, into.chain_capacities[part])
                   : make_segment(cache, segment.prefix, segment.depth, into.chain_capacities[part]);
    if (into.parts[part] == nullptr) {
      release_parts(cache, into);
      return false;
    }
  }
  return true;
}

void HashTable::release_parts(Cache& cache, Copy& copy) noexcept {
  // The last one first: so carving is undone.
  for (const unsigned part : {1U, 0U}) {
    if (copy.parts[part] != nullptr) release_segment(cache, copy.parts[part]);
  }
  copy.parts = {};
}

bool HashTable::replace_with_room(Cache& cache, Segment& segment) noexcept {
  Copy trial{.tombstones_before = epochs_.tombstones_before(), .whole_records_max = k_tidy_records_max};
  plan(segment, trial);
  if (!make_parts(cache, segment, trial)) return false;
  // What goes back here is what the thread gets next, under the same pin.
  release_parts(cache, trial);
  return replace(cache, segment, k_tidy_records_max);
}

bool HashTable::copy(Cache& cache, Segment& segment, Copy& into) noexcept {
  plan(segment, into);
  if (!make_parts(cache, segment, into)) return false;
  ACTABLE_PARK("table.copy");
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for_each_word(segment, b, [&](std::uint64_t word) {
      if (droppable(word, into.tombstones_before)) return;
      append(*into.parts[into.split && goes_right(word, segment.depth) ? 1 : 0], b, word & ~slot::k_frozen);
    });
  }
  into.parts[0]->sibling = into.parts[1];
  return true;
}

void HashTable::append(Segment& segment, unsigned bucket, std::uint64_t word) noexcept {
  Bucket* b = &segment.buckets()[bucket];
  while (true) {
    // relaxed throughout: nobody else sees the copy yet.
    for (auto& s : b->slots) {
      if (s.load(std::memory_order_relaxed) == 0) {
        s.store(word, std::memory_order_relaxed);
        return;
      }
    }
    Bucket* next = segment.next(b->control.load(std::memory_order_relaxed));
    if (next == nullptr) {
      const std::uint32_t index = segment.chain_used.fetch_add(1, std::memory_order_relaxed);
      ACTABLE_ASSERT(index < segment.chain_capacity);
      b->control.store(index + 1, std::memory_order_relaxed);
      next = segment.next(index + 1);
    }
    b = next;
  }
}

bool HashTable::offer(Cache& cache, Segment& segment, Copy& copy) noexcept {
  ACTABLE_PARK("table.offer");
  // acquire: pairs with the release in `claim_both`.
  Segment* expected = segment.replacement.load(std::memory_order_acquire);
  const bool undecided = expected == nullptr || expected->merge.load(std::memory_order_acquire) == Merge::given_up;
  // release: the copy is whole; pairs with the acquire in `replacement_of`.
  if (undecided && segment.replacement.compare_exchange_strong(expected, copy.parts[0], std::memory_order_acq_rel,
                                                               std::memory_order_acquire)) {
    if (expected != nullptr) drop_claim(cache, *expected);
    (copy.parts[1] != nullptr ? splits_ : rebuilds_).fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  release_parts(cache, copy);
  return false;
}

/// Of a segment whose replacement is decided. False when memory is exhausted.
bool HashTable::swing(Cache& cache, Segment& segment) noexcept {
  // Saves the way. acquire: no entry leads to it for us either, so that what the
  // copy left out may be retired; pairs with the exchange below.
  if (segment.retired.load(std::memory_order_acquire)) return true;
  // The first of two is what the `replacement` of the one that was split names, and
  // that may be in an entry of the other half yet, or in the one above both.
  const unsigned up = segment.sibling != nullptr ? 1 : 0;
  if (!bring_forward(segment.prefix >> up, segment.depth - up)) return false;
  ACTABLE_PARK("table.retire");
  // release: the entries. One thread is the first.
  if (!segment.retired.exchange(true, std::memory_order_acq_rel)) retire_segment(cache, &segment);
  return true;
}

/// Has an entry, and all below it, hold segments that nothing has replaced yet.
bool HashTable::bring_forward(std::uint64_t prefix, unsigned depth) noexcept {
  Entry& here = *entry(prefix, depth);
  // acquire, here and below: pairs with the release that put the segment here.
  std::uint64_t word = here.load(std::memory_order_acquire);
  while (word != k_split) {
    Segment& held = *reinterpret_cast<Segment*>(word);
    Segment* const first = replacement_of(held);
    if (first == nullptr) return true;
    std::uint64_t next = reinterpret_cast<std::uint64_t>(first);
    if (first->sibling != nullptr && held.depth == depth) {
      if (!add_level(depth + 1)) return false;
      put_halves(prefix, depth, *first);
      next = k_split;
    } else if (first->sibling != nullptr && (prefix >> (depth - held.depth - 1) & 1) != 0) {
      next = reinterpret_cast<std::uint64_t>(first->sibling);
    }
    ACTABLE_PARK("table.swing");
    // release: whoever finds the copy here finds it whole. Fails when another
    // thread has done it; the address cannot have come back, for we are pinned.
    if (here.compare_exchange_strong(word, next, std::memory_order_acq_rel, std::memory_order_acquire)) word = next;
  }
  return bring_forward(prefix * 2, depth + 1) && bring_forward(prefix * 2 + 1, depth + 1);
}

/// Before the entry above becomes split: while these are null, lookups climb to it.
void HashTable::put_halves(std::uint64_t prefix, unsigned depth, Segment& first) noexcept {
  for (unsigned half = 0; half < 2; ++half) {
    Segment* const part = half == 0 ? &first : first.sibling;
    ACTABLE_PARK("table.swing");
    std::uint64_t expected = 0;
    entry(prefix * 2 + half, depth + 1)
        ->compare_exchange_strong(expected, reinterpret_cast<std::uint64_t>(part), std::memory_order_acq_rel);
  }
}

}  // namespace actable::table
