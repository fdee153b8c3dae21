#include "benchmarks/clock.h"

#include <time.h>

#include <chrono>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace bench {

namespace {

/// Processors say so in the "advanced power management" leaf.
bool tsc_is_invariant() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0;
#else
  return false;
#endif
}

}  // namespace

const Clock& Clock::get() {
  static const Clock clock;
  return clock;
}

Clock::Clock() : has_tsc_(tsc_is_invariant()) {
  if (has_tsc_) {
    const std::uint64_t ticks_before = ticks();
    const std::uint64_t ns_before = monotonic_ns();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::uint64_t ticks_after = ticks();
    const std::uint64_t ns_after = monotonic_ns();
    ns_per_tick_ = static_cast<double>(ns_after - ns_before) / static_cast<double>(ticks_after - ticks_before);
  }
  constexpr int k_readings = 10'000;
  const std::uint64_t start = ticks();
  for (int i = 0; i < k_readings; ++i) (void)ticks();
  reading_ns_ = ns(ticks() - start) / k_readings;
}

std::uint64_t Clock::monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace bench
