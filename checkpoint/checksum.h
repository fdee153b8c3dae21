#pragma once

#include "base/bytes.h"
#include "base/hash.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace actable::checkpoint {

/// A file's checksum, with that of one more block.
[[nodiscard]] inline std::uint64_t next_checksum(std::uint64_t file, std::uint64_t block) noexcept {
  std::array<std::byte, sizeof block> bytes;
  base::store_le(bytes.data(), block);
  return base::checksum(bytes, file);
}

}  // namespace actable::checkpoint
