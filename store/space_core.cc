#include "store/space_core.h"

#include "base/failure.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>

namespace actable::store {

namespace {

/// See SpaceStats.
void measure_balance(SpaceStats& stats) {
  if (stats.shards.size() < 2 || stats.keys == 0) return;
  const auto keys = static_cast<double>(stats.keys);
  double entropy = 0;
  std::size_t most = 0;
  for (const ShardStats& shard : stats.shards) {
    most = std::max(most, shard.keys);
    if (shard.keys == 0) continue;
    const double part = static_cast<double>(shard.keys) / keys;
    entropy -= part * std::log2(part);
  }
  const auto shards = static_cast<double>(stats.shards.size());
  stats.shard_entropy = entropy / std::log2(shards);
  stats.shard_max_over_mean = static_cast<double>(most) * shards / keys;
}

}  // namespace

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

void SpaceCore::fetch(std::span<const std::string_view> keys) const noexcept {
  constexpr std::size_t k_keys_max = 16;
  ThreadContext* const context = store_->find_context();
  // A thread's first use of a store is for who can say why it fails.
  if (context == nullptr || base::Epochs::reads(context->slot) || keys.size() > k_keys_max) return;
  std::array<std::uint64_t, k_keys_max> hashes;
  for (std::size_t i = 0; i < keys.size(); ++i) hashes[i] = hash(keys[i]);
  const base::OutermostReadPin pin(store_->epochs(), context->slot);
  if (state() != State::open) return;
  for (std::size_t i = 0; i < keys.size(); ++i) table_->prefetch_bucket(hashes[i]);
  for (std::size_t i = 0; i < keys.size(); ++i) table_->prefetch_record(hashes[i]);
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
    if (record.tombstone()) {
      change.tombstones += sign;
      return;
    }
    change.keys += sign;
    change.payload_bytes += sign * static_cast<std::int64_t>(record.key().size() + record.value().size());
    change.record_bytes += sign * static_cast<std::int64_t>(base::RecordMemory::class_bytes(record.bytes()));
  };
  add(fresh, 1);
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
  stats.merges = table.merges;
  stats.tombstones = tombstones();
  stats.logged = options_.logged;
  measure_balance(stats);
  return stats;
}

std::size_t SpaceCore::bytes_in_use() const noexcept {
  return counters_.record_bytes() + table_->stats().segment_bytes;
}

bool SpaceCore::has_become_thin() noexcept {
  // A table that has grown holds 345 to 690 keys a segment; merging stops at 160 or
  // more, but where neighbours are not of one size.
  constexpr std::size_t k_thin_keys = 128;
  const std::size_t segments = table_->stats().segments, held = keys() + tombstones();
  // The last ones of different shards are not merged.
  if (segments <= 2 * store_->shard_map().shards() || held >= segments * k_thin_keys) return false;
  const auto changed = [](std::size_t now, std::size_t then) { return now > then + then / 8 || now < then - then / 8; };
  if (!changed(segments, thin_segments_) && !changed(held, thin_held_)) return false;
  thin_segments_ = segments;
  thin_held_ = held;
  return true;
}

std::size_t SpaceCore::tombstones() const noexcept {
  const std::size_t made = counters_.tombstones_made();
  const std::uint64_t dropped = table_->stats().tombstones_dropped;
  return made < dropped ? 0 : made - dropped;
}

}  // namespace actable::store
