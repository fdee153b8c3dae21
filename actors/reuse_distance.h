#pragma once

#include <actable/analytics.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace actable::actors {

/// How many different keys lie between two uses of a key, in a stream of keys of
/// any length, with bounded memory: the algorithm SHARDS of Waldspurger, Park,
/// Garthwaite and Ahmad, "Efficient MRC Construction with SHARDS" (FAST 2015).
///
/// Only keys are followed whose hash, mixed anew, is below a limit; what is
/// between two uses of such a key is counted among those that are followed, and
/// multiplied by how many are not. When more are followed than there is room
/// for, the limit is lowered.
///
/// Thread safety: *confined*.
class ReuseDistance {
 public:
  /// Follows `keys_max` keys (at least 1) at most.
  explicit ReuseDistance(std::size_t keys_max);

  void add(std::uint64_t key_hash);

  /// Uses by distance, as `Analytics::reuse_distance`, and first ones. Each use
  /// of a key that is followed stands for as many as are not.
  [[nodiscard]] const std::array<std::uint64_t, Analytics::k_distance_buckets>& distances() const noexcept {
    return distances_;
  }
  [[nodiscard]] std::uint64_t first_uses() const noexcept { return first_uses_; }

 private:
  /// Followed keys that were last used after `time`.
  [[nodiscard]] std::size_t used_after(std::uint32_t time) const noexcept;
  void mark(std::uint32_t time, std::int32_t change) noexcept;
  void forget_highest();
  /// Numbers the times anew, from 0 on, and forgets those that mean nothing any more.
  void renumber();

  std::size_t keys_max_;
  /// Keys are followed whose mixed hash is no higher.
  std::uint64_t limit_ = ~std::uint64_t{0};
  std::uint32_t now_ = 0;
  /// Of each followed key by its mixed hash: when it was last used.
  std::map<std::uint64_t, std::uint32_t> last_used_;
  /// How many keys were last used at each time, 0 or 1, as sums (Fenwick, "A new
  /// data structure for cumulative frequency tables", 1994).
  std::vector<std::int32_t> sums_;
  std::array<std::uint64_t, Analytics::k_distance_buckets> distances_{};
  std::uint64_t first_uses_ = 0;
};

}  // namespace actable::actors
