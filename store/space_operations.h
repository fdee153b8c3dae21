#pragma once

#include "base/park.h"
#include "store/checks.h"
#include "store/log_hold.h"
#include "store/space_core.h"
#include "store/store_core.h"

#include <type_traits>
#include <utility>

/// The life of a read and of a write, step by step (docs/architecture.md).
namespace actable::store {

/// First of all: the sooner the bucket is asked for, the more of the operation
/// before this one it arrives beside.
[[gnu::always_inline]] inline SpaceCore::Place SpaceCore::find_place(std::string_view key) const noexcept {
  const std::uint64_t key_hash = hash(key);
  return {key_hash, table_->start(key_hash)};
}

template <class F>
[[gnu::always_inline]] inline Result<bool> SpaceCore::read(std::string_view key, F f) const {
  // In a copy of its own the compiler knows between which sizes the key's is.
  if (base::is_9_to_16_bytes(key)) [[likely]]
    return read_fitting(key, f);
  return read_other_size(key, f);
}

template <class F>
[[gnu::noinline]] Result<bool> SpaceCore::read_other_size(std::string_view key, F f) const {
  if (!key_fits(key)) return bad_key(key);
  return read_fitting(key, f);
}

template <class F>
[[gnu::always_inline]] inline Result<bool> SpaceCore::read_fitting(std::string_view key, F f) const {
  const Place place = find_place(key);
  ThreadContext* const context = store_->find_context();
  if (context == nullptr) [[unlikely]]
    return read_first(key, f);
  if (--context->sampling.before_next < 0) [[unlikely]]
    return read_sampled(*context, key, place, f);
  return read_counted(*context, key, place, f);
}

/// As `read`, for a thread that has not used the store. Once it has its context it goes
/// the way that is for keys of all sizes.
template <class F>
[[gnu::noinline]] Result<bool> SpaceCore::read_first(std::string_view key, F f) const {
  if (auto context = store_->context(); !context) return std::unexpected(std::move(context.error()));
  return read_other_size(key, f);
}

template <class F>
[[gnu::always_inline]] inline Result<bool> SpaceCore::read_counted(ThreadContext& context, std::string_view key,
                                                                   Place place, F f) const {
  // In a function of the user's that the store called: pinned already.
  if (base::Epochs::reads(context.slot)) [[unlikely]]
    return look(key, place, f);
  const base::OutermostReadPin pin(store_->epochs(), context.slot);
  return look(key, place, f);
}

template <class F>
[[gnu::noinline]] Result<bool> SpaceCore::read_sampled(ThreadContext& context, std::string_view key, Place place,
                                                       F f) const {
  SampledOperation sampled(store_->sampler(), context.sampling, {OperationKind::get, id_, place.hash, key});
  std::optional<std::size_t> value_bytes;
  const auto look_at = [&](const table::Record& record) {
    value_bytes = record.value().size();
    f(record);
  };
  Result<bool> found = read_counted(context, key, place, look_at);
  if (found) sampled.succeeded({*found, value_bytes});
  return found;
}

/// The part of a read that is pinned.
template <class F>
[[gnu::always_inline]] inline Result<bool> SpaceCore::look(std::string_view key, Place place, F f) const {
  if (state() != State::open) [[unlikely]]
    return not_open();
  const table::Record* const record = table_->find(place.start, place.hash, key);
  if (record == nullptr) return false;
  f(*record);
  return true;
}

[[gnu::always_inline]] inline void SpaceCore::replaced(ThreadContext& context, std::uint64_t hash,
                                                       const table::Position& position,
                                                       const table::Record& fresh) noexcept {
  table::Record* const old = position.old;
  // Mostly a value takes the place of one that is as long.
  if (old != nullptr && old->live_and_as_long_as(fresh)) [[likely]] {
    store_->memory().retire(context.cache(), old, fresh.bytes());
    return;
  }
  count_change(hash, old, fresh);
  if (old != nullptr) store_->memory().retire(context.cache(), old, old->bytes());
}

/// A record that is given back unless it was published.
///
/// Thread safety: *confined*.
class FreshRecord {
 public:
  /// `record` may be null.
  FreshRecord(base::RecordMemory& memory, base::RecordMemory::Cache& cache, table::Record* record) noexcept
      : memory_(memory), cache_(cache), record_(record) {}
  ~FreshRecord() {
    if (record_ != nullptr) memory_.release(cache_, record_, record_->bytes());
  }
  FreshRecord(const FreshRecord&) = delete;
  FreshRecord& operator=(const FreshRecord&) = delete;

