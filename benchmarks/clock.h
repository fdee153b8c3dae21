#pragma once

#include <cstdint>
#include <string_view>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

/// Reads the processor's time stamp counter where it runs at a constant rate
/// whatever the core does, and `CLOCK_MONOTONIC` elsewhere.
///
/// Thread safety: *immutable* after construction.
class Clock {
 public:
  /// The program's clock. The first call takes 20 ms to learn the rate.
  [[nodiscard]] static const Clock& get();

  /// Waits for the instructions before it, so that what is timed has ended.
  [[nodiscard]] std::uint64_t ticks() const noexcept {
#if defined(__x86_64__)
    if (has_tsc_) {
      _mm_lfence();
      return __rdtsc();
    }
#endif
    return monotonic_ns();
  }

  [[nodiscard]] double ns(std::uint64_t ticks) const noexcept { return static_cast<double>(ticks) * ns_per_tick_; }
  [[nodiscard]] double ticks_per_second() const noexcept { return 1e9 / ns_per_tick_; }
  [[nodiscard]] std::string_view name() const noexcept { return has_tsc_ ? "rdtsc" : "clock_gettime"; }

  /// What one call of `ticks` costs.
  [[nodiscard]] double reading_ns() const noexcept { return reading_ns_; }

 private:
  Clock();
  static std::uint64_t monotonic_ns() noexcept;

  bool has_tsc_ = false;
  double ns_per_tick_ = 1.0;
  double reading_ns_ = 0;
};

}  // namespace bench
