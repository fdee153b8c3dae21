#pragma once

#include "table/segment.h"

#include <cstdint>

namespace actable::table {

/// What a segment that is to be made will have to hold: how many records, and how
/// many chain buckets that takes.
///
/// Thread safety: *confined*.
struct Census {
  unsigned records = 0;
  std::uint32_t chain_buckets = 0;

  void add_bucket(unsigned in_bucket) noexcept {
    records += in_bucket;
    if (in_bucket > Bucket::k_slots) {
      chain_buckets += (in_bucket - 1) / Bucket::k_slots;
    }
  }

  /// Room for half as much again where keys crowd into few buckets.
  [[nodiscard]] std::uint32_t chain_capacity() const noexcept {
    constexpr std::uint32_t k_uncrowded_max = Segment::k_chain_buckets * 3 / 4;
    if (chain_buckets <= k_uncrowded_max) return Segment::k_chain_buckets;
    return chain_buckets + chain_buckets / 2 + 8;
  }
};

}  // namespace actable::table
