#include "base/generation.h"
#include "base/park.h"
#include "base/record_memory.h"

#include <new>
#include <utility>

/// Memory goes back to the system; the states and why they are safe are in
/// base/record_memory.h.
namespace actable::base {
namespace {

// Of a cache that is put away, at a time: of 61 records each, some 0.3 ms.
constexpr unsigned k_put_away_magazines = 64;

// Some tenths of a millisecond where pages are small.
constexpr std::size_t k_give_back_bytes = std::size_t{4} << 20;

// Room beside what lives, when a compaction begins: for chunks that threads have
// not used up, and for what is written while an old version cannot be reused yet.
constexpr std::size_t k_room_part = 8;
constexpr std::size_t k_room_bytes = std::size_t{8} << 20;

}  // namespace

/// Something was unlinked that pinned threads may still use.
void RecordMemory::unlinked() noexcept {
  light_fence();  // The unlinking comes before the stamp: see base/epoch.h.
  stamp_ = epochs_.now();
  // So that the caller's next pin is of a later epoch.
  epochs_.advance();
}

bool RecordMemory::nobody_holds_unlinked() noexcept {
  epochs_.advance();
  return epochs_.safe() > stamp_;
}

bool RecordMemory::begin_compaction(std::size_t live_bytes) noexcept {
  ACTABLE_ASSERT(compaction() == Compaction::none);
  Generation* const old = generation_.load(std::memory_order_relaxed);
  auto* const fresh = new (std::nothrow) Generation(usage_);
  const std::size_t room = live_bytes + live_bytes / k_room_part + k_room_bytes;
  if (old == nullptr || fresh == nullptr || !fresh->arenas.reserve(room)) {
    delete fresh;
    return false;
  }
  fresh->leaving.store(old, std::memory_order_relaxed);
  ACTABLE_PARK("memory.generation");
  // release: a whole generation; pairs with the acquire in make_cache.
  generation_.exchange(fresh, std::memory_order_acq_rel);
  leaving_.reset(old);
  enter(Compaction::entering);
  exchange_ = Exchange::due;
  unlinked();
  return true;
}

RecordMemory::Step RecordMemory::step_compaction() noexcept {
  switch (compaction()) {
    case Compaction::none:
    case Compaction::moving:
      return Step::waits;
    case Compaction::entering:
    case Compaction::parting:
      return step_exchange();
    case Compaction::settling:
      if (!nobody_holds_unlinked()) return Step::waits;
      // A locked instruction, as every unlinking (base/epoch.h).
      generation_.load(std::memory_order_relaxed)->leaving.exchange(nullptr, std::memory_order_acq_rel);
      enter(Compaction::parting);
      exchange_ = Exchange::due;
      unlinked();
      return Step::done;
    case Compaction::returning:
      // Who found these arenas to populate is still at it; whoever begins now finds
      // the others, for their generation was exchanged before this.
      if (const std::unique_lock lock(populate_mutex_, std::try_to_lock); !lock) return Step::waits;
      if (leaving_->arenas.give_back(k_give_back_bytes)) return Step::done;
      leaving_.reset();
      enter(Compaction::none);
      return Step::done;
  }
  return Step::waits;
}

RecordMemory::Step RecordMemory::step_exchange() noexcept {
  if (!nobody_holds_unlinked()) return Step::waits;
  switch (exchange_) {
    case Exchange::due:
      // Whoever makes a cache from now on makes one of the present kind.
      return exchange_caches() ? Step::done : Step::no_memory;
    case Exchange::made:
      // The caches are the compactor's. But what was retired into them may be seen
      // by somebody who pinned later than the exchange.
      exchange_ = Exchange::over;
      unlinked();
      return Step::done;
    case Exchange::over:
      break;
  }
  if (exchanged_ != nullptr) {
    put_away_some();
  } else {
    enter(compaction() == Compaction::entering ? Compaction::moving : Compaction::returning);
  }
  return Step::done;
}

void RecordMemory::moved_all() noexcept {
  ACTABLE_ASSERT(compaction() == Compaction::moving);
  enter(Compaction::settling);
  unlinked();
}

/// Puts an empty cache in the place of each that is not of the present kind.
bool RecordMemory::exchange_caches() noexcept {
  const Generation& present = *generation_.load(std::memory_order_relaxed);
  const Generation* const leaving = present.leaving.load(std::memory_order_relaxed);
  bool made_all = true;
  slots_.for_each([&](CacheSlot& slot) {
    // acquire: pairs with the release in cache_slot.
    Cache* const old = slot.cache_.load(std::memory_order_acquire);
    if (old == nullptr || (&old->generation_ == &present && old->leaving_ == leaving)) return;
    std::unique_ptr<Cache> fresh = make_cache();
    if (fresh == nullptr) {
      made_all = false;
      return;
    }
    ACTABLE_PARK("memory.exchange");
    // release: a whole cache; pairs with the acquire in CacheSlot::cache.
    slot.cache_.exchange(fresh.release(), std::memory_order_acq_rel);
    // The one member that its thread does not use.
    old->next_exchanged_ = std::move(exchanged_);
    exchanged_.reset(old);
  });
  if (made_all) exchange_ = Exchange::made;
  unlinked();
  return made_all;
}

/// Of a cache of the generation that leaves nothing is kept; of one that may
/// hold blocks of that, what is not of it. A part at a time: a thread that replaces
/// much has thousands of magazines.
void RecordMemory::put_away_some() noexcept {
  Cache& cache = *exchanged_;
  const bool kept = compaction() == Compaction::parting;
  unsigned steps = k_put_away_magazines;
  for (unsigned size_class = 0; size_class < k_classes; ++size_class) {
    if (cache.classes_[size_class] == nullptr) continue;
    while (Magazine* const first = pop_limbo(cache, size_class)) {
      if (kept) hand_over(cache, size_class, first);
      if (--steps == 0) return;
    }
    if (kept && (!share_rest(cache, size_class, steps) || steps == 0)) return;
  }
  for (; kept && cache.empties_ != nullptr; --steps) {
    if (steps == 0) return;
    push(cache.generation_.shared_empty, take_own_empty(cache));
  }
  exchanged_ = std::move(cache.next_exchanged_);
}

/// The first magazine of limbo, whatever its stamp; null when there is none.
RecordMemory::Magazine* RecordMemory::pop_limbo(Cache& cache, unsigned size_class) noexcept {
  ClassCache& own = *cache.classes_[size_class];
  Magazine* const first = own.limbo_first;
  if (first == nullptr) return nullptr;
  own.limbo_first = first->next.load(std::memory_order_relaxed);
  retired_.fetch_sub(first->count * bytes_of(size_class), std::memory_order_relaxed);
  return first;
}

/// What is pushed here was popped, if it ever was on a stack, by the cache's
/// thread, the last time while it still used the cache. Every pin from then has
/// ended, those too that began after the exchange: the stamp of `over` was taken
/// when nobody used the cache any more. So the ABA problem does not arise. It
/// would for a magazine that was popped here, and pushed without a stamp.
void RecordMemory::hand_over(Cache& cache, unsigned size_class, Magazine* magazine) noexcept {
  drop_leaving(cache, *magazine);
  if (magazine->count == 0) {
    push(cache.generation_.shared_empty, magazine);
  } else {
    share(cache, size_class, magazine);
  }
}

/// Of what is not in limbo; false when the steps ran out before the end. As `hand_over`.
bool RecordMemory::share_rest(Cache& cache, unsigned size_class, unsigned& steps) noexcept {
  ClassCache& own = *cache.classes_[size_class];
  const std::size_t bytes = bytes_of(size_class);
  for (Magazine** const magazine : {&own.allocating, &own.retiring}) {
    if (*magazine != nullptr) hand_over(cache, size_class, std::exchange(*magazine, nullptr));
  }
  // What was carved and not handed out yet.
  for (; static_cast<std::size_t>(own.chunk_end - own.chunk) >= bytes; --steps) {
    if (steps == 0) return false;
    Magazine* const magazine = take_own_empty(cache);
    if (magazine == nullptr) return true;
    magazine->count = 0;
    while (magazine->count < own.capacity && static_cast<std::size_t>(own.chunk_end - own.chunk) >= bytes) {
      magazine->blocks[magazine->count++] = std::exchange(own.chunk, own.chunk + bytes);
    }
    push(cache.generation_.shared_full[size_class], magazine);
  }
  return true;
}

}  // namespace actable::base
