#pragma once

#include "base/assert.h"

#include <actable/options.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

namespace actable::base {

/// What `thread_index` returns when `k_threads_max` live threads have one, when
/// the system has no memory to note down that the thread has one, or when the
/// thread is so far in its ending that it has given its index back: with the C
/// library of GNU after all its `thread_local` objects.
inline constexpr unsigned k_no_thread_index = k_threads_max;

namespace detail {
/// Reached without a call, also where the library is to be part of a shared object
/// (docs/dependencies.md).
[[gnu::tls_model("initial-exec")]] inline constinit thread_local unsigned t_thread_index = k_no_thread_index;
inline constinit thread_local bool t_thread_index_refused = false;
[[nodiscard]] unsigned acquire_thread_index() noexcept;
}  // namespace detail

/// A small number below `k_threads_max` that is the calling thread's alone
/// until it ends; then a later thread gets it, and with it whatever was kept
/// under it (free memory, a half-filled staging buffer). The lowest free number
/// is taken, so that what is kept is bounded by the most threads there ever
/// were at once. What the ended thread did happens before what the later does.
[[nodiscard]] inline unsigned thread_index() noexcept {
  const unsigned index = detail::t_thread_index;
  if (index != k_no_thread_index) [[likely]]
    return index;
  return detail::acquire_thread_index();
}

/// The same, or `k_no_thread_index` when the calling thread has not asked yet.
[[nodiscard]] inline unsigned thread_index_so_far() noexcept { return detail::t_thread_index; }

/// Whether the calling thread has none for lack of memory. It may ask again.
[[nodiscard]] inline bool thread_index_lacks_memory() noexcept { return detail::t_thread_index_refused; }

[[nodiscard]] bool thread_index_in_use(unsigned index) noexcept;

/// One `T` for each thread index, made when first asked for, destroyed with
/// the whole. It has cache lines of its own: threads write theirs all the time.
///
/// Thread safety: *synchronized*; each `T` belongs to the thread of its index
/// but for what it makes atomic itself.
template <class T>
class PerThread {
 public:
  PerThread() = default;
  PerThread(const PerThread&) = delete;
  PerThread& operator=(const PerThread&) = delete;
  ~PerThread() {
    for (std::atomic<Lines*>& lines : slots_) delete lines.load(std::memory_order_acquire);
  }

  /// Null when the thread of that index has none yet, and for `k_no_thread_index`.
  [[nodiscard]] T* find(unsigned index) const noexcept {
    // acquire: pairs with the release in `get`; scanners see a whole T.
    Lines* const lines = slots_[index].load(std::memory_order_acquire);
    return lines == nullptr ? nullptr : &lines->item;
  }

  /// To be called by the thread of that index. Null when memory is exhausted.
  template <class... Args>
  [[nodiscard]] T* get(unsigned index, Args&&... args) noexcept {
    if (T* item = find(index); item != nullptr) [[likely]]
      return item;
    ACTABLE_ASSERT(index < k_threads_max);
    auto* const lines = new (std::nothrow) Lines{T(std::forward<Args>(args)...)};
    if (lines == nullptr) return nullptr;
    slots_[index].store(lines, std::memory_order_release);
    unsigned end = end_.load(std::memory_order_relaxed);
    // release: a scanner that sees the new end sees the slot too.
    while (end <= index && !end_.compare_exchange_weak(end, index + 1, std::memory_order_release)) {
    }
    return &lines->item;
  }

  /// Destroys the calling thread's, so that `get` makes another. Nobody else
  /// looks at it.
  void forget(unsigned index) noexcept { delete slots_[index].exchange(nullptr, std::memory_order_acq_rel); }

  template <class F>
  void for_each(F&& f) const {
    const unsigned end = end_.load(std::memory_order_acquire);
    for (unsigned i = 0; i < end; ++i) {
      if (T* item = find(i); item != nullptr) f(*item);
    }
  }

  /// As `for_each`, until `f` returns false.
  template <class F>
  [[nodiscard]] bool all_of(F&& f) const {
    const unsigned end = end_.load(std::memory_order_acquire);
    for (unsigned i = 0; i < end; ++i) {
      if (T* item = find(i); item != nullptr && !f(*item)) return false;
    }
    return true;
  }

  [[nodiscard]] unsigned live_threads() const noexcept {
    unsigned count = 0;
    const unsigned end = end_.load(std::memory_order_acquire);
    for (unsigned i = 0; i < end; ++i) count += find(i) != nullptr && thread_index_in_use(i) ? 1 : 0;
    return count;
  }

 private:
  struct Lines;

  // The last is of threads without an index, and stays null.
  std::array<std::atomic<Lines*>, k_threads_max + 1> slots_{};
  std::atomic<unsigned> end_{0};
};

template <class T>
struct alignas(std::max(std::size_t{64}, alignof(T))) PerThread<T>::Lines {
  T item;
};

}  // namespace actable::base
