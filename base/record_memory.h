#pragma once

#include "base/assert.h"
#include "base/epoch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

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
/// The popper's read of M's link may race with M's new owner, so the link is
/// atomic; magazines are never unmapped before the whole.
///
/// Blocks come from arenas, carved by one atomic addition. Freed blocks stay
/// with the store; those of 32 KiB and more give their pages back to the system
/// when they change hands.
namespace actable::base {

inline constexpr std::size_t k_block_class_bytes_max = std::size_t{8} << 20;

/// Thread safety: *synchronized*, each `Cache` *confined* to its thread.
class RecordMemory {
 public:
  class Cache;

  explicit RecordMemory(Epochs& epochs) noexcept : epochs_(epochs) {}
  ~RecordMemory();
  RecordMemory(const RecordMemory&) = delete;
  RecordMemory& operator=(const RecordMemory&) = delete;

  /// Null when memory is exhausted. `index` is the calling thread's.
  [[nodiscard]] Cache* cache(unsigned index) noexcept { return caches_.get(index); }

  /// At least `bytes` (1 to `k_block_class_bytes_max`), aligned to 8; to 64
  /// from 1 KiB on. Null when memory is exhausted. The caller is pinned.
  [[nodiscard]] void* allocate(Cache& cache, std::size_t bytes) noexcept;

  /// Gives back a block that no other thread has seen. `bytes` as allocated.
  void release(Cache& cache, void* block, std::size_t bytes) noexcept;

  /// Gives back a block that has been unlinked: it is reused when no thread can
  /// still see it. The caller is pinned.
  void retire(Cache& cache, void* block, std::size_t bytes) noexcept;

  /// Bytes that an allocation of `bytes` takes.
  [[nodiscard]] static std::size_t class_bytes(std::size_t bytes) noexcept;

  /// What all threads have retired and cannot reuse yet, but for magazines that
  /// are not full: at most 64 KiB a class and thread.
  [[nodiscard]] std::size_t retired_bytes() const noexcept { return retired_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t reserved_bytes() const noexcept { return reserved_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t carved_bytes() const noexcept { return carved_.load(std::memory_order_relaxed); }

 private:
  struct Arena;

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

  [[nodiscard]] static unsigned class_of(std::size_t bytes) noexcept {
    ACTABLE_ASSERT(bytes >= 1);
    return bytes <= k_small_bytes_max ? static_cast<unsigned>((bytes + 7) / 8 - 1) : large_class_of(bytes);
  }
  [[nodiscard]] static unsigned large_class_of(std::size_t bytes) noexcept;
  static std::size_t bytes_of(unsigned size_class) noexcept;
  static unsigned magazine_capacity(unsigned size_class) noexcept;

  [[nodiscard]] void* allocate_slowly(Cache& cache, unsigned size_class) noexcept;
  void retire_slowly(Cache& cache, unsigned size_class, void* block) noexcept;
  bool refill(Cache& cache, unsigned size_class) noexcept;
  void* carve_block(Cache& cache, unsigned size_class) noexcept;
  void* carve(std::size_t bytes) noexcept;
  Arena* map_arena(std::size_t bytes_min) noexcept;
  Magazine* take_empty(Cache& cache) noexcept;
  void put_empty(Cache& cache, Magazine* magazine) noexcept;
  void to_limbo(Cache& cache, unsigned size_class) noexcept;
  void advance_epoch(Cache& cache, std::size_t retired_bytes) noexcept;
  Magazine* from_limbo(Cache& cache, unsigned size_class) noexcept;
  void share_surplus(Cache& cache, unsigned size_class) noexcept;

  static void push(std::atomic<Magazine*>& stack, Magazine* magazine) noexcept;
  static Magazine* pop(std::atomic<Magazine*>& stack) noexcept;

  Epochs& epochs_;
  PerThread<Cache> caches_;
  std::array<std::atomic<Magazine*>, k_classes> shared_full_{};
  std::atomic<Magazine*> shared_empty_{nullptr};
  std::atomic<Arena*> arena_{nullptr};
  std::atomic<std::size_t> reserved_{0};
  std::atomic<std::size_t> carved_{0};
  std::atomic<std::size_t> retired_{0};
};

/// Thread safety: *confined* to the thread whose index it was asked for with.
class RecordMemory::Cache {
 public:
  Cache();
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  /// True when the thread has filled a magazine since the last `budget_kept`:
  /// the time to look at `RecordMemory::retired_bytes`.
  [[nodiscard]] bool budget_due() const noexcept { return budget_due_; }
  void budget_kept() noexcept { budget_due_ = false; }

 private:
  friend class RecordMemory;
  std::array<ClassCache*, k_classes> classes_{};
  ClassCache* class_cache(unsigned size_class) noexcept;
  Magazine* empties_ = nullptr;
  unsigned empties_count_ = 0;
  bool budget_due_ = false;
  std::size_t retired_since_advance_ = 0;
  std::size_t retired_since_look_ = 0;
};

/// Starts fetching the first lines of a block that will be written to, and its last.
inline void RecordMemory::prefetch_for_writing(const void* block, std::size_t bytes) noexcept {
  constexpr std::size_t k_line_bytes = 64;
  const auto* const begin = static_cast<const std::byte*>(block);
  const std::size_t last = bytes - 1;
  // No loop: it would be foretold wrongly where sizes differ.
  __builtin_prefetch(begin, 1);
  __builtin_prefetch(begin + std::min(1 * k_line_bytes, last), 1);
  __builtin_prefetch(begin + std::min(2 * k_line_bytes, last), 1);
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
