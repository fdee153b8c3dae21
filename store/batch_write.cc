#include "store/batch_write.h"

#include "base/failure.h"
#include "base/park.h"
#include "store/checks.h"
#include "store/log_hold.h"
#include "store/space_operations.h"
#include "store/store_core.h"
#include "wal/log.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

namespace actable::store {

BatchWrite::BatchWrite(StoreCore& store, ThreadContext& context, const BatchOps& batch, WriteOptions options)
    : store_(store), context_(context), batch_(batch), options_(options) {}

/// The last operation on each key, where the first one stands. Keys are looked up in
/// a table of this batch alone, with linear probing: sorting them took a tenth of all.
void BatchWrite::collect() {
  items_.reserve(batch_.ops().size());
  // Places among the items, from 1 on; half of them stay empty.
  std::vector<std::uint32_t> places(std::bit_ceil(2 * batch_.ops().size()));
  const std::size_t mask = places.size() - 1;
  for (const BatchOps::Op& op : batch_.ops()) {
    const std::string_view key = batch_.key(op);
    const std::uint64_t hash = op.space->hash(key);
    const auto holds = [&](const Item& item) { return item.hash == hash && item.space == op.space && item.key == key; };
    // The space, too, or a key that is written to thousands of them would have one place.
    std::size_t at = (hash ^ op.space->id() * 0x9e3779b97f4a7c15u) & mask;
    while (places[at] != 0 && !holds(items_[places[at] - 1])) at = (at + 1) & mask;
    if (places[at] != 0) {
      items_[places[at] - 1].op = &op;
      continue;
    }
    items_.push_back({&op, op.space, hash, key});
    places[at] = static_cast<std::uint32_t>(items_.size());
  }
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
  SamplingState& sampling = context_.sampling;
  if (static_cast<std::size_t>(sampling.before_next) >= items_.size()) [[likely]] {
    sampling.before_next -= static_cast<std::int32_t>(items_.size());
    return run_counted();
  }
  SampledCall call(store_.sampler(), sampling, items_.size(), [this](std::size_t i) -> SampledCall::What {
    const Item& item = items_[i];
    return {OperationKind::batch, item.space->id(), item.hash, item.key};
  });
  Result<Seq> written = run_counted();
  if (!written) return written;
  call.succeeded([this](std::size_t i) -> SampledCall::Outcome {
    const BatchOps::Op& op = *items_[i].op;
    if (op.tombstone) return {true, std::nullopt};
    return {true, op.value_bytes};
  });
  return written;
}

/// Once the thread's operations are counted.
Result<Seq> BatchWrite::run_counted() {
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
    store_.memory().release(context_.cache(), item.fresh, item.fresh->bytes());
    item.fresh = nullptr;
  }
}

/// Has the buckets and then the records of some of the keys fetched, all at the
/// same time; one after the other is what a batch would mostly wait for.
void BatchWrite::fetch(std::span<const Item> items) const noexcept {
  for (const Item& item : items) item.space->table().prefetch_bucket(item.hash);
  for (const Item& item : items) item.space->table().prefetch_record(item.hash);
}

/// Reads the records of all keys and makes the new ones; returns the highest number read.
Result<Seq> BatchWrite::read_all() {
  // As many as a core can have cache misses under way.
  constexpr std::size_t k_group = 16;
  Seq floor = 0;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (i % k_group == 0) fetch(std::span(items_).subspan(i, std::min(k_group, items_.size() - i)));
    Item& item = items_[i];
    if (!item.space->table().locate(context_.cache(), item.hash, item.key, item.position))
      return no_memory("the table");
    floor = std::max(floor, item.position.seq());
    item.fresh =
        table::Record::make(store_.memory(), context_.cache(), item.key, batch_.value(*item.op), item.op->tombstone);
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
  // Before the pin ends, so before any cut that is above the number.
  store_.checkpointer().forbid();
  return base::failure(
      ErrorCode::indeterminate,
      "memory ran out while the batch was applied: some of its keys are not visible, and all will be after "
      "the store is opened again");
}

/// False when memory for the table ran out.
bool BatchWrite::publish(Item& item, Seq seq) {
  table::HashTable& table = item.space->table();
  while (!table.publish(item.position, item.hash, item.fresh)) {
    if (!table.locate(context_.cache(), item.hash, item.key, item.position)) return false;
    if (item.position.seq() > seq) return true;
  }
  item.space->replaced(context_, item.hash, item.position, *item.fresh);
  item.fresh = nullptr;
  return true;
}

}  // namespace actable::store
