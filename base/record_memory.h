#pragma once

#include "base/arenas.h"
#include "base/assert.h"
#include "base/epoch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

/// Memory for records and table segments, given back through epochs.
///
/// Blocks come in size classes: every multiple of 8 bytes up to 512, then 16
/// classes for each doubling, 8 MiB at most. A thread keeps, for each class, a
/// *magazine* (an array of free blocks' addresses) to take from, one to retire
/// into, and a queue of full retired magazines: its *limbo*. A magazine is
/// stamped with the epoch when it fills; once that is safe it is a magazine of
/// free blocks as it stands. No block is touched on the way, and no lock or
/// shared line either.
///
/// Surplus (a thread that only erases) goes through a shared stack for each
/// class, from which threads that run short take.
///
/// *States of a magazine:* empty (own or shared stack of empties) → retiring →
/// limbo → allocating, directly or by way of the shared stack → empty.
///
/// *The shared stacks* are singly linked lists with compare-and-swap on the
/// head. The ABA problem cannot arise: whoever pops is pinned since before it
/// read the head M. For M to come back as the head, someone else must have
/// popped it, and a magazine is only ever pushed again after it was retired
/// into and its stamp became safe (full stack), or after that and being emptied
/// (stack of empties). That stamp is not safe while the popper stays pinned.
/// (Where a compaction puts caches away there is no such stamp, but it waits for
/// all pins from before: `hand_over` in base/compaction.cc. It never pops.)
/// The popper's read of M's link may race with M's new owner, so the link is
/// atomic; magazines are never unmapped before the whole.
///
/// Blocks come from arenas (base/arenas.h), and a freed block stays with the
/// store; those of 32 KiB and more give their pages back to the system when they
/// change hands. Memory goes back for good by *compaction*:
///
/// *Generations.* Arenas and shared stacks are of a generation, and so is a
/// thread's cache with its magazines, which are carved from the same arenas. The
/// compactor makes a new generation and puts an empty cache of it in the place of
/// each thread's, by an exchange of the pointer. A thread looks for its cache
/// when it has pinned, so an old cache is like a record that was unlinked: once
/// the exchange's stamp is safe, nobody uses it. No thread takes part in that,
/// so it makes no difference whether it sleeps, and no operation has an
/// instruction for it. From then on
///   - all blocks are allocated from the new generation, and
///   - nobody can reach a free block of the old one, nor its stacks.
/// What is still in use of it is moved by those whose it is: `leaves` tells.
///
///   none --begin_compaction--> entering: old caches are being exchanged
///     --their stamp is safe--> moving: for the owners of blocks
///     --moved_all-----------> settling: old blocks are unlinked, not all retired
///     --that stamp is safe--> parting: caches are exchanged a second time
///     --what is in them is safe--> returning: piece by piece
///     --nothing is left-----> none
///
/// Only the compactor changes the state, at `begin_compaction`,
/// `step_compaction` and `moved_all`.
///
/// *Old blocks in new magazines.* While blocks are being moved, others are
/// replaced by writers and retired into caches of the new generation. Such caches
/// know the generation that leaves: a magazine that comes out of limbo is rid of
/// its blocks, before anybody can allocate from it. When every old block has been
/// unlinked and every pin from before that has ended, nobody retires one any more.
/// The caches, in which there may be some in limbo, are then exchanged a second
/// time, for such as know nothing of it. They are the compactor's alone once that
/// stamp is safe, and what was retired into them is when one more is that was
/// taken then: now he puts their blocks on the shared stacks, without the old
/// ones. Now no address in the old arenas is anywhere, and they are unmapped:
/// not before, or the same addresses could be mapped again and a stale one among
/// them be taken for a free block.
///
/// *Nothing of the old generation is used after it has gone.* Let an operation
/// hold a block of it, or a magazine or a stack. It is pinned. A block it found
/// linked before it was moved: `settling` waited for it. A cache it found in its
/// thread's slot before an exchange: `entering` waited for it. A block it
/// allocated from such a cache: it published it or gave it back under the same
/// pin, so before `moving`, and the owners have moved it since.
namespace actable::base {

inline constexpr std::size_t k_block_class_bytes_max = std::size_t{8} << 20;

/// Thread safety: *synchronized*, each `Cache` *confined* to its thread.
class RecordMemory {
 public:
  class Cache;
  class CacheSlot;

