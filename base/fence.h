#pragma once

#include <atomic>

/// Asymmetric fences: the frequent side pays a compiler barrier, the rare side
/// a system call that runs a full fence on every core where this process runs
/// (`membarrier`, MEMBARRIER_CMD_PRIVATE_EXPEDITED). Measured: 0.4 ns for the
/// frequent side against 9 to 11 ns for a fence, 7 µs for the rare side.
///
/// Guarantee: of a light fence in one thread and a heavy fence in another, one
/// comes first, and everything before the first is seen by everything after the
/// second. So with
///     thread 1:  A = 1;  light_fence();  read B
///     thread 2:  B = 1;  heavy_fence();  read A
/// at least one of the two reads a 1.
///
/// The proofs that build on it (base/epoch.h) also use that two light fences
/// order like the hardware's own: on x86-64, where a locked instruction is a
/// full fence, that is enough. Elsewhere, and where the kernel has no
/// `membarrier`, both are full fences.
namespace actable::base {

/// True when `light_fence` is only a compiler barrier.
[[nodiscard]] bool membarrier_in_use() noexcept;

/// Registers the process for `membarrier`. Called before a store's first
/// operation; calling again changes nothing.
void prepare_fences() noexcept;

/// For tests, while no store is open: use full fences as if there were no
/// `membarrier`.
void force_full_fences(bool force) noexcept;

void heavy_fence() noexcept;

namespace detail {
/// No atomic: set before the first store is used, and never while one is.
[[gnu::visibility("hidden")]] inline constinit bool asymmetric = false;
#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer sees no fences. A read-modify-write on one word orders the
// same accesses in a way that it does see.
inline constinit std::atomic<unsigned> fence_word{0};
#endif
}  // namespace detail

inline void light_fence() noexcept {
#if defined(__SANITIZE_THREAD__)
  detail::fence_word.fetch_add(1, std::memory_order_acq_rel);
#else
  if (detail::asymmetric) [[likely]] {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
#endif
}

}  // namespace actable::base
