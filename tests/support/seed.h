#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace actable::test {

/// The seed of this run of the test program: `ACTABLE_SEED` where the
/// environment gives it, else different each time. Printed to standard error
/// when first asked for, so that a failed run can be repeated. A test that needs
/// several independent seeds adds a constant of its own.
[[nodiscard]] std::uint64_t seed();

#if defined(__SANITIZE_THREAD__)
inline constexpr bool k_thread_sanitizer = true;
#else
inline constexpr bool k_thread_sanitizer = false;
#endif
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool k_address_sanitizer = true;
#else
inline constexpr bool k_address_sanitizer = false;
#endif

/// How much slower than an optimised build this one is, roughly as measured on
/// tests of this size: 15 to 25 times under ThreadSanitizer, 2 to 4 under
/// AddressSanitizer. `ACTABLE_TEST_SLOWNESS` is for those who run the tests a
/// thousand times (tests/lab/mutate).
#if defined(ACTABLE_TEST_SLOWNESS)
inline constexpr std::uint64_t k_slowness = ACTABLE_TEST_SLOWNESS;
#else
inline constexpr std::uint64_t k_slowness = k_thread_sanitizer ? 20 : k_address_sanitizer ? 3 : 1;
#endif

/// A number of repetitions that takes about as long in every build.
[[nodiscard]] constexpr std::uint64_t scaled(std::uint64_t repetitions) noexcept {
  const std::uint64_t fewer = repetitions / k_slowness;
  return fewer == 0 ? 1 : fewer;
}

/// Random numbers for tests: SplitMix64 (Steele, Lea, Flood 2014), which takes
/// any seed. Usable with `std::shuffle`.
///
/// Thread safety: *confined* to one thread.
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t start) noexcept : state_(start) {}

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return ~result_type{0}; }
  result_type operator()() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  /// 0 to `end` - 1. The bias for small ends is below anything a test could see.
  [[nodiscard]] std::uint64_t below(std::uint64_t end) noexcept { return (*this)() % end; }

  /// True once in `n` times.
  [[nodiscard]] bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

  /// 0 to `most`, each order of magnitude equally often.
  [[nodiscard]] std::size_t skewed(std::size_t most) noexcept {
    const auto bits = below(static_cast<std::uint64_t>(std::bit_width(most)) + 1);
    const std::uint64_t value =
        bits == 0 ? 0 : (std::uint64_t{1} << (bits - 1)) + below(std::uint64_t{1} << (bits - 1));
    return value > most ? most : static_cast<std::size_t>(value);
  }

 private:
  std::uint64_t state_;
};

}  // namespace actable::test
