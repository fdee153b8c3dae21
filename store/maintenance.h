#pragma once

#include "base/epoch.h"
#include "store/space_core.h"
#include "store/thread_context.h"
#include "table/hash_table.h"

#include <actable/result.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace actable::store {

class StoreCore;

/// How a step of maintenance ended.
enum class Maintained : std::uint8_t {
  /// There was nothing to do: look again some time later.
  idle,
  /// There was nothing to do so far: again, to look on.
  looking,
  /// It is another shard's turn, or an operation holds up what comes next: again
  /// in some milliseconds.
  waiting,
  /// Something was done, and there may be more.
  working,
};

/// Drops tombstones and gives memory back, in short steps that others drive: a
/// shard's actor, or a test, in any order. It has no thread.
///
/// A *pass* is a list of spaces. The steps of each shard go over its part of each
/// (HashTable::tidy), so that afterwards it has no crowd of tombstones, no two
/// segments that one would do for, and, where the pass is part of a compaction (base/record_memory.h), nothing in
/// memory that leaves. The steps of shard 0 also look what is due: they begin a pass, and when all shards have done it,
/// the next one; and they are the compactor.
///
/// *Which tables there are.* What has to be moved is in the tables that there were
/// when the compaction came to `moving`: others are made from new memory. The list
/// is taken while nobody is making or dropping a space. A space that is dropped
/// afterwards is not walked further, but the compaction goes on only when its table
/// has been cleared.
///
/// *When memory is compacted.* Live bytes are those of records and tables; the
/// rest of what is carved, tombstones and free blocks, would go back, but for
/// `Options::retired_bytes`, which replaced records may take at any time. It is due
/// at once when the rest is more than the live bytes, and they have fallen to less
/// than half of the most they were since the last time, or twice as much has been
/// carved as was then, when it had ended. And it is due when the rest is more than a fourth of the live
/// bytes, which have fallen by a fourth, and fall no more: while keys are being
/// erased, moving those that will be next would be for nothing. What they fell from
/// is asked for lest a small store under a heavy load be compacted all the time.
/// So that the host is not asked for much more memory than the store has had, that
/// is done only where it takes at most half as much again as is carved, as in the
/// first case, or no more than was carved when the last compaction began.
/// It begins when there is room for all that lives; until then, nothing changes and
/// free blocks stay in use.
///
/// Thread safety: *synchronized*, each shard's steps *confined* to one thread at a
/// time.
class Maintenance {
 public:
  Maintenance(StoreCore& store, unsigned shards);

  /// One step, some tenths of a millisecond; more where there are tens of thousands of
  /// spaces, whose list it copies. Fails with closed, and with no_memory,
  /// after which it may be called again. Throws bad_alloc.
  [[nodiscard]] Result<Maintained> step(ThreadContext& context, unsigned shard);

  [[nodiscard]] std::uint64_t pass() const noexcept { return pass_number_.load(std::memory_order_relaxed); }

  /// A compaction is due, whatever is live, as soon as there is memory for it: for
  /// tests and for people.
  void ask_for_compaction() noexcept { asked_for_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t compactions() const noexcept { return compactions_.load(std::memory_order_relaxed); }

 private:
  // Not shared ones: spaces hold the store.
  using Spaces = std::vector<std::weak_ptr<SpaceCore>>;
  struct Pass {
    std::uint64_t number;
    Spaces spaces;
  };
  struct alignas(64) Shard {
    /// The last pass that it has done.
    std::atomic<std::uint64_t> done{0};
    /// Its thread's: the one it is at, and where.
    std::shared_ptr<const Pass> pass{};
    std::size_t space = 0;
    table::TidyPosition at{};
  };
  /// What is in use of the memory.
  struct Look {
    std::size_t live_bytes = 0;
    /// With many tombstones.
    Spaces crowded{};
    /// With segments to be merged.
    Spaces thin{};
  };

  /// A look that takes several steps.
  struct Survey {
    Spaces spaces{};
    std::size_t next = 0;
    Look seen{};
  };

  [[nodiscard]] Result<Maintained> walk(ThreadContext& context, unsigned shard);
  void next_space(Shard& own, unsigned shard, std::size_t space) const noexcept;

  // Shard 0's.
  [[nodiscard]] Result<Maintained> direct(ThreadContext& context);
  [[nodiscard]] Result<Maintained> direct_idle(ThreadContext& context);
  [[nodiscard]] Result<Maintained> direct_compaction(ThreadContext& context);
  [[nodiscard]] bool pass_done() const noexcept;
  [[nodiscard]] Result<void> look_at_some(ThreadContext& context);
  static void look_at(const std::shared_ptr<SpaceCore>& space, Look& seen);
  [[nodiscard]] Result<Maintained> direct_moving(ThreadContext& context);
  [[nodiscard]] bool more_tombstones_to_drop() noexcept;
  [[nodiscard]] bool compaction_due(std::size_t live_bytes, std::size_t carved_bytes) noexcept;
  [[nodiscard]] bool begin_compaction(std::size_t live_bytes) noexcept;
  void begin_pass(Spaces spaces);

  StoreCore& store_;
  const unsigned shards_count_;
  const std::unique_ptr<Shard[]> shards_;

  std::atomic<std::uint64_t> pass_number_{0};
  std::mutex pass_mutex_;
  std::shared_ptr<const Pass> pass_;
  std::atomic<std::uint64_t> compactions_{0};
  std::atomic<bool> asked_for_{false};

  // Shard 0's.
  Survey survey_;
  // The pass that moves has been begun.
  bool moves_ = false;
  std::size_t live_highest_ = 0;
  std::size_t live_before_ = 0;
  // Looks since the live bytes changed much.
  unsigned looks_still_ = 0;
  // Of the last compaction.
  std::size_t carved_at_beginning_ = 0;
  // When the last compaction had ended.
  std::size_t carved_after_;
  // Until a compaction is tried again for which there was no memory, and how many
  // that were the last time.
  unsigned looks_to_pass_ = 0;
  unsigned looks_passed_ = 0;
  base::Epoch tombstones_dropped_before_ = 0;
};

}  // namespace actable::store
