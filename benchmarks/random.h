#pragma once

#include <cmath>
#include <cstdint>

namespace bench {

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and two multiplications
/// a number, any seed is a good one.
///
/// Thread safety: *confined*.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  /// Uniform in [0, bound); the bias is below bound / 2^32.
  std::uint32_t below(std::uint32_t bound) noexcept {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }

  /// Uniform in [0, 1).
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  std::uint64_t state_;
};

/// Draws ranks with probability proportional to 1 / (rank + 1)^0.99, as YCSB
/// does, by the method of Gray et al., "Quickly generating billion-record
/// synthetic databases" (SIGMOD 1994). Building it takes one `pow` an item.
///
/// Thread safety: *immutable*; each thread brings its own `Random`.
class Zipf {
 public:
  explicit Zipf(std::uint32_t items) : items_(items) {
    for (std::uint32_t i = 1; i <= items; ++i) zeta_ += 1.0 / std::pow(i, k_theta);
    const double zeta_two = 1.0 + std::pow(0.5, k_theta);
    eta_ = (1.0 - std::pow(2.0 / items, 1.0 - k_theta)) / (1.0 - zeta_two / zeta_);
  }

  /// 0 is the most popular rank.
  [[nodiscard]] std::uint32_t rank(Random& random) const noexcept {
    const double u = random.unit();
    const double position = u * zeta_;
    if (position < 1.0 || items_ < 3) return 0;
    if (position < 1.0 + std::pow(0.5, k_theta)) return 1;
    const double rank = items_ * std::pow(eta_ * u - eta_ + 1.0, 1.0 / (1.0 - k_theta));
    return rank < items_ ? static_cast<std::uint32_t>(rank) : items_ - 1;
  }

  /// A rank spread over the keys, so that popular keys are not neighbours. A
  /// prime larger than any number of items makes this one-to-one: every key
  /// can be drawn, which hashing the rank would not give.
  [[nodiscard]] std::uint32_t scrambled(Random& random) const noexcept {
    return static_cast<std::uint32_t>(rank(random) * k_prime % items_);
  }

 private:
  static constexpr double k_theta = 0.99;
  /// The prime nearest 2^32 divided by the golden ratio.
  static constexpr std::uint64_t k_prime = 2'654'435'761;

  std::uint32_t items_;
  double zeta_ = 0;
  double eta_ = 0;
};

}  // namespace bench
