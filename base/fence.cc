#include "base/fence.h"

#include "base/assert.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace actable::base {
namespace {

constexpr bool k_ordered_stores =
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
    true;
#else
    false;
#endif

long membarrier(int command) noexcept { return syscall(SYS_membarrier, command, 0, 0); }

bool register_process() noexcept {
  if (!k_ordered_stores) return false;
  const long known = membarrier(MEMBARRIER_CMD_QUERY);
  if (known < 0 || (known & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return false;
  return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

}  // namespace

bool membarrier_in_use() noexcept { return detail::asymmetric; }

void prepare_fences() noexcept {
  static const bool registered = [] {
    const bool done = register_process();
    detail::asymmetric = done;
    return done;
  }();
  (void)registered;
}

void force_full_fences(bool force) noexcept {
  prepare_fences();
  detail::asymmetric = !force && register_process();
}

void heavy_fence() noexcept {
#if defined(__SANITIZE_THREAD__)
  detail::fence_word.fetch_add(1, std::memory_order_acq_rel);
#else
  if (membarrier_in_use()) {
    const long done = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    ACTABLE_ASSERT(done == 0);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
#endif
}

}  // namespace actable::base
