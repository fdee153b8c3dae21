#include "table/hash_table.h"

#include "base/assert.h"
#include "base/park.h"

#include <algorithm>
#include <new>

#include <sys/mman.h>

namespace actable::table {
HashTable::HashTable(base::Epochs& epochs, base::RecordMemory& memory, std::uint64_t hash_seed) noexcept
    : epochs_(epochs), memory_(memory), hash_seed_(hash_seed) {}

HashTable::~HashTable() {
  for (unsigned depth = k_levels_built_in; depth <= k_depth_max; ++depth) {
    Entry* const level = levels_[depth].load(std::memory_order_acquire);
    if (level != nullptr) munmap(static_cast<void*>(level), sizeof(Entry) << depth);
  }
}

bool HashTable::prepare(Cache& cache) noexcept {
  // Levels begin at lines.
  static constexpr std::size_t k_line_entries = k_level_alignment / sizeof(Entry);
  const auto room = [](unsigned depth) { return std::max(std::size_t{1} << depth, k_line_entries); };
  std::size_t entries = 0;
  for (unsigned depth = 0; depth < k_levels_built_in; ++depth) entries += room(depth);
  levels_built_in_.reset(new (std::align_val_t{k_level_alignment}, std::nothrow) Entry[entries]());
  if (levels_built_in_ == nullptr) return false;
  Entry* level = levels_built_in_.get();
  for (unsigned depth = 0; depth < k_levels_built_in; ++depth) {
    levels_[depth].store(level, std::memory_order_release);
    level += room(depth);
  }
  // release: as in add_level.
  deepest_.store(level_word(levels_built_in_.get(), 0), std::memory_order_release);
  Segment* const root = make_segment(cache, 0, 0, Segment::k_chain_buckets);
  if (root == nullptr) return false;
  // release: the segment's contents; pairs with the acquire in segment_at.
  entry(0, 0)->store(reinterpret_cast<std::uint64_t>(root), std::memory_order_release);
  return true;
}

bool HashTable::add_level(unsigned depth) noexcept {
  if (levels_[depth].load(std::memory_order_acquire) == nullptr) {
    // Mapped memory reads as zeros, which are null entries, and costs only the
    // pages that are touched.
    const std::size_t bytes = sizeof(Entry) << depth;
    void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return false;
    Entry* expected = nullptr;
    // release: nothing to hand over but the address; acquire: another's level.
    if (!levels_[depth].compare_exchange_strong(expected, static_cast<Entry*>(at), std::memory_order_acq_rel)) {
      munmap(at, bytes);
    }
  }
  const std::uint64_t fresh = level_word(entry(0, depth), depth);
  std::uint64_t before = deepest_.load(std::memory_order_relaxed);
  // release: whoever sees the depth sees the level. Deeper levels have lower shifts.
  while ((before & k_level_shift) > (fresh & k_level_shift) &&
         !deepest_.compare_exchange_weak(before, fresh, std::memory_order_acq_rel)) {
  }
  return true;
}

HashTable::Start HashTable::entry_in_use(std::uint64_t hash) const noexcept {
  while (true) {
    unsigned at = depth();
    while (true) {
      const Start here = entry(prefix_of(hash, at), at);
      // acquire: pairs with the release that put the segment here.
      const std::uint64_t found = here->load(std::memory_order_acquire);
      if (found > k_split) return here;
      // Split since the depth was read, and so deeper now: look again.
      if (found == k_split) break;
      --at;  // The root is never null.
    }
  }
}

const Record* HashTable::find_slowly(Segment& segment, std::uint64_t hash, std::string_view key) noexcept {
  const std::uint64_t tag = slot::tag_of(hash);
  Bucket* bucket = &segment.home(hash);
  do {
    for (const auto& s : bucket->slots) {
      // acquire: pairs with the release in `publish`: the record is whole.
      const std::uint64_t word = s.load(std::memory_order_acquire);
      if (slot::empty(word)) return nullptr;
      if (slot::tag(word) != tag) continue;
      const Record* const record = slot::record(word);
      if (record->has_key(key)) return slot::tombstone(word) ? nullptr : record;
    }
    // acquire: pairs with the release in extend_chain.
    bucket = segment.next(bucket->control.load(std::memory_order_acquire));
  } while (bucket != nullptr);
  return nullptr;
}

void HashTable::prefetch_record(std::uint64_t hash) const noexcept {
  const std::uint64_t tag = slot::tag_of(hash);
  for (const auto& s : segment_for(hash)->home(hash).slots) {
    const std::uint64_t word = s.load(std::memory_order_relaxed);
    if (slot::tag(word) == tag) {
      const char* const at = reinterpret_cast<const char*>(slot::record(word));
      __builtin_prefetch(at);
      __builtin_prefetch(at + 64);
      return;
    }
  }
}

bool HashTable::locate_slowly(Cache& cache, std::uint64_t hash, std::string_view key, Position& position) noexcept {
  const std::uint64_t tag = slot::tag_of(hash);
  while (true) {
    Segment& segment = *segment_for(hash);
    Bucket* bucket = &segment.home(hash);
    bool frozen = false;
    while (true) {
      for (auto& s : bucket->slots) {
        // acquire: pairs with the release in `publish`.
        const std::uint64_t word = s.load(std::memory_order_acquire);
        if (slot::frozen(word)) {
          frozen = true;
          break;
        }
        if (slot::empty(word)) {
          position = {&s, word, nullptr};
          return true;
        }
        if (slot::tag(word) == tag && slot::record(word)->has_key(key)) {
          position = {&s, word, slot::record(word)};
          return true;
        }
      }
      if (frozen) break;
      // acquire: pairs with the release in extend_chain.
      if (bucket->control.load(std::memory_order_acquire) == 0 && !extend_chain(segment, *bucket)) break;
      const std::uint64_t control = bucket->control.load(std::memory_order_acquire);
      bucket = segment.next(control);
      if (bucket == nullptr) break;  // Frozen before it had a next.
    }
    if (!replace(cache, segment)) return false;
  }
}

bool HashTable::extend_chain(Segment& segment, Bucket& bucket) noexcept {
  // relaxed: hands out indices; the control word publishes the bucket. Whoever
  // gets none has the segment replaced, so it is asked for seldom.
  const std::uint32_t index = segment.chain_used.fetch_add(1, std::memory_order_relaxed);
  if (index >= segment.chain_capacity) return false;
  ACTABLE_PARK("table.chain");
  std::uint64_t expected = 0;
  // release: the bucket is zeroed since the segment was made. The loser's
  // bucket stays unused: a thirtieth of the chain buckets, seldom.
  bucket.control.compare_exchange_strong(expected, index + 1, std::memory_order_acq_rel, std::memory_order_acquire);
  return true;
}

Segment* HashTable::make_segment(Cache& cache, std::uint64_t prefix, unsigned depth,
                                 std::uint32_t chain_buckets) noexcept {
  void* const at = memory_.allocate(cache, Segment::bytes_for(chain_buckets));
  if (at == nullptr) return nullptr;
  std::memset(at, 0, Segment::bytes_for(chain_buckets));
  auto* const segment = new (at) Segment;
  segment->prefix = prefix;
  segment->depth = depth;
  segment->chain_capacity = chain_buckets;
  segments_.fetch_add(1, std::memory_order_relaxed);
  segment_bytes_.fetch_add(segment->bytes(), std::memory_order_relaxed);
  return segment;
}

void HashTable::release_segment(Cache& cache, Segment* segment) noexcept {
  segments_.fetch_sub(1, std::memory_order_relaxed);
  segment_bytes_.fetch_sub(segment->bytes(), std::memory_order_relaxed);
  memory_.release(cache, segment, segment->bytes());
}

void HashTable::retire_segment(Cache& cache, Segment* segment) noexcept {
  segments_.fetch_sub(1, std::memory_order_relaxed);
  segment_bytes_.fetch_sub(segment->bytes(), std::memory_order_relaxed);
  memory_.retire(cache, segment, segment->bytes());
}

TableStats HashTable::stats() const noexcept {
  const std::size_t directory_bytes = sizeof(Entry) << (depth() + 1);
  return {.segments = segments_.load(std::memory_order_relaxed),
          .segment_bytes = segment_bytes_.load(std::memory_order_relaxed),
          .bytes = segment_bytes_.load(std::memory_order_relaxed) + sizeof(HashTable) + directory_bytes,
          .splits = splits_.load(std::memory_order_relaxed),
          .rebuilds = rebuilds_.load(std::memory_order_relaxed),
          .merges = merges_.load(std::memory_order_relaxed),
          .tombstones_dropped = tombstones_dropped_.load(std::memory_order_relaxed)};
}

}  // namespace actable::table
