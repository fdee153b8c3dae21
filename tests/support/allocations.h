#pragma once

#include <cstdint>
#include <functional>

/// This program's memory: operator new, aligned_alloc and mmap as the store's
/// sources call them, counted and made to fail. What counts is what is asked
/// for inside a `Counted` scope and outside a `Spared` one, so that the harness
/// itself always has memory.
namespace actable::test::allocations {

/// Forgets the count, and any order.
void reset() noexcept;

/// Makes the `nth` allocation from the reset (1: the first) fail, and with
/// `for_good` all that follow it.
void fail(std::uint64_t nth, bool for_good) noexcept;

/// Takes the order back. The count goes on.
void heal() noexcept;

[[nodiscard]] std::uint64_t count() noexcept;
[[nodiscard]] std::uint64_t failed() noexcept;

/// Called, spared, with the number of each allocation that fails. Empty: nobody.
void watch(std::function<void(std::uint64_t)> watcher);

/// Blocks and mappings, counted or not, that were not given back yet.
[[nodiscard]] std::int64_t live() noexcept;

/// The mappings among them.
[[nodiscard]] std::int64_t mappings() noexcept;

namespace detail {
inline constinit thread_local int t_counted = 0;
inline constinit thread_local int t_spared = 0;
}  // namespace detail

/// Thread safety: *confined* to its thread.
class Counted {
 public:
  Counted() noexcept { ++detail::t_counted; }
  ~Counted() { --detail::t_counted; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
};

/// Thread safety: *confined* to its thread.
class Spared {
 public:
  Spared() noexcept { ++detail::t_spared; }
  ~Spared() { --detail::t_spared; }
  Spared(const Spared&) = delete;
  Spared& operator=(const Spared&) = delete;
};

/// From now on all that the calling thread asks for counts, or no longer.
inline void count_thread(bool counts) noexcept { detail::t_counted = counts ? 1 : 0; }

}  // namespace actable::test::allocations
