#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bench {

/// Counts values in buckets whose width grows with the value, so that every
/// value from a nanosecond to hours is kept within 1 % in 59 KiB.
///
/// Values below 256 have a bucket each. Above, every power of two is cut into
/// 128 buckets of equal width; a bucket stands for its middle, which is at most
/// 1/256 (0.4 %) away from any value in it. The largest value is kept exactly.
/// The unit is the caller's.
///
/// Thread safety: *confined*. Each thread records into its own, and they are
/// merged at the end.
class Histogram {
 public:
  void record(std::uint64_t value) noexcept {
    ++buckets_[bucket_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  void merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

  /// The smallest recorded value, within 1 %, that at least `fraction` (0 to 1)
  /// of all recorded values do not exceed. 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t quantile(double fraction) const noexcept {
    if (count_ == 0) return 0;
    const double wanted = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(middle_of(i), max_);
    }
    return max_;
  }

 private:
  static constexpr unsigned k_sub_bits = 7;
  static constexpr std::size_t k_sub_buckets = std::size_t{1} << k_sub_bits;
  static constexpr std::size_t k_buckets = (64 - k_sub_bits) * k_sub_buckets + k_sub_buckets;

  /// How far a value is shifted right until only its top 8 bits are left.
  static unsigned shift_of(std::uint64_t value) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    return width > k_sub_bits + 1 ? width - (k_sub_bits + 1) : 0;
  }

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    const unsigned shift = shift_of(value);
    return shift * k_sub_buckets + static_cast<std::size_t>(value >> shift);
  }

  static std::uint64_t middle_of(std::size_t bucket) noexcept {
    if (bucket < 2 * k_sub_buckets) return bucket;
    const std::size_t shift = bucket / k_sub_buckets - 1;
    const std::uint64_t low = static_cast<std::uint64_t>(bucket - shift * k_sub_buckets) << shift;
    return low + (std::uint64_t{1} << shift) / 2;
  }

  std::array<std::uint64_t, k_buckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace bench