  /// When memory is exhausted here already, no cache can be had.
  explicit RecordMemory(Epochs& epochs) noexcept;
  ~RecordMemory();
  RecordMemory(const RecordMemory&) = delete;
  RecordMemory& operator=(const RecordMemory&) = delete;

  /// Where the calling thread, whose index it is, finds its cache; the same as
  /// long as the memory lives. Null when memory is exhausted. The caller is pinned.
  [[nodiscard]] const CacheSlot* cache_slot(unsigned index) noexcept;

  /// The calling thread's cache, good for as long as the caller stays pinned.
  /// Null when memory is exhausted.
  [[nodiscard]] Cache* cache(unsigned index) noexcept;

  /// At least `bytes` (1 to `k_block_class_bytes_max`), aligned to 8; to 64
  /// from 1 KiB on. Null when memory is exhausted. The caller is pinned.
  [[nodiscard]] void* allocate(Cache& cache, std::size_t bytes) noexcept;

  /// Gives back a block that no other thread has seen, under the pin that it was
  /// allocated under. `bytes` as allocated.
  void release(Cache& cache, void* block, std::size_t bytes) noexcept;

  /// Gives back a block that has been unlinked: it is reused when no thread can
  /// still see it. The caller is pinned.
  void retire(Cache& cache, void* block, std::size_t bytes) noexcept;

  /// Bytes that an allocation of `bytes` takes.
  [[nodiscard]] static std::size_t class_bytes(std::size_t bytes) noexcept;

