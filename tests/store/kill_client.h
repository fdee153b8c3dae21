#pragma once

#include "tests/store/kill_journal.h"

#include <actable/store.h>

#include <cstdint>
#include <functional>

namespace actable::test::killing {

/// What a life does once it is open.
struct Work {
  std::uint64_t seed = 0;
  /// Up to `k_threads`.
  unsigned threads = 4;
  /// By each thread, up to `k_entries_max`.
  unsigned writes = k_entries_max;
  unsigned synchronous_one_in = 60;
  /// Before so many writes a thread writes a checkpoint; 0: none does.
  unsigned checkpoint_one_in = 0;
  /// Closes the store at the end.
  bool closes = false;
  /// Whether such an error is to be expected. A refused write is noted, and the
  /// thread goes on; one that may or may not have happened is its last. Called by
  /// all threads. Without it every error ends the life.
  std::function<bool(const Error&)> expects{};
  /// Done when all threads have written, before the store is closed or stands still.
  std::function<void(Store&)> afterwards{};
};

/// Lives life `number` until it is killed: opens the store, notes what recovery
/// left of each key, then writes from several threads, noting each write before
/// and after; at the end it waits for the kill. Returns only when something
/// failed, which the journal then says.
void live(Life& life, std::uint64_t number, const Work& work, const std::function<Result<Store>()>& open);

}  // namespace actable::test::killing
