#pragma once

#include "base/hash.h"
#include "routing/shard_map.h"
#include "store/shard_counters.h"
#include "store/thread_context.h"
#include "table/hash_table.h"

#include <actable/space.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace actable::store {

class StoreCore;

/// What a conditional write decides once it has seen the key's record.
enum class Verdict { write, leave };

/// A space: its table, and what operations on it are made of. The public face
/// is `actable::Space`, of which every copy holds one of these.
///
/// Lives as long as a handle does, and the table's directory with it; what that leads
/// to is gone once the space is dropped or the store closed. An operation looks at `state` after it has pinned; who
/// changes the state waits for the pins from before until he touches the table.
///
/// Thread safety: *synchronized*.
class SpaceCore {
 public:
  enum class State : std::uint8_t { open, dropped, closed };

  SpaceCore(std::shared_ptr<StoreCore> store, std::uint32_t id, std::string name, SpaceOptions options);
  ~SpaceCore();

  [[nodiscard]] StoreCore& store() const noexcept { return *store_; }
  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// While recovering only: the name is learned after the records.
  void rename(std::string name) { name_ = std::move(name); }
  [[nodiscard]] const SpaceOptions& options() const noexcept { return options_; }
  /// True when its writes go to the log.
  [[nodiscard]] bool logged() const noexcept { return logged_; }

  // acquire: pairs with the release in set_state.
  [[nodiscard]] State state() const noexcept { return state_.load(std::memory_order_acquire); }
  void set_state(State state) noexcept { state_.store(state, std::memory_order_release); }
  [[nodiscard]] std::unexpected<Error> not_open() const;

  [[nodiscard]] table::HashTable& table() noexcept { return *table_; }
  /// The table's directory stays until the space goes: operations look at it before
  /// they are pinned. What it leads to may go before.
  [[nodiscard]] bool make_table(table::HashTable::Cache& cache);

  [[nodiscard, gnu::always_inline]] std::uint64_t hash(std::string_view key) const noexcept {
    return base::hash_key(key, hash_seed_);
  }

  /// Starts fetching the buckets and records of these keys, 16 of them at most, all
  /// at the same time. Nothing, where that is not possible.
  void fetch(std::span<const std::string_view> keys) const noexcept;

  /// Calls `f` with the key's record while pinned. False when absent. `f` is copied,
  /// also where the way is a rare one: it refers to what it keeps.
  template <class F>
  [[nodiscard]] Result<bool> read(std::string_view key, F f) const;

  /// As `Space::multi_get`, of as many keys as values that all fit.
  [[nodiscard]] Result<std::size_t> multi_read(ThreadContext& context, std::span<const std::string_view> keys,
                                               std::span<std::optional<std::string>> values) const;

  /// The verdict of a plain put.
  struct Always {
    Verdict operator()(const table::Position&) const noexcept { return Verdict::write; }
  };
  /// The value is as it was given.
  struct AsGiven {
    void operator()(table::Record&) const noexcept {}
  };

  struct Write {
    std::string_view key;
    std::string_view value;
    bool tombstone;
    WriteOptions options;
    OperationKind operation = OperationKind::put;

    /// Member by member, so that the compiler can keep the original in registers.
    [[nodiscard, gnu::always_inline]] Write copy() const noexcept {
      const auto& [durability, no_wait] = options;
      return {key, value, tombstone, {durability, no_wait}, operation};
    }
  };
  /// Writes the key's next version if `decide(position)` says so; `fill(record)`
  /// may then still set the value's bytes. Both run again after a lost race, and are
  /// copied as in `read`.
  /// Returns the write's number, and 0 when the verdict was to leave.
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write(const Write& write, Decide decide, Fill fill);
  template <class Decide>
  [[nodiscard]] Result<Seq> write(const Write& what, Decide decide) {
    return write(what, decide, AsGiven{});
  }

  /// Fails with unsupported when a sync is asked of a space without a log.
  [[nodiscard]] Result<void> check_durability(WriteOptions options) const {
    if (options.durability == Durability::async || logged_) [[likely]]
      return {};
    return cannot_sync();
  }

  /// Keeps the counters after `fresh` has replaced what was at `position`, and
  /// retires that.
  void replaced(ThreadContext& context, std::uint64_t hash, const table::Position& position,
                const table::Record& fresh) noexcept;

