#include "base/bell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <limits>

namespace actable::base {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const timespec* at_most = nullptr) noexcept {
  // An interrupted wait, or one for a word that has changed, is over like any.
  (void)syscall(SYS_futex, &word, operation, value, at_most, nullptr, 0);
}

}  // namespace

void Bell::wait(std::uint32_t heard) noexcept { futex(rung_, FUTEX_WAIT_PRIVATE, heard); }

void Bell::wait(std::uint32_t heard, std::chrono::nanoseconds at_most) noexcept {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at_most);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (at_most - seconds).count()};
  futex(rung_, FUTEX_WAIT_PRIVATE, heard, &time);
}

void Bell::ring() noexcept {
  // release: what it rings for.
  rung_.fetch_add(1, std::memory_order_release);
  futex(rung_, FUTEX_WAKE_PRIVATE, std::numeric_limits<int>::max());
}

}  // namespace actable::base
