#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace actable {

/// The operations that samples tell apart. `Space::visit` counts as get,
/// `Space::take` as erase, `Space::update` as a get and a compare_and_set. Each
/// key of a multi_get or a batch counts as one. Iteration is not sampled.
enum class OperationKind : std::uint8_t { get, multi_get, put, put_if_absent, compare_and_set, add, erase, batch };
inline constexpr std::size_t k_operations = 8;
[[nodiscard]] std::string_view to_string(OperationKind operation) noexcept;
[[nodiscard]] constexpr bool is_read(OperationKind operation) noexcept { return operation <= OperationKind::multi_get; }

/// How long operations took, in buckets at most a sixteenth as wide as what they
/// count is high.
///
/// Thread safety: *confined*.
class LatencyHistogram {
 public:
  static constexpr unsigned k_sub_bits = 4;
  static constexpr std::size_t k_buckets = (33 - k_sub_bits) << k_sub_bits;

  /// What took longer than 4.29 s is counted as that.
  void add(std::chrono::nanoseconds latency) noexcept;
  void merge(const LatencyHistogram& other) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::chrono::nanoseconds max() const noexcept { return std::chrono::nanoseconds(max_); }
  /// At least `fraction` (0 to 1) of them took no longer than this, which is the
  /// end of a bucket or `max`. 0 when there are none.
  [[nodiscard]] std::chrono::nanoseconds quantile(double fraction) const noexcept;

  [[nodiscard]] const std::array<std::uint64_t, k_buckets>& buckets() const noexcept { return buckets_; }
  /// The longest that is counted in that bucket.
  [[nodiscard]] static std::chrono::nanoseconds upper_bound(std::size_t bucket) noexcept;

 private:
  std::array<std::uint64_t, k_buckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint32_t max_ = 0;
};

/// What is known of the operations on a store, from samples of them: of
/// `sample_every` operations one is looked at, and stands for all of them in the
/// counts of operations here, which are estimates for that reason.
struct Analytics {
  /// 0: none are taken now.
  unsigned sample_every = 0;
  /// What this speaks of, where it does not say otherwise: the time from now
  /// back to the beginning of the window before this one.
  std::chrono::nanoseconds period{0};
  std::uint64_t samples = 0;
  /// Thrown away since the store was opened, because there were more of them
  /// than the analytics could take up.
  std::uint64_t samples_dropped = 0;

  struct OperationStats {
    std::uint64_t count = 0;
    double per_second = 0;
    /// Those that found or changed something.
    std::uint64_t successful = 0;
    /// Of the samples; a multi_get's and a batch's are of the whole call, a
    /// visit's with the function that was given.
    LatencyHistogram latency{};
  };
  /// By kind.
  std::array<OperationStats, k_operations> operations{};
  /// As `OperationStats::count`, since the store was opened.
  std::array<std::uint64_t, k_operations> operations_ever{};

  struct ShardOperation {
    OperationKind operation = OperationKind::get;
    OperationStats stats{};
  };
  /// For each of `Options::shards` the operations that were seen there.
  std::vector<std::vector<ShardOperation>> shards{};

  /// Of all operations, 0 to 1; 0 where there were none.
  double read_share = 0;

  /// A key as samples know it.
  struct Key {
    /// Empty once the space was dropped, or the store closed.
    std::string space{};
    /// Its first bytes, and how many it has in all.
    std::string shown{};
    std::size_t bytes = 0;
  };

  /// The keys used most, first the most frequent. The operations that samples
  /// of a key stand for were `count` at most and `count - error` at least; of a
  /// key that is not here `hot_keys_missed_max` at most.
  struct HotKey {
    Key key{};
    std::uint64_t count = 0;
    std::uint64_t error = 0;
  };
  std::vector<HotKey> hot_keys{};
  std::uint64_t hot_keys_missed_max = 0;

  /// Two keys that a thread used together, most frequent first: of all fours of
  /// operations in a row, none of which is in two fours, so many had both. Errors
  /// as above.
  struct KeyPair {
    Key first{};
    Key second{};
    std::uint64_t count = 0;
    std::uint64_t error = 0;
  };
  std::vector<KeyPair> key_pairs{};

  /// The samples that took longest, the longest first.
  struct SlowOperation {
    OperationKind operation = OperationKind::get;
    Key key{};
    std::chrono::nanoseconds latency{0};
    /// Since it was over.
    std::chrono::nanoseconds ago{0};
  };
  std::vector<SlowOperation> slowest{};

  /// Sizes of keys, and of the values read or written, of the samples: at b
  /// those of 2^(b-1) to 2^b - 1 bytes, at 0 the empty ones.
  static constexpr std::size_t k_size_buckets = 24;
  std::array<std::uint64_t, k_size_buckets> key_bytes{};
  std::array<std::uint64_t, k_size_buckets> value_bytes{};

  /// How many different keys were used between two uses of a key: at b the
  /// samples with 2^(b-1) to 2^b - 1 of them, at 0 those with none. An estimate,
  /// since it is samples that are looked at: it is right where each operation's
  /// key is independent of those before, and does not see what comes back within
  /// a few operations. A cache of that many keys would have had them.
  static constexpr std::size_t k_distance_buckets = 48;
  std::array<std::uint64_t, k_distance_buckets> reuse_distance{};
  /// Samples of keys that had not been seen before, or not for long.
  std::uint64_t reuse_none = 0;
};

}  // namespace actable
