#include "base/arenas.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/park.h"

#include <algorithm>
#include <cstdint>
#include <new>

#include <sys/mman.h>

namespace actable::base {
namespace {

constexpr std::size_t k_page_bytes = 4096;
constexpr std::size_t k_huge_page_bytes = std::size_t{2} << 20;
constexpr std::size_t k_arena_bytes_first = std::size_t{1} << 20;
constexpr std::size_t k_arena_bytes_max = std::size_t{64} << 20;
// Past a GiB an arena is a sixteenth of what there is already, so that `hold`
// has some tens to look at and not thousands.
constexpr std::size_t k_arena_part = 16;
// Populated ahead of carving: what writers fill in the 10 ms that the log's thread
// may sleep. Only huge pages are, so that small stores stay small.
constexpr std::size_t k_populate_ahead_bytes = 4 * k_huge_page_bytes;

}  // namespace

/// Its header lies in its own first page.
struct Arenas::Arena {
  Arena* next;
  std::byte* mapping;
  std::size_t mapping_bytes;
  std::byte* base;
  std::size_t bytes;
  std::atomic<std::size_t> used;
  /// What of it has not been given back.
  std::size_t kept;
  /// Where `populate_ahead` goes on; the end where there is nothing to do.
  std::size_t populate_at;
};

Arenas::~Arenas() {
  while (Arena* const arena = newest_.load(std::memory_order_acquire)) unmap(arena);
}

Arenas::Arena* Arenas::map_arena(std::size_t bytes_min) noexcept {
  const Arena* const present = newest_.load(std::memory_order_acquire);
  std::size_t bytes = k_arena_bytes_first;
  if (present != nullptr) {
    const std::size_t part = round_up(reserved_.load(std::memory_order_relaxed) / k_arena_part, k_huge_page_bytes);
    bytes = std::min(present->bytes * 4, std::max(k_arena_bytes_max, part));
  }
  bytes = round_up(std::max(bytes, bytes_min + k_page_bytes), k_page_bytes);
  const bool huge = bytes >= 8 * k_huge_page_bytes;
  const std::size_t mapped = huge ? bytes + k_huge_page_bytes : bytes;
  void* const at = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  auto* const mapping = static_cast<std::byte*>(at);
  std::byte* base = mapping;
  if (huge) {
    base += (k_huge_page_bytes - reinterpret_cast<std::uintptr_t>(mapping) % k_huge_page_bytes) % k_huge_page_bytes;
    (void)madvise(base, bytes, MADV_HUGEPAGE);
  }
  auto* const arena = new (base) Arena{nullptr, mapping, mapped, base, bytes, k_page_bytes, bytes, huge ? 0 : bytes};
  reserved_.fetch_add(bytes, std::memory_order_relaxed);
  usage_.reserved_bytes.fetch_add(bytes, std::memory_order_relaxed);
  return arena;
}

void Arenas::unmap(Arena* arena) noexcept {
  newest_.store(arena->next, std::memory_order_relaxed);
  reserved_.fetch_sub(arena->bytes, std::memory_order_relaxed);
  usage_.reserved_bytes.fetch_sub(arena->bytes, std::memory_order_relaxed);
  const std::size_t carved = arena->used.load(std::memory_order_relaxed) - k_page_bytes;
  usage_.carved_bytes.fetch_sub(carved, std::memory_order_relaxed);
  usage_.returned_bytes.fetch_add(carved, std::memory_order_relaxed);
  munmap(arena->mapping, arena->mapping_bytes);
}

bool Arenas::reserve(std::size_t bytes) noexcept {
  ACTABLE_ASSERT(newest_.load(std::memory_order_relaxed) == nullptr);
  Arena* const arena = map_arena(bytes);
  if (arena == nullptr) return false;
  arena->next = nullptr;
  // release: the arena's header; pairs with the acquires in `carve` and `hold`.
  newest_.store(arena, std::memory_order_release);
  return true;
}

void* Arenas::carve(std::size_t bytes) noexcept {
  while (true) {
    // acquire: pairs with the release below: the header.
    Arena* const arena = newest_.load(std::memory_order_acquire);
    if (arena != nullptr) {
      std::size_t offset = arena->used.load(std::memory_order_relaxed);
      while (offset + bytes <= arena->bytes) {
        // relaxed: hands out addresses only.
        if (!arena->used.compare_exchange_weak(offset, offset + bytes, std::memory_order_relaxed)) continue;
        usage_.carved_bytes.fetch_add(bytes, std::memory_order_relaxed);
        return arena->base + offset;
      }
    }
    Arena* const fresh = map_arena(bytes);
    if (fresh == nullptr) return nullptr;
    fresh->next = arena;
    Arena* expected = arena;
    ACTABLE_PARK("memory.new_arena");
    // release: the arena's header; pairs with the acquires here and in `hold`.
    if (!newest_.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      reserved_.fetch_sub(fresh->bytes, std::memory_order_relaxed);
      usage_.reserved_bytes.fetch_sub(fresh->bytes, std::memory_order_relaxed);
      munmap(fresh->mapping, fresh->mapping_bytes);
    }
  }
}

bool Arenas::populate_ahead() noexcept {
  // acquire: pairs with the release in `carve`: the header.
  Arena* const arena = newest_.load(std::memory_order_acquire);
  if (arena == nullptr) return false;
  // relaxed: a hint; what has been carved meanwhile is populated to no purpose.
  const std::size_t filled = round_up(arena->used.load(std::memory_order_relaxed), k_huge_page_bytes);
  std::size_t& at = arena->populate_at;
  // The next page is too near: both would clear one for it, and one be thrown away.
  if (at <= filled) at = filled + k_huge_page_bytes;
  if (at + k_huge_page_bytes > arena->bytes || at >= filled + k_populate_ahead_bytes) return false;
  // Leaves what is there as it is, so it may be in use. Older systems do not know it.
  const bool known = madvise(arena->base + at, k_huge_page_bytes, MADV_POPULATE_WRITE) == 0;
  at = known ? at + k_huge_page_bytes : arena->bytes;
  return known;
}

bool Arenas::hold(const void* block) const noexcept {
  const auto* const at = static_cast<const std::byte*>(block);
  // acquire: pairs with the release in `carve`. The block's arena was in the
  // list before the block was handed to anybody.
  for (const Arena* arena = newest_.load(std::memory_order_acquire); arena != nullptr; arena = arena->next) {
    if (at >= arena->base && at < arena->base + arena->bytes) return true;
  }
  return false;
}

bool Arenas::give_back(std::size_t bytes_max) noexcept {
  Arena* const arena = newest_.load(std::memory_order_relaxed);
  if (arena == nullptr) return false;
  // Piece by piece, from the end, for the header lies in the first page.
  // Unmapping all of it at once would keep every thread of the process that
  // touches a new page waiting for milliseconds; this keeps nobody waiting.
  const std::size_t piece = std::min(arena->kept, round_up(bytes_max, k_page_bytes));
  if (piece == arena->kept) {
    unmap(arena);
  } else {
    arena->kept -= piece;
    (void)madvise(arena->base + arena->kept, piece, MADV_DONTNEED);
  }
  return newest_.load(std::memory_order_relaxed) != nullptr;
}

}  // namespace actable::base
