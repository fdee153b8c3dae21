#pragma once

#include "base/park.h"
#include "store/checks.h"
#include "store/log_hold.h"
#include "store/space_core.h"
#include "store/store_core.h"

#include <type_traits>

/// The life of a read and of a write, step by step (docs/architecture.md).
namespace actable::store {

template <class F>
Result<bool> SpaceCore::read(std::string_view key, F&& f) const {
  if (!key_fits(key)) [[unlikely]]
    return bad_key(key);
  ThreadContext* context = store_->find_context();
  if (context == nullptr) [[unlikely]] {
    auto made = store_->context();
    if (!made) return std::unexpected(std::move(made.error()));
    context = *made;
  }
  const base::ReadPin pin(store_->epochs(), context->slot);
  if (state() != State::open) [[unlikely]]
    return not_open();
  const table::Record* const record = table_->find(hash(key), key);
  if (record == nullptr) return false;
  f(*record);
  return true;
}

/// A record that is given back unless it was published.
///
/// Thread safety: *confined*.
class FreshRecord {
 public:
  FreshRecord(base::RecordMemory& memory, base::RecordMemory::Cache& cache) noexcept : memory_(memory), cache_(cache) {}
  ~FreshRecord() {
    if (record_ != nullptr) memory_.release(cache_, record_, record_->bytes());
  }
  FreshRecord(const FreshRecord&) = delete;
  FreshRecord& operator=(const FreshRecord&) = delete;

  /// False when memory is exhausted.
  [[nodiscard]] bool make(std::string_view key, std::string_view value, bool tombstone) noexcept {
    if (record_ == nullptr) record_ = table::Record::make(memory_, cache_, key, value, tombstone);
    return record_ != nullptr;
  }
  [[nodiscard]] table::Record& operator*() const noexcept { return *record_; }
  [[nodiscard]] table::Record* get() const noexcept { return record_; }
  void published() noexcept { record_ = nullptr; }

 private:
  base::RecordMemory& memory_;
  base::RecordMemory::Cache& cache_;
  table::Record* record_ = nullptr;
};

template <class Decide, class Fill>
Result<Seq> SpaceCore::write(const Write& write, Decide decide, Fill fill) {
  if (!key_fits(write.key)) [[unlikely]]
    return bad_key(write.key);
  if (!value_fits(write.value)) [[unlikely]]
    return bad_value(write.value);
  StoreCore& store = *store_;
  ThreadContext* found = store.find_context();
  if (found == nullptr) [[unlikely]] {
    auto made = store.context();
    if (!made) return std::unexpected(std::move(made.error()));
    found = *made;
  }
  ThreadContext& context = *found;
  if (write.options.durability == Durability::sync && !logged_) [[unlikely]]
    return cannot_sync();
  const std::uint64_t key_hash = hash(write.key);
  const std::size_t log_bytes = logged_ ? wal::record_bytes(write.key.size(), write.value.size()) : 0;

  Seq seq = 0;
  LogHold hold;
  while (true) {
    {
      const base::WritePin pin(store.epochs(), context.slot);
      if (state() != State::open) [[unlikely]]
        return not_open();
      if (!logged_ || hold.has_room(store, context, log_bytes)) [[likely]] {
        const Published published = publish(context, pin.epoch(), write, key_hash, decide, fill);
        if (published.lacked != nullptr) [[unlikely]]
          return no_memory(published.lacked);
        if (published.seq == 0) return Seq{0};
        seq = published.seq;
        hold.written(store, context, logged_, write.options);
        break;
      }
    }
    if (auto reserved = hold.reserve(context, log_bytes); !reserved) {
      if (state() != State::open) return not_open();
      return std::unexpected(std::move(reserved.error()));
    }
  }
  if (auto durable = hold.finish(store, context, seq); !durable) return std::unexpected(std::move(durable.error()));
  return seq;
}

template <class Decide, class Fill>
SpaceCore::Published SpaceCore::publish(ThreadContext& context, base::Epoch epoch, const Write& write,
                                        std::uint64_t key_hash, Decide& decide, Fill& fill) {
  StoreCore& store = *store_;
  table_->prefetch_bucket(key_hash);
  FreshRecord fresh(store.memory(), context.cache);
  wal::StagedFrame* ahead = nullptr;
  // Where it is known what will be written, it is copied while the bucket is on
  // its way. What is left to do once the old record has come is then so little
  // that the processor gets to the next operation's bucket while it waits.
  constexpr bool k_known = std::is_same_v<Decide, Always> && std::is_same_v<Fill, AsGiven>;
  if constexpr (k_known) {
    if (!fresh.make(write.key, write.value, write.tombstone)) [[unlikely]]
      return {0, "a record"};
    if (logged_) ahead = wal::append_ahead(*context.stager, epoch, {0, id_, write.tombstone, write.key, write.value});
  }
  table::Position position{};
  Seq seq = 0;
  do {
    if (!table_->locate(context.cache, key_hash, write.key, position)) [[unlikely]]
      return {0, "the table"};
    if constexpr (!k_known) {
      if (decide(position) == Verdict::leave) return {};
      if (!fresh.make(write.key, write.value, write.tombstone)) [[unlikely]]
        return {0, "a record"};
      fill(*fresh);
    }
    ACTABLE_PARK("store.before_draw");
    seq = store.epochs().draw(context.slot, epoch, position.seq());
    (*fresh).number(seq);
  } while (!table_->publish(position, key_hash, fresh.get()));
  const table::Record& record = *fresh;
  fresh.published();
  ACTABLE_PARK("store.published");
  if (ahead != nullptr) {
    wal::append_number(*context.stager, *ahead, wal::record_bytes(write.key.size(), write.value.size()), seq);
  } else if (logged_) {
    wal::append(*context.stager, epoch, {seq, id_, write.tombstone, record.key(), record.value()});
  }
  count(key_hash, position, record);
  if (position.old != nullptr) store.memory().retire(context.cache, position.old, position.old->bytes());
  return {seq};
}

}  // namespace actable::store
