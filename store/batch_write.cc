#include "store/batch_write.h"

#include "base/failure.h"
#include "base/park.h"
#include "store/checks.h"
#include "store/log_hold.h"
#include "store/space_operations.h"
#include "store/store_core.h"
#include "wal/log.h"

#include <algorithm>
#include <tuple>

namespace actable::store {

BatchWrite::BatchWrite(StoreCore& store, ThreadContext& context, const BatchOps& batch, WriteOptions options)
    : store_(store), context_(context), batch_(batch), options_(options) {}

/// The last operation on each key.
void BatchWrite::collect() {
  items_.reserve(batch_.ops().size());
  for (const BatchOps::Op& op : batch_.ops()) {
    const std::string_view key = batch_.key(op);
    items_.push_back({&op, op.space.get(), op.space->hash(key), key});
  }
  // By number first, so that the same batch has the same order in every process.
  const auto identity = [](const Item& item) { return std::tuple(item.hash, item.space->id(), item.space, item.key); };
  std::ranges::stable_sort(items_, {}, identity);
  // Of equal ones the last was added last: keep the first of each run, seen from behind.
  const auto repeated = std::ranges::unique(items_.rbegin(), items_.rend(), {}, identity);
  items_.erase(items_.begin(), repeated.begin().base());
  for (const Item& item : items_) {
    if (item.space->logged()) log_bytes_ += wal::record_bytes(item.key.size(), item.op->value_bytes);
  }
}

/// A batch can be made durable if any part of it goes to the log.
Result<void> BatchWrite::check_durability() const {
  if (log_bytes_ != 0) return {};
  return items_.front().space->check_durability(options_);
}

Result<Seq> BatchWrite::run() {
  collect();
  if (auto checked = check_durability(); !checked) return std::unexpected(std::move(checked.error()));
  LogHold hold;
  Result<Seq> applied = Seq{0};
  while (true) {
    {
      const base::WritePin pin(store_.epochs(), context_.slot);
      for (const Item& item : items_) {
        if (item.space->state() != SpaceCore::State::open) return item.space->not_open();
      }
      if (log_bytes_ == 0 || LogHold::has_room(store_, context_, log_bytes_)) {
        Result<Seq> seq = apply(pin.epoch());
        give_back_unpublished();
        hold.written(store_, context_, log_bytes_ != 0, options_);
        applied = std::move(seq);
        break;
      }
      hold.no_room(store_);
    }
    if (auto reserved = hold.reserve(context_, log_bytes_, options_); !reserved) {
      const SpaceCore& space = *items_.front().space;
      if (space.state() != SpaceCore::State::open) return space.not_open();
      return std::unexpected(std::move(reserved.error()));
    }
  }
  if (!applied) {
    hold.wake();
    return applied;
  }
  return hold.finish(store_, context_, *applied);
}

/// Records that were not needed: overtaken by a later write, or the batch failed.
void BatchWrite::give_back_unpublished() noexcept {
  for (Item& item : items_) {
    if (item.fresh == nullptr) continue;
    store_.memory().release(context_.cache, item.fresh, item.fresh->bytes());
    item.fresh = nullptr;
  }
}

/// Reads the records of all keys and makes the new ones; returns the highest number read.
Result<Seq> BatchWrite::read_all() {
  Seq floor = 0;
  for (Item& item : items_) {
    if (!item.space->table().locate(context_.cache, item.hash, item.key, item.position)) return no_memory("the table");
    floor = std::max(floor, item.position.seq());
    item.fresh =
        table::Record::make(store_.memory(), context_.cache, item.key, batch_.value(*item.op), item.op->tombstone);
    if (item.fresh == nullptr) return no_memory("a record");
  }
  return floor;
}

Result<Seq> BatchWrite::apply(base::Epoch epoch) {
  auto floor = read_all();
  if (!floor) return floor;
  ACTABLE_PARK("batch.before_draw");
  const Seq seq = store_.epochs().draw(context_.slot, epoch, *floor);
  bool all_published = true;
  for (Item& item : items_) {
    if (item.fresh == nullptr) continue;
    item.fresh->number(seq);
    if (!publish(item, seq)) all_published = false;
    ACTABLE_PARK("batch.between_keys");
  }
  for (const Item& item : items_) {
    if (!item.space->logged()) continue;
    wal::append(*context_.stager, epoch, {seq, item.space->id(), item.op->tombstone, item.key, batch_.value(*item.op)});
  }
  if (all_published) return seq;
  return base::failure(
      ErrorCode::indeterminate,
      "memory ran out while the batch was applied: some of its keys are not visible, and all will be after "
      "the store is opened again");
}

/// False when memory for the table ran out.
bool BatchWrite::publish(Item& item, Seq seq) {
  table::HashTable& table = item.space->table();
  while (!table.publish(item.position, item.hash, item.fresh)) {
    if (!table.locate(context_.cache, item.hash, item.key, item.position)) return false;
    if (item.position.seq() > seq) return true;
  }
  item.space->replaced(context_, item.hash, item.position, *item.fresh);
  item.fresh = nullptr;
  return true;
}

}  // namespace actable::store