  /// Unless it is made already. False when memory is exhausted.
  [[nodiscard]] bool make(std::string_view key, std::string_view value, bool tombstone) noexcept {
    if (record_ == nullptr) record_ = table::Record::make(memory_, cache_, key, value, tombstone);
    return record_ != nullptr;
  }
  [[nodiscard]] table::Record& operator*() const noexcept { return *record_; }
  [[nodiscard]] table::Record* get() const noexcept { return record_; }
  [[nodiscard]] table::Record* published() noexcept { return std::exchange(record_, nullptr); }

 private:
  base::RecordMemory& memory_;
  base::RecordMemory::Cache& cache_;
  table::Record* record_;
};

[[gnu::always_inline]] inline std::size_t SpaceCore::log_bytes(const Write& write) noexcept {
  return wal::record_bytes(write.key.size(), write.value.size());
}

/// The frequent way is straight and keeps to registers: what waits for memory
/// can have some sixty stores behind it, so each store that is saved lets the
/// processor look further ahead into what comes next (docs/measurements.md).
/// Hence the insistence on inlining here, and on handing to the rare ways copies
/// and no addresses.
template <class Decide, class Fill>
[[gnu::always_inline]] inline Result<Seq> SpaceCore::write(const Write& write, Decide decide, Fill fill) {
  // As in `read`.
  if (base::is_9_to_16_bytes(write.key) && value_fits(write.value)) [[likely]]
    return write_fitting(write, decide, fill);
  return write_other_size(write.copy(), decide, fill);
}

template <class Decide, class Fill>
[[gnu::noinline]] Result<Seq> SpaceCore::write_other_size(Write write, Decide decide, Fill fill) {
  if (!key_fits(write.key)) return bad_key(write.key);
  if (!value_fits(write.value)) return bad_value(write.value);
  return write_fitting(write, decide, fill);
}

template <class Decide, class Fill>
[[gnu::always_inline]] inline Result<Seq> SpaceCore::write_fitting(const Write& write, Decide decide, Fill fill) {
  const Place place = find_place(write.key);
  ThreadContext* const context = store_->find_context();
  if (context == nullptr) [[unlikely]]
    return write_first(write.copy(), decide, fill);
  if (--context->sampling.before_next < 0) [[unlikely]]
    return write_sampled(*context, write.copy(), place, decide, fill);
  return write_counted(*context, write, place, decide, fill);
}

/// As `write`, for a thread that has not used the store; goes on as `read_first` does.
template <class Decide, class Fill>
[[gnu::noinline]] Result<Seq> SpaceCore::write_first(Write write, Decide decide, Fill fill) {
  if (auto context = store_->context(); !context) return std::unexpected(std::move(context.error()));
  return write_other_size(write, decide, fill);
}

template <class Decide, class Fill>
[[gnu::noinline]] Result<Seq> SpaceCore::write_sampled(ThreadContext& context, Write write, Place place, Decide decide,
                                                       Fill fill) {
  SampledOperation sampled(store_->sampler(), context.sampling, {write.operation, id_, place.hash, write.key});
  Result<Seq> seq = write_counted(context, write, place, decide, fill);
  if (seq) sampled.succeeded({*seq != 0, value_bytes_of(write, *seq != 0)});
  return seq;
}

/// Of the value that was written, if one was.
inline std::optional<std::size_t> SpaceCore::value_bytes_of(const Write& write, bool written) noexcept {
  if (!written || write.tombstone) return std::nullopt;
  return write.value.size();
}

template <class Decide, class Fill>
[[gnu::always_inline]] inline Result<Seq> SpaceCore::write_counted(ThreadContext& context, const Write& write,
                                                                   Place place, Decide decide, Fill fill) {
  StoreCore& store = *store_;
  if (write.options.durability == Durability::sync && !logged_) [[unlikely]]
    return cannot_sync();
  {
    base::WritePin pin(store.epochs(), context.slot);
    if (state() != State::open) [[unlikely]]
      return not_open();
    table::Bucket& home = table_->home(place.start, place.hash);
    if (!logged_ || LogHold::has_room(store, context, log_bytes(write))) [[likely]] {
      const Published published = publish(context, pin.epoch(), write, place.hash, home, decide, fill);
      if (published.lacked != nullptr) [[unlikely]]
        return no_memory(published.lacked);
      if (published.seq == 0 || !LogHold::needed(context, logged_, write.options)) [[likely]]
        return published.seq;
      LogHold hold;
      hold.written(store, context, logged_, write.options);
      pin.end();
      return hold.finish(store, context, published.seq);
    }
  }
  return write_with_room(context, write.copy(), decide, fill);
}

/// As `write`, after making room in the log. It is logged.
template <class Decide, class Fill>
[[gnu::noinline]] Result<Seq> SpaceCore::write_with_room(ThreadContext& context, Write write, Decide decide,
                                                         Fill fill) {
  StoreCore& store = *store_;
  LogHold hold;
  while (true) {
    {
      base::WritePin pin(store.epochs(), context.slot);
      if (state() != State::open) return not_open();
      if (LogHold::has_room(store, context, log_bytes(write))) {
        const std::uint64_t key_hash = hash(write.key);
        const Published published = publish_anywhere(context, pin.epoch(), write, key_hash, {}, decide, fill);
        if (published.lacked != nullptr) return no_memory(published.lacked);
        if (published.seq == 0) return Seq{0};
        hold.written(store, context, logged_, write.options);
        pin.end();
        return hold.finish(store, context, published.seq);
      }
      hold.no_room(store);
    }
    if (auto reserved = hold.reserve(context, log_bytes(write), write.options); !reserved) {
      if (state() != State::open) return not_open();
      return std::unexpected(std::move(reserved.error()));
    }
  }
}

/// Draws the number of the version that goes where `position` says.
[[gnu::always_inline]] inline Seq SpaceCore::number(ThreadContext& context, base::Epoch epoch,
                                                    const table::Position& position,
                                                    table::Record& fresh) const noexcept {
  ACTABLE_PARK("store.before_draw");
  const Seq seq = store_->epochs().draw(context.slot, epoch, position.seq());
  fresh.number(seq);
  return seq;
}

/// What is left to do when a version has been published.
[[gnu::always_inline]] inline void SpaceCore::complete(ThreadContext& context, Cache& cache, base::Epoch epoch,
                                                       const Write& write, const Draft& draft, Seq seq,
                                                       std::uint64_t key_hash,
                                                       const table::Position& position) noexcept {
  ACTABLE_PARK("store.published");
  const table::Record& record = *draft.fresh;
  if (draft.ahead != nullptr) {
    wal::append_number(*context.stager, *draft.ahead, log_bytes(write), seq);
  } else if (logged_) {
    // The value may have been filled in later.
    wal::append(*context.stager, epoch, {seq, id_, write.tombstone, write.key, record.value()});
  }
  table::Record* const old = position.old;
  // As `replaced`, which batches and recovery use, with what is at hand.
  if (old != nullptr && !write.tombstone && old->live_with(write.value.size())) [[likely]] {
    store_->memory().retire(cache, old, table::Record::bytes_for(write.key.size(), write.value.size()));
    return;
  }
  replaced(context, key_hash, position, record);
}

template <class Decide, class Fill>
[[gnu::always_inline]] inline SpaceCore::Published SpaceCore::publish(ThreadContext& context, base::Epoch epoch,
                                                                      const Write& write, std::uint64_t key_hash,
                                                                      table::Bucket& home, Decide decide, Fill fill) {
  Draft draft;
  // Where it is known what will be written, it is copied while the bucket is on
  // its way. What is left to do once the old record has come is then so little
  // that the processor gets to the next operation's bucket while it waits.
  if constexpr (std::is_same_v<Decide, Always> && std::is_same_v<Fill, AsGiven>) {
    base::RecordMemory::Cache& cache = context.cache();
    draft.fresh = table::Record::make(store_->memory(), cache, write.key, write.value, write.tombstone);
    if (draft.fresh == nullptr) [[unlikely]]
      return {0, "a record"};
    if (logged_) {
      draft.ahead = wal::append_ahead(*context.stager, epoch, {0, id_, write.tombstone, write.key, write.value});
    }
    const table::Position position = table::HashTable::locate_at(home, key_hash, write.key);
    if (position.slot != nullptr) [[likely]] {
      const Seq seq = number(context, epoch, position, *draft.fresh);
      if (table_->publish(position, key_hash, draft.fresh, write.tombstone)) [[likely]] {
        complete(context, cache, epoch, write, draft, seq, key_hash, position);
        return {seq};
      }
    }
  }
  return publish_anywhere(context, epoch, write.copy(), key_hash, draft, decide, fill);
}

template <class Decide, class Fill>
[[gnu::noinline]] SpaceCore::Published SpaceCore::publish_anywhere(ThreadContext& context, base::Epoch epoch,
                                                                   Write write, std::uint64_t key_hash, Draft draft,
                                                                   Decide decide, Fill fill) {
  FreshRecord fresh(store_->memory(), context.cache(), draft.fresh);
  while (true) {
    table::Position position{};
    if (!table_->locate(context.cache(), key_hash, write.key, position)) [[unlikely]]
      return {0, "the table"};
    if (decide(std::as_const(position)) == Verdict::leave) return {};
    if (!fresh.make(write.key, write.value, write.tombstone)) [[unlikely]]
      return {0, "a record"};
    fill(*fresh);
    const Seq seq = number(context, epoch, position, *fresh);
    if (!table_->publish(position, key_hash, fresh.get(), write.tombstone)) continue;
    draft.fresh = fresh.published();
    complete(context, context.cache(), epoch, write, draft, seq, key_hash, position);
    return {seq};
  }
}

}  // namespace actable::store
