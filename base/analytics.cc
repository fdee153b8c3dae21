#include <actable/analytics.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace actable {
namespace {

constexpr unsigned k_sub_bits = LatencyHistogram::k_sub_bits;
constexpr std::size_t k_sub_buckets = std::size_t{1} << k_sub_bits;

/// How far a value is shifted right until its first bit and `k_sub_bits` more are left.
[[nodiscard]] unsigned shift_of(std::uint32_t value) noexcept {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  return width > k_sub_bits + 1 ? width - (k_sub_bits + 1) : 0;
}

}  // namespace

std::string_view to_string(OperationKind operation) noexcept {
  switch (operation) {
    case OperationKind::get:
      return "get";
    case OperationKind::multi_get:
      return "multi_get";
    case OperationKind::put:
      return "put";
    case OperationKind::put_if_absent:
      return "put_if_absent";
    case OperationKind::compare_and_set:
      return "compare_and_set";
    case OperationKind::add:
      return "add";
    case OperationKind::erase:
      return "erase";
    case OperationKind::batch:
      return "batch";
  }
  return "unknown";
}

void LatencyHistogram::add(std::chrono::nanoseconds latency) noexcept {
  constexpr std::int64_t k_most = std::numeric_limits<std::uint32_t>::max();
  const auto value = static_cast<std::uint32_t>(std::clamp<std::int64_t>(latency.count(), 0, k_most));
  const unsigned shift = shift_of(value);
  ++buckets_[shift * k_sub_buckets + (value >> shift)];
  ++count_;
  max_ = std::max(max_, value);
}

void LatencyHistogram::merge(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < k_buckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::chrono::nanoseconds LatencyHistogram::quantile(double fraction) const noexcept {
  if (count_ == 0) return {};
  const double wanted = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < k_buckets; ++i) {
    seen += buckets_[i];
    if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(upper_bound(i), max());
  }
  return max();
}

std::chrono::nanoseconds LatencyHistogram::upper_bound(std::size_t bucket) noexcept {
  if (bucket < 2 * k_sub_buckets) return std::chrono::nanoseconds(bucket);
  const std::size_t shift = bucket / k_sub_buckets - 1;
  return std::chrono::nanoseconds(((bucket - shift * k_sub_buckets + 1) << shift) - 1);
}

}  // namespace actable
