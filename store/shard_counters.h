#pragma once

#include "routing/shard_map.h"

#include <actable/stats.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace actable::store {

/// Keys and bytes of each shard of a space. A write that neither adds nor
/// removes a key nor changes a size touches nothing here.
///
/// Thread safety: *synchronized*; exact when nobody writes.
class ShardCounters {
 public:
  struct Change {
    std::int64_t keys = 0;
    std::int64_t payload_bytes = 0;
    std::int64_t record_bytes = 0;
    std::int64_t tombstones = 0;
  };

  explicit ShardCounters(unsigned shards) : count_(shards), shards_(std::make_unique<Shard[]>(shards)) {}

  void add(unsigned shard, const Change& change) noexcept {
    Shard& s = shards_[shard];
    // relaxed: sums only; nothing is published by them.
    if (change.keys != 0) s.keys.fetch_add(change.keys, std::memory_order_relaxed);
    if (change.payload_bytes != 0) s.payload_bytes.fetch_add(change.payload_bytes, std::memory_order_relaxed);
    if (change.record_bytes != 0) s.record_bytes.fetch_add(change.record_bytes, std::memory_order_relaxed);
    if (change.tombstones != 0) s.tombstones.fetch_add(change.tombstones, std::memory_order_relaxed);
  }

  [[nodiscard]] std::size_t keys() const noexcept { return sum(&Shard::keys); }
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return sum(&Shard::payload_bytes); }
  [[nodiscard]] std::size_t record_bytes() const noexcept { return sum(&Shard::record_bytes); }
  /// Those that the table has dropped count, too.
  [[nodiscard]] std::size_t tombstones_made() const noexcept { return sum(&Shard::tombstones); }

  void fill(SpaceStats& stats) const {
    for (unsigned i = 0; i < count_; ++i) {
      const Shard& s = shards_[i];
      const auto keys = static_cast<std::size_t>(s.keys.load(std::memory_order_relaxed));
      const auto payload = static_cast<std::size_t>(s.payload_bytes.load(std::memory_order_relaxed));
      stats.shards.push_back({keys, payload});
      stats.keys += keys;
      stats.payload_bytes += payload;
    }
    stats.record_bytes = record_bytes();
  }

 private:
  struct alignas(64) Shard {
    std::atomic<std::int64_t> keys{0};
    std::atomic<std::int64_t> payload_bytes{0};
    std::atomic<std::int64_t> record_bytes{0};
    std::atomic<std::int64_t> tombstones{0};
  };

  [[nodiscard]] std::size_t sum(std::atomic<std::int64_t> Shard::*of) const noexcept {
    std::int64_t sum = 0;
    for (unsigned i = 0; i < count_; ++i) sum += (shards_[i].*of).load(std::memory_order_relaxed);
    return static_cast<std::size_t>(sum < 0 ? 0 : sum);
  }

  unsigned count_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace actable::store
