#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

/// For threads that wait until another says that they should look again.
namespace actable::base {

/// Who waits: `heard`, look, and if it is not so yet `wait(heard)`, and again.
/// Who changes what they look at: change it, then `ring`. No wait lasts past a
/// ring that came after its `heard`. It is what `std::atomic::wait` is, but for
/// that one's spinning, which gives the processor away several times before it
/// sleeps: with more threads than processors that costs more than the sleep.
///
/// Thread safety: *synchronized*.
class Bell {
 public:
  /// acquire: who has heard it ring sees what it rang for.
  [[nodiscard]] std::uint32_t heard() const noexcept { return rung_.load(std::memory_order_acquire); }

  /// Returns when the bell has rung since `heard`, and sometimes before.
  void wait(std::uint32_t heard) noexcept;
  /// The same, but no longer than that.
  void wait(std::uint32_t heard, std::chrono::nanoseconds at_most) noexcept;

  /// Wakes all who wait.
  void ring() noexcept;

 private:
  std::atomic<std::uint32_t> rung_{0};
};

}  // namespace actable::base
