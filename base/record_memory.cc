#include "base/record_memory.h"

#include "base/bytes.h"
#include "base/generation.h"
#include "base/park.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <new>

#include <sys/mman.h>

namespace actable::base {
namespace {

constexpr std::size_t k_page_bytes = 4096;
constexpr std::size_t k_chunk_bytes_max = 64 * 1024;
// Blocks this large give their pages back when they leave a thread.
constexpr std::size_t k_page_return_bytes = 32 * 1024;
// Full safe magazines that a thread keeps of a class before it shares them.
constexpr unsigned k_limbo_keep = 2;
constexpr unsigned k_empties_keep = 16;
// Magazines that one call takes out of limbo at most to find one with blocks, and
// shares: both are inside of a write. As one is filled for a call, limbo shrinks.
constexpr unsigned k_looked_through_max = 4;
constexpr unsigned k_shared_max = 4;
// A thread sees to a new epoch after retiring this much: about the second-level
// cache, so that reused blocks are still near.
constexpr std::size_t k_advance_bytes = std::size_t{1} << 20;
// ... and after this much however short ago the last epoch began, so that what
// is on its way round is bounded by bytes and not by the speed of the machine.
constexpr std::size_t k_advance_bytes_max = std::size_t{8} << 20;

/// Gives the pages that lie in the block as a whole back to the system.
void return_pages(void* block, std::size_t bytes) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(block);
  const std::uintptr_t first = round_up(begin, k_page_bytes);
  const std::uintptr_t last = (begin + bytes) / k_page_bytes * k_page_bytes;
  (void)madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace

RecordMemory::RecordMemory(Epochs& epochs) noexcept
    : epochs_(epochs), generation_(new (std::nothrow) Generation(usage_)) {}

RecordMemory::~RecordMemory() { delete generation_.load(std::memory_order_acquire); }

bool RecordMemory::populate_ahead() noexcept {
  const std::lock_guard lock(populate_mutex_);
  Generation* const generation = generation_.load(std::memory_order_acquire);
  return generation != nullptr && generation->arenas.populate_ahead();
}

RecordMemory::Cache::Cache(Generation& generation) noexcept
    // acquire: pairs with the release in step_compaction.
    : generation_(generation), leaving_(generation.leaving.load(std::memory_order_acquire)) {}

RecordMemory::Cache::~Cache() {
  for (ClassCache* c : classes_) delete c;
}

RecordMemory::ClassCache* RecordMemory::Cache::class_cache(unsigned size_class) noexcept {
  if (classes_[size_class] == nullptr) [[unlikely]]
    classes_[size_class] = new (std::nothrow) ClassCache(size_class);
  return classes_[size_class];
}

std::unique_ptr<RecordMemory::Cache> RecordMemory::make_cache() noexcept {
  // acquire: pairs with the release in begin_compaction.
  Generation* const generation = generation_.load(std::memory_order_acquire);
  if (generation == nullptr) return nullptr;
  return std::unique_ptr<Cache>(new (std::nothrow) Cache(*generation));
}

const RecordMemory::CacheSlot* RecordMemory::cache_slot(unsigned index) noexcept {
  CacheSlot* const slot = slots_.get(index);
  if (slot == nullptr) return nullptr;
  // relaxed: nobody else sets it from null.
  if (slot->cache_.load(std::memory_order_relaxed) == nullptr) [[unlikely]] {
    std::unique_ptr<Cache> made = make_cache();
    if (made == nullptr) return nullptr;
    // release: a whole cache, for the compactor.
    slot->cache_.store(made.release(), std::memory_order_release);
  }
  return slot;
}

unsigned RecordMemory::large_class_of(std::size_t bytes) noexcept {
  ACTABLE_ASSERT(bytes <= k_block_class_bytes_max);
  const std::size_t last = bytes - 1;
  const auto log = static_cast<unsigned>(std::bit_width(last)) - 1;
  const auto part = static_cast<unsigned>(last >> (log - 4)) % k_classes_a_doubling;
  return k_small_classes + (log - 9) * k_classes_a_doubling + part;
}

std::size_t RecordMemory::bytes_of(unsigned size_class) noexcept {
  if (size_class < k_small_classes) return (std::size_t{size_class} + 1) * 8;
  const unsigned above = size_class - k_small_classes;
  return (std::size_t{above % k_classes_a_doubling} + k_classes_a_doubling + 1) << (above / k_classes_a_doubling + 5);
}

std::size_t RecordMemory::class_bytes(std::size_t bytes) noexcept { return bytes_of(class_of(bytes)); }

unsigned RecordMemory::magazine_capacity(unsigned size_class) noexcept {
  // At most 64 KiB wait in a magazine that fills slowly.
  return static_cast<unsigned>(
      std::clamp<std::size_t>(k_chunk_bytes_max / bytes_of(size_class), 1, Magazine::k_capacity));
}

void RecordMemory::push(std::atomic<Magazine*>& stack, Magazine* magazine) noexcept {
  Magazine* head = stack.load(std::memory_order_relaxed);
  do {
    magazine->next.store(head, std::memory_order_relaxed);
    ACTABLE_PARK("memory.push");
    // release: the magazine's contents; pairs with the acquire in `pop`.
  } while (!stack.compare_exchange_weak(head, magazine, std::memory_order_release, std::memory_order_relaxed));
}

RecordMemory::Magazine* RecordMemory::pop(std::atomic<Magazine*>& stack) noexcept {
  // acquire: pairs with the release in `push`.
  Magazine* head = stack.load(std::memory_order_acquire);
  while (head != nullptr) {
    // May be stale when `head` was popped meanwhile: then the exchange fails.
    Magazine* const next = head->next.load(std::memory_order_relaxed);
    ACTABLE_PARK("memory.pop");
    if (stack.compare_exchange_weak(head, next, std::memory_order_acquire, std::memory_order_acquire)) return head;
  }
  return nullptr;
}

void* RecordMemory::carve_block(Cache& cache, unsigned size_class) noexcept {
  ClassCache& own = *cache.classes_[size_class];
  const std::size_t bytes = bytes_of(size_class);
  if (static_cast<std::size_t>(own.chunk_end - own.chunk) < bytes) {
    std::size_t chunk_bytes = round_up(std::max(own.chunk_bytes, bytes), k_page_bytes);
    // A class above a page that is no multiple of it: few blocks to a chunk
    // would waste much of the last page.
    if (bytes > k_page_bytes / 2 && bytes < k_chunk_bytes_max) chunk_bytes = round_up(bytes * 4, k_page_bytes);
    auto* const chunk = static_cast<std::byte*>(cache.generation_.arenas.carve(chunk_bytes));
    if (chunk == nullptr) return nullptr;
    own.chunk = chunk;
    own.chunk_end = chunk + chunk_bytes;
    own.chunk_bytes = std::min(own.chunk_bytes * 2, k_chunk_bytes_max);
  }
  void* const block = own.chunk;
  own.chunk += bytes;
  return block;
}

RecordMemory::Magazine* RecordMemory::take_empty(Cache& cache) noexcept {
  if (cache.empties_ == nullptr) {
    if (Magazine* shared = pop(cache.generation_.shared_empty); shared != nullptr) return shared;
  }
  return take_own_empty(cache);
}

/// One that is on no stack, and that nobody has popped since the caller pinned.
RecordMemory::Magazine* RecordMemory::take_own_empty(Cache& cache) noexcept {
  if (cache.empties_ == nullptr) {
    auto* const page = static_cast<std::byte*>(cache.generation_.arenas.carve(k_page_bytes));
    if (page == nullptr) return nullptr;
    static_assert(sizeof(Magazine) <= 512);
    for (std::size_t at = 0; at + sizeof(Magazine) <= k_page_bytes; at += 512) {
      auto* const magazine = new (page + at) Magazine;
      magazine->next.store(cache.empties_, std::memory_order_relaxed);
      cache.empties_ = magazine;
      ++cache.empties_count_;
    }
  }
  Magazine* const magazine = cache.empties_;
  cache.empties_ = magazine->next.load(std::memory_order_relaxed);
  --cache.empties_count_;
  return magazine;
}

void RecordMemory::put_empty(Cache& cache, Magazine* magazine) noexcept {
  if (cache.empties_count_ >= k_empties_keep) {
    push(cache.generation_.shared_empty, magazine);
    return;
  }
  magazine->next.store(cache.empties_, std::memory_order_relaxed);
  cache.empties_ = magazine;
  ++cache.empties_count_;
}

/// Null when none is safe, or none of the first few has blocks that stay.
RecordMemory::Magazine* RecordMemory::from_limbo(Cache& cache, unsigned size_class) noexcept {
  ClassCache& own = *cache.classes_[size_class];
  for (unsigned looked_through = 0; looked_through < k_looked_through_max; ++looked_through) {
    Magazine* const first = own.limbo_first;
    if (first == nullptr || first->stamp >= epochs_.safe()) return nullptr;
    own.limbo_first = first->next.load(std::memory_order_relaxed);
    if (own.limbo_first == nullptr) own.limbo_last = nullptr;
    --own.limbo_count;
    retired_.fetch_sub(first->count * bytes_of(size_class), std::memory_order_relaxed);
    drop_leaving(cache, *first);
    if (first->count != 0) return first;
    put_empty(cache, first);
  }
  return nullptr;
}

/// Forgets blocks of the generation that leaves.
void RecordMemory::drop_leaving(const Cache& cache, Magazine& magazine) noexcept {
  if (cache.leaving_ == nullptr) return;
  unsigned kept = 0;
  for (unsigned i = 0; i < magazine.count; ++i) {
    if (!cache.leaving_->arenas.hold(magazine.blocks[i])) magazine.blocks[kept++] = magazine.blocks[i];
  }
  magazine.count = kept;
}

bool RecordMemory::leaves(const Cache& cache, const void* block) noexcept {
  return cache.leaving_ != nullptr && cache.leaving_->arenas.hold(block);
}

/// Puts a magazine of blocks that nobody can see on the shared stack.
void RecordMemory::share(Cache& cache, unsigned size_class, Magazine* magazine) noexcept {
  const std::size_t bytes = bytes_of(size_class);
  if (bytes >= k_page_return_bytes) {
    for (unsigned i = 0; i < magazine->count; ++i) return_pages(magazine->blocks[i], bytes);
  }
  push(cache.generation_.shared_full[size_class], magazine);
}

void RecordMemory::share_surplus(Cache& cache, unsigned size_class) noexcept {
  const ClassCache& own = *cache.classes_[size_class];
  for (unsigned shared = 0; shared < k_shared_max && own.limbo_count > k_limbo_keep; ++shared) {
    Magazine* const magazine = from_limbo(cache, size_class);
    if (magazine == nullptr) return;
    share(cache, size_class, magazine);
  }
}

bool RecordMemory::refill(Cache& cache, unsigned size_class) noexcept {
  ClassCache& own = *cache.classes_[size_class];
  Magazine* full = from_limbo(cache, size_class);
  if (full == nullptr) full = pop(cache.generation_.shared_full[size_class]);
  if (full == nullptr) return false;
  if (own.allocating != nullptr) put_empty(cache, own.allocating);
  own.allocating = full;
  return true;
}

void* RecordMemory::allocate_slowly(Cache& cache, unsigned size_class) noexcept {
  ClassCache* const own = cache.class_cache(size_class);
  if (own == nullptr) return nullptr;
  if (own->allocating == nullptr || own->allocating->count == 0) {
    if (!refill(cache, size_class)) return carve_block(cache, size_class);
  }
  return own->allocating->blocks[--own->allocating->count];
}

void RecordMemory::release(Cache& cache, void* block, std::size_t bytes) noexcept {
  // The thread's cache was exchanged since it allocated the block.
  if (leaves(cache, block)) return;
  const unsigned size_class = class_of(bytes);
  ClassCache* const own = cache.classes_[size_class];
  if (own != nullptr) {
    // A block at the end of the carved part goes back by moving that end.
    if (static_cast<std::byte*>(block) + bytes_of(size_class) == own->chunk) {
      own->chunk = static_cast<std::byte*>(block);
      return;
    }
    if (own->allocating != nullptr && own->allocating->count < own->capacity) {
      own->allocating->blocks[own->allocating->count++] = block;
      return;
    }
  }
  retire(cache, block, bytes);
}

void RecordMemory::retire_slowly(Cache& cache, unsigned size_class, void* block) noexcept {
  ClassCache* const own = cache.class_cache(size_class);
  if (own == nullptr) return;  // Out of memory: the block stays unused until the store closes.
  if (own->retiring == nullptr) {
    own->retiring = take_empty(cache);
    if (own->retiring == nullptr) return;
    own->retiring->count = 0;
  }
  own->retiring->blocks[own->retiring->count++] = block;
  if (own->retiring->count == own->capacity) to_limbo(cache, size_class);
}

void RecordMemory::advance_epoch(Cache& cache, std::size_t retired_bytes) noexcept {
  cache.retired_since_advance_ += retired_bytes;
  cache.retired_since_look_ += retired_bytes;
  if (cache.retired_since_look_ < k_advance_bytes) return;
  cache.retired_since_look_ = 0;
  if (cache.retired_since_advance_ >= k_advance_bytes_max) {
    epochs_.advance();
  } else if (!epochs_.advance_seldom()) {
    return;
  }
  cache.retired_since_advance_ = 0;
}

void RecordMemory::to_limbo(Cache& cache, unsigned size_class) noexcept {
  ClassCache& own = *cache.classes_[size_class];
  Magazine* const magazine = own.retiring;
  own.retiring = nullptr;
  light_fence();  // The unlinkings come before the stamp: see base/epoch.h.
  magazine->stamp = epochs_.now();
  magazine->next.store(nullptr, std::memory_order_relaxed);
  if (own.limbo_last == nullptr) {
    own.limbo_first = magazine;
  } else {
    own.limbo_last->next.store(magazine, std::memory_order_relaxed);
  }
  own.limbo_last = magazine;
  ++own.limbo_count;

  const std::size_t bytes = magazine->count * bytes_of(size_class);
  retired_.fetch_add(bytes, std::memory_order_relaxed);
  cache.budget_due_ = true;
  advance_epoch(cache, bytes);
  share_surplus(cache, size_class);
}

}  // namespace actable::base
