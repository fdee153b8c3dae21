#pragma once

#include "base/epoch.h"
#include "base/record_memory.h"
#include "wal/staging.h"

namespace actable::store {

/// What one thread brings to an operation on one store.
///
/// Thread safety: *confined* to its thread.
struct ThreadContext {
  base::Epochs::Slot& slot;
  base::RecordMemory::Cache& cache;
  /// Null in a pure-memory store.
  wal::Stager* stager;
  /// The thread's index, for what is kept per thread elsewhere.
  unsigned index;
};

}  // namespace actable::store
