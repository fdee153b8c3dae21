#pragma once

#include "table/segment.h"

#include <cstdint>

/// The hashes of a segment.
namespace actable::table {

[[nodiscard]] inline std::uint64_t first_hash(const Segment& segment) noexcept {
  return segment.depth == 0 ? 0 : segment.prefix << (64 - segment.depth);
}

/// 0 stands for 2^64.
[[nodiscard]] inline std::uint64_t end_hash(const Segment& segment) noexcept {
  return segment.depth == 0 ? 0 : (segment.prefix + 1) << (64 - segment.depth);
}

}  // namespace actable::table
