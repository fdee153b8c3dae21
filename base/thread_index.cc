#include "base/thread_index.h"

#include <bit>
#include <cstdint>
#include <mutex>
#include <optional>
#include <type_traits>

#include <pthread.h>

namespace actable::base {
namespace {

enum class Phase : unsigned char { running, ended };
constinit thread_local Phase t_phase = Phase::running;

/// Taken once in a thread's life, so a mutex will do.
///
/// A key of the system's threads says when a thread ends, and no `thread_local`
/// object with a destructor: where there is no memory to note down such a
/// destructor the C library ends the process, while a key can be refused. The
/// key's turn comes after that of those objects, which may still use a store.
///
/// Thread safety: *synchronized*.
class IndexPool {
 public:
  unsigned acquire() noexcept {
    const std::lock_guard lock(mutex_);
    const unsigned index = lowest_free();
    detail::t_thread_index_refused = index != k_no_thread_index && !watch_this_thread(index);
    if (index == k_no_thread_index || detail::t_thread_index_refused) return k_no_thread_index;
    mark(index, true);
    return index;
  }

  bool in_use(unsigned index) const noexcept {
    return (used_[index / 64].load(std::memory_order_relaxed) >> (index % 64) & 1) != 0;
  }

 private:
  static constexpr unsigned k_words = k_threads_max / 64;

  [[nodiscard]] unsigned lowest_free() const noexcept {
    for (unsigned w = 0; w < k_words; ++w) {
      const std::uint64_t used = used_[w].load(std::memory_order_relaxed);
      if (used != ~std::uint64_t{0}) return w * 64 + static_cast<unsigned>(std::countr_one(used));
    }
    return k_no_thread_index;
  }

  void mark(unsigned index, bool used) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    const std::uint64_t before = used_[index / 64].load(std::memory_order_relaxed);
    used_[index / 64].store(used ? before | bit : before & ~bit, std::memory_order_relaxed);
  }

  /// False when the system has no key left (the program uses all 1,024 of them), or no
  /// memory to keep the index under it.
  [[nodiscard]] bool watch_this_thread(unsigned index) noexcept {
    if (!key_) {
      pthread_key_t made{};
      if (pthread_key_create(&made, thread_ended) != 0) return false;
      key_ = made;
    }
    // Not 0, for which nothing is called.
    return pthread_setspecific(*key_, reinterpret_cast<void*>(std::uintptr_t{index} + 1)) == 0;
  }

  static void thread_ended(void* index_and_one) noexcept;

  std::mutex mutex_;
  std::array<std::atomic<std::uint64_t>, k_words> used_{};
  std::optional<pthread_key_t> key_;
};

constinit IndexPool g_pool;
// Threads may end after the program's static objects.
static_assert(std::is_trivially_destructible_v<IndexPool>);

void IndexPool::thread_ended(void* index_and_one) noexcept {
  t_phase = Phase::ended;
  detail::t_thread_index = k_no_thread_index;
  const std::lock_guard lock(g_pool.mutex_);
  g_pool.mark(static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(index_and_one) - 1), false);
}

}  // namespace

unsigned detail::acquire_thread_index() noexcept {
  if (t_phase == Phase::ended || t_thread_index != k_no_thread_index) return t_thread_index;
  t_thread_index = g_pool.acquire();
  return t_thread_index;
}

bool thread_index_in_use(unsigned index) noexcept { return g_pool.in_use(index); }

}  // namespace actable::base
