#pragma once

#include "base/record_memory.h"

namespace actable::base {

/// Arenas, and the free blocks of them that threads share. Every other free
/// block is in a cache of this generation, or in the one that takes its place.
///
/// Thread safety: *synchronized*.
struct RecordMemory::Generation {
  explicit Generation(ArenaUsage& usage) noexcept : arenas(usage) {}

  Arenas arenas;
  std::array<std::atomic<Magazine*>, k_classes> shared_full{};
  std::atomic<Magazine*> shared_empty{nullptr};
  /// The one before it, as long as blocks of that may be retired; for new caches.
  std::atomic<const Generation*> leaving{nullptr};
};

}  // namespace actable::base
