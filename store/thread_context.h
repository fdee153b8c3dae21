#pragma once

#include "base/epoch.h"
#include "base/record_memory.h"
#include "store/sampler.h"
#include "wal/staging.h"

namespace actable::store {

/// What one thread brings to an operation on one store.
///
/// Thread safety: *confined* to its thread.
struct ThreadContext {
  base::Epochs::Slot& slot;
  const base::RecordMemory::CacheSlot& cache_slot;
  /// Null in a pure-memory store.
  wal::Stager* stager;
  /// The thread's index, for what is kept per thread elsewhere.
  unsigned index;
  SamplingState sampling{};

  /// Good for as long as the thread stays pinned: to be asked for after pinning.
  [[nodiscard, gnu::always_inline]] base::RecordMemory::Cache& cache() const noexcept { return cache_slot.cache(); }
};

}  // namespace actable::store
