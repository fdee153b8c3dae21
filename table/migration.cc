#include "base/hash.h"
#include "base/park.h"
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
};

namespace {

/// What a segment will have to hold: how many records, and how many chain
/// buckets that takes.
struct Census {
  unsigned records = 0;
  std::uint32_t chain_buckets = 0;

  void add_bucket(unsigned in_bucket) noexcept {
    records += in_bucket;
    if (in_bucket > Bucket::k_slots) {
      chain_buckets += (in_bucket - 1) / Bucket::k_slots;
    }
  }

  /// Room for half as much again where keys crowd into few buckets.
  [[nodiscard]] std::uint32_t chain_capacity() const noexcept {
    constexpr std::uint32_t k_uncrowded_max = Segment::k_chain_buckets * 3 / 4;
    if (chain_buckets <= k_uncrowded_max) return Segment::k_chain_buckets;
    return chain_buckets + chain_buckets / 2 + 8;
  }
};

[[nodiscard]] bool droppable(std::uint64_t word, base::Epoch tombstones_before) noexcept {
  return slot::tombstone(word) && base::epoch_of(slot::record(word)->seq()) < tombstones_before;
}

}  // namespace

bool HashTable::replace(Cache& cache, Segment& segment) noexcept {
  // acquire: pairs with the release in `offer`.
  if (segment.replacement.load(std::memory_order_acquire) == nullptr) {
    freeze(segment);
    Copy copied{.tombstones_before = epochs_.tombstones_before()};
    if (!copy(cache, segment, copied)) return false;
    offer(cache, segment, copied);
    if (segment.replacement.load(std::memory_order_acquire) != copied.parts[0]) {
      return swing(cache, segment);
    }
    if (!swing(cache, segment)) return false;
    // Ours was taken: what it left out is out of reach now.
    for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
      for_each_word(segment, b, [&](std::uint64_t word) {
        if (!droppable(word, copied.tombstones_before)) return;
        Record* const record = slot::record(word);
        memory_.retire(cache, record, record->bytes());
      });
    }
    return true;
  }
  return swing(cache, segment);
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

bool HashTable::copy(Cache& cache, Segment& segment, Copy& into) noexcept {
  const auto stays = [&](std::uint64_t word) { return !droppable(word, into.tombstones_before); };
  std::array<Census, 2> halves;
  Census whole;
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    std::array<unsigned, 2> in_bucket{};
    for_each_word(segment, b, [&](std::uint64_t word) {
      if (stays(word)) ++in_bucket[goes_right(word, segment.depth) ? 1 : 0];
    });
    for (unsigned half = 0; half < 2; ++half) halves[half].add_bucket(in_bucket[half]);
    whole.add_bucket(in_bucket[0] + in_bucket[1]);
  }
  const bool split = whole.records > k_rebuild_records_max && segment.depth < k_depth_max;
  for (unsigned part = 0; part < (split ? 2U : 1U); ++part) {
    into.parts[part] =
        split ? make_segment(cache, segment.prefix * 2 + part, segment.depth + 1, halves[part].chain_capacity())
              : make_segment(cache, segment.prefix, segment.depth, whole.chain_capacity());
    if (into.parts[part] == nullptr) {
      if (part == 1) release_segment(cache, into.parts[0]);
      return false;
    }
  }
  ACTABLE_PARK("table.copy");
  for (unsigned b = 0; b < Segment::k_home_buckets; ++b) {
    for_each_word(segment, b, [&](std::uint64_t word) {
      if (!stays(word)) return;
      append(*into.parts[split && goes_right(word, segment.depth) ? 1 : 0], b, word & ~slot::k_frozen);
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

void HashTable::offer(Cache& cache, Segment& segment, Copy& copy) noexcept {
  ACTABLE_PARK("table.offer");
  Segment* expected = nullptr;
  // release: the copy is whole; pairs with the acquire loads in `replace` and `swing`.
  if (segment.replacement.compare_exchange_strong(expected, copy.parts[0], std::memory_order_acq_rel,
                                                  std::memory_order_acquire)) {
    (copy.parts[1] != nullptr ? splits_ : rebuilds_).fetch_add(1, std::memory_order_relaxed);
    return;
  }
  for (Segment* const part : copy.parts) {
    if (part != nullptr) release_segment(cache, part);
  }
  copy.parts = {};
}

bool HashTable::swing(Cache& cache, Segment& segment) noexcept {
  Segment& first = *segment.replacement.load(std::memory_order_acquire);
  if (first.sibling != nullptr) {
    if (!add_level(segment.depth + 1)) return false;
    swing_split(cache, segment, first);
    return true;
  }
  ACTABLE_PARK("table.swing");
  std::uint64_t expected = reinterpret_cast<std::uint64_t>(&segment);
  // release: whoever finds the copy here finds it whole. Fails when another
  // thread has done it; the address cannot have come back, for we are pinned.
  if (entry(segment.prefix, segment.depth)
          ->compare_exchange_strong(expected, reinterpret_cast<std::uint64_t>(&first), std::memory_order_acq_rel)) {
    ACTABLE_PARK("table.retire");
    retire_segment(cache, &segment);
  }
  return true;
}

void HashTable::swing_split(Cache& cache, Segment& segment, Segment& first) noexcept {
  // The new entries first: while they are null, lookups climb to the old one.
  for (unsigned half = 0; half < 2; ++half) {
    Segment* const part = half == 0 ? &first : first.sibling;
    ACTABLE_PARK("table.swing");
    std::uint64_t expected = 0;
    entry(segment.prefix * 2 + half, segment.depth + 1)
        ->compare_exchange_strong(expected, reinterpret_cast<std::uint64_t>(part), std::memory_order_acq_rel);
  }
  std::uint64_t expected = reinterpret_cast<std::uint64_t>(&segment);
  if (entry(segment.prefix, segment.depth)->compare_exchange_strong(expected, k_split, std::memory_order_acq_rel)) {
    ACTABLE_PARK("table.retire");
    retire_segment(cache, &segment);
  }
}

}  // namespace actable::table
