#include "store/space_core.h"

#include "base/failure.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <new>

namespace actable::store {

SpaceCore::SpaceCore(std::shared_ptr<StoreCore> store, std::uint32_t id, std::string name, SpaceOptions options)
    : store_(std::move(store)),
      id_(id),
      logged_(options.logged && !store_->options().directory.empty()),
      hash_seed_(store_->hash_seed()),
      name_(std::move(name)),
      options_(options),
      counters_(store_->shard_map().shards()) {}

SpaceCore::~SpaceCore() = default;

std::unexpected<Error> SpaceCore::not_open() const {
  if (state() == State::dropped) {
    return base::failure(ErrorCode::closed,
                         [&] { return "the space '" + name_ + "' was dropped; open it again to use a new one"; });
  }
  return base::failure(ErrorCode::closed,
                       [&] { return "the store of the space '" + name_ + "' is closed; open it again"; });
}

bool SpaceCore::make_table(table::HashTable::Cache& cache) {
  table_.reset(new (std::nothrow) table::HashTable(store_->epochs(), store_->memory(), store_->hash_seed()));
  return table_ != nullptr && table_->prepare(cache);
}

std::unexpected<Error> SpaceCore::cannot_sync() const {
  return base::failure(ErrorCode::unsupported, [&] {
    return "the space '" + name_ +
           "' has no log, so nothing in it can be made durable; write with "
           "Durability::async, or open the space with SpaceOptions::logged in a "
           "store with a directory";
  });
}

void SpaceCore::count_change(std::uint64_t hash, const table::Record* replaced, const table::Record& fresh) noexcept {
  ShardCounters::Change change;
  const auto add = [&change](const table::Record& record, std::int64_t sign) {
    change.keys += sign;
    change.payload_bytes += sign * static_cast<std::int64_t>(record.key().size() + record.value().size());
    change.record_bytes += sign * static_cast<std::int64_t>(base::RecordMemory::class_bytes(record.bytes()));
  };
  if (!fresh.tombstone()) add(fresh, 1);
  if (replaced != nullptr) add(*replaced, -1);
  counters_.add(store_->shard_map().shard_of(hash), change);
}

SpaceStats SpaceCore::stats() const {
  SpaceStats stats;
  auto context = store_->context();
  if (!context) return stats;
  const base::ReadPin pin(store_->epochs(), (*context)->slot);
  if (state() != State::open) return stats;
  counters_.fill(stats);
  const table::TableStats table = table_->stats();
  stats.segments = table.segments;
  stats.table_bytes = table.bytes;
  stats.splits = table.splits;
  stats.rebuilds = table.rebuilds;
  stats.logged = options_.logged;
  return stats;
}

}  // namespace actable::store