  [[nodiscard]] std::size_t keys() const noexcept { return counters_.keys(); }
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return counters_.payload_bytes(); }
  [[nodiscard]] SpaceStats stats() const;

  // Pinned, with the space open.

  /// Of record memory: live records and the table.
  [[nodiscard]] std::size_t bytes_in_use() const noexcept;
  [[nodiscard]] std::size_t tombstones() const noexcept;
  /// True when the table has many more segments than its keys need, and that is
  /// news since the last time that it was said. *Confined* to the one who looks.
  [[nodiscard]] bool has_become_thin() noexcept;

 private:
  /// A key's hash, and where the table begins with it.
  struct Place {
    std::uint64_t hash;
    table::HashTable::Start start;
  };
  [[nodiscard]] Place find_place(std::string_view key) const noexcept;
  template <class F>
  [[nodiscard]] Result<bool> read_other_size(std::string_view key, F f) const;
  template <class F>
  [[nodiscard]] Result<bool> read_fitting(std::string_view key, F f) const;
  template <class F>
  [[nodiscard]] Result<bool> read_first(std::string_view key, F f) const;
  // As `read` and `write`, once the thread's operations are counted.
  template <class F>
  [[nodiscard]] Result<bool> read_counted(ThreadContext& context, std::string_view key, Place place, F f) const;
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write_counted(ThreadContext& context, const Write& write, Place place, Decide decide,
                                          Fill fill);
  // The same of an operation that samples are taken of.
  template <class F>
  [[nodiscard]] Result<bool> read_sampled(ThreadContext& context, std::string_view key, Place place, F f) const;
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write_other_size(Write write, Decide decide, Fill fill);
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write_fitting(const Write& write, Decide decide, Fill fill);
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write_first(Write write, Decide decide, Fill fill);
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write_sampled(ThreadContext& context, Write write, Place place, Decide decide, Fill fill);
  [[nodiscard]] Result<std::size_t> multi_read_counted(ThreadContext& context, std::span<const std::string_view> keys,
                                                       std::span<std::optional<std::string>> values) const;
  template <class F>
  [[nodiscard]] Result<bool> look(std::string_view key, Place place, F f) const;
  /// `replaced` is null if there was nothing, and may be a tombstone.
  void count_change(std::uint64_t hash, const table::Record* replaced, const table::Record& fresh) noexcept;
  /// The number or 0, and what there was no memory for, if there was none.
  struct Published {
    Seq seq = 0;
    const char* lacked = nullptr;
  };
  /// What was made of the next version before the old one was seen.
  struct Draft {
    table::Record* fresh = nullptr;
    /// Where in the log it was copied to.
    wal::StagedFrame* ahead = nullptr;
  };
  /// The steps 5 to 7 of a put (docs/architecture.md), pinned: most puts are
  /// done at once, where the key is in its first bucket.
  template <class Decide, class Fill>
  [[nodiscard]] Published publish(ThreadContext& context, base::Epoch epoch, const Write& write, std::uint64_t key_hash,
                                  table::Bucket& home, Decide decide, Fill fill);
  template <class Decide, class Fill>
  [[nodiscard]] Published publish_anywhere(ThreadContext& context, base::Epoch epoch, Write write,
                                           std::uint64_t key_hash, Draft draft, Decide decide, Fill fill);
  template <class Decide, class Fill>
  [[nodiscard]] Result<Seq> write_with_room(ThreadContext& context, Write write, Decide decide, Fill fill);
  [[nodiscard]] static std::optional<std::size_t> value_bytes_of(const Write& write, bool written) noexcept;
  /// What the write takes of the log, if it is logged.
  [[nodiscard]] static std::size_t log_bytes(const Write& write) noexcept;
  [[nodiscard]] Seq number(ThreadContext& context, base::Epoch epoch, const table::Position& position,
                           table::Record& fresh) const noexcept;
  using Cache = base::RecordMemory::Cache;
  void complete(ThreadContext& context, Cache& cache, base::Epoch epoch, const Write& write, const Draft& draft,
                Seq seq, std::uint64_t key_hash, const table::Position& position) noexcept;
  [[nodiscard]] std::unexpected<Error> cannot_sync() const;

  const std::shared_ptr<StoreCore> store_;
  const std::uint32_t id_;
  const bool logged_;
  const std::uint64_t hash_seed_;
  std::atomic<State> state_{State::open};
  std::unique_ptr<table::HashTable> table_;
  std::string name_;
  const SpaceOptions options_;
  ShardCounters counters_;
  // What it held when it was last found thin.
  std::size_t thin_segments_ = 0;
  std::size_t thin_held_ = 0;
};

}  // namespace actable::store
