#pragma once

#include "wal/staging.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

namespace actable::wal {

// Room for what hundreds of threads write in a round, a record or two each.
inline constexpr std::size_t k_gather_bytes = 64 * 1024;

/// A buffer of the writer's own for short frames and markers.
///
/// Thread safety: *confined* to the log's thread.
struct GatherBlock {
  std::byte* memory = static_cast<std::byte*>(std::aligned_alloc(base::k_block_bytes, k_gather_bytes));
  std::size_t payload_bytes = 0;
  std::uint32_t records = 0;
  bool in_flight = false;

  GatherBlock() {
    if (memory == nullptr) throw std::bad_alloc();
  }
  ~GatherBlock() { std::free(memory); }
  GatherBlock(const GatherBlock&) = delete;
  GatherBlock& operator=(const GatherBlock&) = delete;

  [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
    return k_frame_header_bytes + payload_bytes + bytes <= k_gather_bytes;
  }
  void add(std::span<const std::byte> payload, std::uint32_t more_records) noexcept {
    std::memcpy(memory + k_frame_header_bytes + payload_bytes, payload.data(), payload.size());
    payload_bytes += payload.size();
    records += more_records;
  }
};

}  // namespace actable::wal
