#pragma once

#include <cstdint>

/// Which shard a key belongs to. The place where placement by load will live.
namespace actable::routing {

/// Divides the hashes into equal ranges by their top bits, so that a shard is a
/// contiguous part of the table's directory and of a scan.
///
/// Thread safety: *immutable*.
class ShardMap {
 public:
  /// `shards` is a power of two.
  explicit ShardMap(unsigned shards) noexcept;

  [[nodiscard]] unsigned shards() const noexcept { return 1U << bits_; }
  [[nodiscard]] unsigned shard_of(std::uint64_t hash) const noexcept {
    return static_cast<unsigned>(hash >> 1 >> (63 - bits_));
  }
  /// A shard's hashes are [first_hash, end_hash); 0 as the end stands for 2^64.
  [[nodiscard]] std::uint64_t first_hash(unsigned shard) const noexcept {
    return bits_ == 0 ? 0 : std::uint64_t{shard} << (64 - bits_);
  }
  [[nodiscard]] std::uint64_t end_hash(unsigned shard) const noexcept {
    return bits_ == 0 ? 0 : (std::uint64_t{shard} + 1) << (64 - bits_);
  }

 private:
  unsigned bits_;
};

/// Four for each core, rounded up to a power of two: enough that a shard's
/// maintenance is short and that all cores find work.
[[nodiscard]] unsigned default_shards() noexcept;

}  // namespace actable::routing
