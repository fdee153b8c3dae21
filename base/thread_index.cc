#include "base/thread_index.h"

#include <bit>
#include <cstdint>
#include <mutex>

namespace actable::base {
namespace {

/// Thread safety: *synchronized*. Taken once in a thread's life, so a mutex will do.
class IndexPool {
 public:
  unsigned acquire() noexcept {
    const std::lock_guard lock(mutex_);
    for (unsigned w = 0; w < k_words; ++w) {
      const std::uint64_t used = used_[w].load(std::memory_order_relaxed);
      if (used == ~std::uint64_t{0}) continue;
      const auto bit = static_cast<unsigned>(std::countr_one(used));
      used_[w].store(used | (std::uint64_t{1} << bit), std::memory_order_relaxed);
      return w * 64 + bit;
    }
    return k_no_thread_index;
  }

  void give_back(unsigned index) noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint64_t used = used_[index / 64].load(std::memory_order_relaxed);
    used_[index / 64].store(used & ~(std::uint64_t{1} << (index % 64)), std::memory_order_relaxed);
  }

  bool in_use(unsigned index) const noexcept {
    return (used_[index / 64].load(std::memory_order_relaxed) >> (index % 64) & 1) != 0;
  }

 private:
  static constexpr unsigned k_words = k_threads_max / 64;
  std::mutex mutex_;
  std::array<std::atomic<std::uint64_t>, k_words> used_{};
};

// Never destroyed: threads may end after the program's static objects.
IndexPool& pool() {
  static IndexPool& instance = *new IndexPool;
  return instance;
}

enum class Phase : unsigned char { running, ended };
constinit thread_local Phase t_phase = Phase::running;

/// Gives the index back when the thread ends.
struct IndexHolder {
  unsigned index = k_no_thread_index;
  ~IndexHolder() {
    t_phase = Phase::ended;
    detail::t_thread_index = k_no_thread_index;
    if (index != k_no_thread_index) pool().give_back(index);
  }
};

}  // namespace

unsigned detail::acquire_thread_index() noexcept {
  if (t_phase == Phase::ended) return k_no_thread_index;
  thread_local IndexHolder holder;
  if (holder.index == k_no_thread_index) holder.index = pool().acquire();
  t_thread_index = holder.index;
  return holder.index;
}

bool thread_index_in_use(unsigned index) noexcept { return pool().in_use(index); }

}  // namespace actable::base