  /// What all threads have retired and cannot reuse yet, but for magazines that
  /// are not full: at most 64 KiB a class and thread.
  [[nodiscard]] std::size_t retired_bytes() const noexcept { return retired_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t reserved_bytes() const noexcept {
    return usage_.reserved_bytes.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t carved_bytes() const noexcept {
    return usage_.carved_bytes.load(std::memory_order_relaxed);
  }
  /// Of those that were carved, what has gone back to the system since the beginning.
  [[nodiscard]] std::size_t returned_bytes() const noexcept {
    return usage_.returned_bytes.load(std::memory_order_relaxed);
  }

  /// As Arenas::populate_ahead, for any thread; but one at a time does it. It need
  /// not be pinned.
  [[nodiscard]] bool populate_ahead() noexcept;

  // Compaction. Its functions are for one thread at a time, the compactor, who
  // is pinned; it may be another at each call.

  enum class Compaction : std::uint8_t { none, entering, moving, settling, parting, returning };

  [[nodiscard]] Compaction compaction() const noexcept { return compaction_.load(std::memory_order_relaxed); }

  /// With `none` only. Makes sure of room for `live_bytes`, what has to be moved,
  /// and some more: from now on no free block of today can be used, and what lives
  /// must have somewhere to go. False when memory is exhausted: nothing has changed.
  [[nodiscard]] bool begin_compaction(std::size_t live_bytes) noexcept;

  enum class Step : std::uint8_t {
    /// Call again.
    done,
    /// Somebody is pinned or populates who has to end first; or it is at `none` or `moving`,
    /// and not the compactor's turn.
    waits,
    /// Memory is exhausted: call again later.
    no_memory,
  };
  /// Goes on towards the next state. Takes a fraction of a millisecond.
  [[nodiscard]] Step step_compaction() noexcept;

  /// With `moving` only: every block that leaves has been unlinked, by the caller
  /// or by threads that he has synchronized with.
  void moved_all() noexcept;

  /// While blocks are moved: whether this one has to be.
  [[nodiscard]] static bool leaves(const Cache& cache, const void* block) noexcept;

  /// Whether there may be such blocks.
  [[nodiscard]] static bool moves(const Cache& cache) noexcept;

 private:
  struct Generation;

  struct Magazine {
    static constexpr unsigned k_capacity = 61;
    std::atomic<Magazine*> next{nullptr};
    Epoch stamp = 0;
    unsigned count = 0;
    std::array<void*, k_capacity> blocks;
  };

  /// What a thread has of one class.
  struct ClassCache {
    explicit ClassCache(unsigned size_class) noexcept : capacity(magazine_capacity(size_class)) {}

    const unsigned capacity;
    Magazine* allocating = nullptr;
    Magazine* retiring = nullptr;
    Magazine* limbo_first = nullptr;
    Magazine* limbo_last = nullptr;
    unsigned limbo_count = 0;
    std::byte* chunk = nullptr;
    std::byte* chunk_end = nullptr;
    std::size_t chunk_bytes = 4096;
  };

  static void prefetch_for_writing(const void* block, std::size_t bytes) noexcept;

  // 64 classes of 8 to 512 bytes, then 16 for each doubling up to 8 MiB.
  static constexpr unsigned k_small_classes = 64;
  static constexpr unsigned k_classes_a_doubling = 16;
  static constexpr unsigned k_classes = k_small_classes + 14 * k_classes_a_doubling;
  static constexpr std::size_t k_small_bytes_max = 512;

  [[nodiscard, gnu::always_inline]] static unsigned class_of(std::size_t bytes) noexcept {
    ACTABLE_ASSERT(bytes >= 1);
    return bytes <= k_small_bytes_max ? static_cast<unsigned>((bytes + 7) / 8 - 1) : large_class_of(bytes);
  }
  [[nodiscard]] static unsigned large_class_of(std::size_t bytes) noexcept;
  static std::size_t bytes_of(unsigned size_class) noexcept;
  static unsigned magazine_capacity(unsigned size_class) noexcept;

  [[nodiscard]] void* allocate_slowly(Cache& cache, unsigned size_class) noexcept;
  void retire_slowly(Cache& cache, unsigned size_class, void* block) noexcept;
  bool refill(Cache& cache, unsigned size_class) noexcept;
  static void* carve_block(Cache& cache, unsigned size_class) noexcept;
  static Magazine* take_empty(Cache& cache) noexcept;
  static Magazine* take_own_empty(Cache& cache) noexcept;
  static void put_empty(Cache& cache, Magazine* magazine) noexcept;
  void to_limbo(Cache& cache, unsigned size_class) noexcept;
  void advance_epoch(Cache& cache, std::size_t retired_bytes) noexcept;
  Magazine* from_limbo(Cache& cache, unsigned size_class) noexcept;
  void share_surplus(Cache& cache, unsigned size_class) noexcept;
  static void share(Cache& cache, unsigned size_class, Magazine* magazine) noexcept;
  static void drop_leaving(const Cache& cache, Magazine& magazine) noexcept;

  // base/compaction.cc
  void enter(Compaction state) noexcept { compaction_.store(state, std::memory_order_relaxed); }
  [[nodiscard]] std::unique_ptr<Cache> make_cache() noexcept;
  void unlinked() noexcept;
  [[nodiscard]] bool nobody_holds_unlinked() noexcept;
  [[nodiscard]] Step step_exchange() noexcept;
  [[nodiscard]] bool exchange_caches() noexcept;
  void put_away_some() noexcept;
  [[nodiscard]] Magazine* pop_limbo(Cache& cache, unsigned size_class) noexcept;
  static void hand_over(Cache& cache, unsigned size_class, Magazine* magazine) noexcept;
  [[nodiscard]] static bool share_rest(Cache& cache, unsigned size_class, unsigned& steps) noexcept;

  static void push(std::atomic<Magazine*>& stack, Magazine* magazine) noexcept;
  static Magazine* pop(std::atomic<Magazine*>& stack) noexcept;

  Epochs& epochs_;
  ArenaUsage usage_;
  std::atomic<std::size_t> retired_{0};
  PerThread<CacheSlot> slots_;
  // Of new caches. Null where memory was exhausted at the beginning.
  std::atomic<Generation*> generation_{nullptr};
  // Held while its arenas are populated, which needs no pin: before arenas are given
  // back, the compactor sees that nobody has been holding it since they were its.
  std::mutex populate_mutex_;

  // The compactor's.
  enum class Exchange : std::uint8_t { due, made, over };
  // relaxed: the others look at it for statistics only.
  std::atomic<Compaction> compaction_{Compaction::none};
  Exchange exchange_ = Exchange::due;
  std::unique_ptr<Generation> leaving_;
  Epoch stamp_ = 0;
  // Caches that were exchanged, by their `next_exchanged_`.
  std::unique_ptr<Cache> exchanged_;
};

/// Thread safety: *confined* to the thread whose index it was asked for with, as
/// long as it is pinned; to the compactor once it was exchanged and that is safe.
class RecordMemory::Cache {
 public:
  explicit Cache(Generation& generation) noexcept;
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// True when the thread has filled a magazine since the last `budget_kept`:
  /// the time to look at `RecordMemory::retired_bytes`.
  [[nodiscard]] bool budget_due() const noexcept { return budget_due_; }
  void budget_kept() noexcept { budget_due_ = false; }

 private:
  friend class RecordMemory;
  ClassCache* class_cache(unsigned size_class) noexcept;

  std::array<ClassCache*, k_classes> classes_{};
  Generation& generation_;
  // Of which blocks may be retired into this cache, and must not come out; or null.
  const Generation* const leaving_;
  Magazine* empties_ = nullptr;
  unsigned empties_count_ = 0;
  bool budget_due_ = false;
  std::size_t retired_since_advance_ = 0;
  std::size_t retired_since_look_ = 0;
  std::unique_ptr<Cache> next_exchanged_;
};

/// A thread's present cache. Set from null by its thread, and exchanged from
/// then on by the compactor.
///
/// Thread safety: *synchronized*; `cache` is for its thread.
class RecordMemory::CacheSlot {
 public:
  CacheSlot() = default;
  ~CacheSlot() { delete cache_.load(std::memory_order_acquire); }
  CacheSlot(const CacheSlot&) = delete;
  CacheSlot& operator=(const CacheSlot&) = delete;

  /// Good for as long as the caller stays pinned.
  [[nodiscard, gnu::always_inline]] Cache& cache() const noexcept {
    // acquire: pairs with the release of the exchange: a whole cache.
    return *cache_.load(std::memory_order_acquire);
  }

 private:
  friend class RecordMemory;
  std::atomic<Cache*> cache_{nullptr};
};

inline RecordMemory::Cache* RecordMemory::cache(unsigned index) noexcept {
  const CacheSlot* const slot = cache_slot(index);
  return slot == nullptr ? nullptr : &slot->cache();
}

inline bool RecordMemory::moves(const Cache& cache) noexcept { return cache.leaving_ != nullptr; }

/// Starts fetching the first lines of a block that will be written to, and its last.
inline void RecordMemory::prefetch_for_writing(const void* block, std::size_t bytes) noexcept {
  constexpr std::size_t k_line_bytes = 64;
  const auto* const begin = static_cast<const std::byte*>(block);
  const std::size_t last = bytes - 1;
  // No loop: it would be foretold wrongly where sizes differ.
  __builtin_prefetch(begin, 1);
  __builtin_prefetch(begin + std::min(k_line_bytes, last), 1);
  __builtin_prefetch(begin + last, 1);
}

inline void* RecordMemory::allocate(Cache& cache, std::size_t bytes) noexcept {
  const unsigned size_class = class_of(bytes);
  const ClassCache* const own = cache.classes_[size_class];
  if (own == nullptr || own->allocating == nullptr || own->allocating->count == 0) [[unlikely]]
    return allocate_slowly(cache, size_class);
  Magazine& magazine = *own->allocating;
  void* const block = magazine.blocks[--magazine.count];
  // The next one too was written by somebody long ago: by the time it is
  // wanted, it is here.
  if (magazine.count != 0) prefetch_for_writing(magazine.blocks[magazine.count - 1], bytes);
  return block;
}

[[gnu::always_inline]] inline void RecordMemory::retire(Cache& cache, void* block, std::size_t bytes) noexcept {
  const unsigned size_class = class_of(bytes);
  const ClassCache* const own = cache.classes_[size_class];
  if (own == nullptr || own->retiring == nullptr || own->retiring->count + 1 >= own->capacity) [[unlikely]]
    return retire_slowly(cache, size_class, block);
  own->retiring->blocks[own->retiring->count++] = block;
}

}  // namespace actable::base
