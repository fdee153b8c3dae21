#pragma once

#include "store/batch_ops.h"
#include "store/space_core.h"
#include "store/thread_context.h"
#include "table/hash_table.h"

#include <actable/options.h>
#include <actable/result.h>

#include <span>
#include <vector>

namespace actable::store {

class StoreCore;

/// One application of a batch (rule 4): the records of all its keys are read,
/// then one number is drawn that is higher than all of theirs, then each key is
/// published under it. A key that holds a still higher number by then was
/// overwritten concurrently: its write is skipped in the table and logged all
/// the same. An erasure of an absent key is published and logged like any: a
/// later write of the key must be numbered above the batch (rule 1).
///
/// Thread safety: *confined*; used once.
class BatchWrite {
 public:
  BatchWrite(StoreCore& store, ThreadContext& context, const BatchOps& batch, WriteOptions options);
  BatchWrite(const BatchWrite&) = delete;
  BatchWrite& operator=(const BatchWrite&) = delete;

  [[nodiscard]] Result<Seq> run();

 private:
  struct Item {
    const BatchOps::Op* op;
    SpaceCore* space;
    std::uint64_t hash;
    std::string_view key;
    table::Position position{};
    /// Null once published.
    table::Record* fresh = nullptr;
  };

  void collect();
  [[nodiscard]] Result<Seq> run_counted();
  void fetch(std::span<const Item> items) const noexcept;
  [[nodiscard]] Result<void> check_durability() const;
  void give_back_unpublished() noexcept;
  [[nodiscard]] Result<Seq> apply(base::Epoch epoch);
  [[nodiscard]] Result<Seq> read_all();
  [[nodiscard]] bool publish(Item& item, Seq seq);

  StoreCore& store_;
  ThreadContext& context_;
  const BatchOps& batch_;
  const WriteOptions options_;
  std::vector<Item> items_;
  std::size_t log_bytes_ = 0;
};

}  // namespace actable::store
