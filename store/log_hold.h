#pragma once

#include "store/store_core.h"
#include "store/thread_context.h"
#include "wal/log.h"

#include <memory>
#include <utility>

namespace actable::store {

/// What a write has to do with the log beside staging: waiting for room before
/// it, waking and waiting for the log's thread after it. Most writes need none.
///
/// While pinned, an operation may use the store's log; unpinned, closing may
/// take it away, so whoever goes on unpinned takes a share of it first.
///
/// Thread safety: *confined* to one operation.
class LogHold {
 public:
  LogHold() = default;
  ~LogHold() {
    if (stager_ != nullptr) log_->unreserve(*stager_);
  }
  LogHold(const LogHold&) = delete;
  LogHold& operator=(const LogHold&) = delete;

  /// Pinned, before staging `bytes` of records: false when there is no room for
  /// them now, or the log has failed.
  [[nodiscard, gnu::always_inline]] static bool has_room(StoreCore& store, const ThreadContext& context,
                                                         std::size_t bytes) noexcept {
    return store.log()->ready(*context.stager, bytes);
  }

  /// Pinned, after publishing and staging: whether there is something to do
  /// once unpinned.
  [[nodiscard, gnu::always_inline]] static bool needed(const ThreadContext& context, bool logged,
                                                       WriteOptions options) noexcept {
    if (context.cache().budget_due()) return true;
    return logged && (context.stager->began_frame || options.durability == Durability::sync);
  }

  /// Pinned, when there was no room. Unpin then, and call `reserve`.
  void no_room(StoreCore& store) { log_ = store.share_log(); }

  /// Unpinned. Fails as wal::Log::reserve.
  [[nodiscard]] Result<void> reserve(ThreadContext& context, std::size_t bytes, WriteOptions options) {
    stager_ = context.stager;
    return log_->reserve(*context.stager, bytes, options.no_wait);
  }

  /// Pinned, after publishing and staging, if `needed`. Unpin then, and call `finish`.
  void written(StoreCore& store, ThreadContext& context, bool logged, WriteOptions options) {
    budget_due_ = context.cache().budget_due();
    if (!logged) return;
    wake_ = store.log()->needs_wake(*context.stager);
    wait_ = options.durability == Durability::sync;
    if ((wake_ || wait_) && log_ == nullptr) log_ = store.share_log();
  }

  /// Unpinned. Wakes the log's thread if it sleeps.
  void wake() noexcept {
    if (std::exchange(wake_, false)) log_->wake();
  }

  /// Unpinned. Keeps the budget of retired memory; as `wake`; then waits for the
  /// disk if that was asked for. Returns the number. Fails with indeterminate.
  [[nodiscard]] Result<Seq> finish(StoreCore& store, ThreadContext& context, Seq seq) {
    if (budget_due_) store.let_others_run(context);
    wake();
    if (wait_) {
      if (auto durable = log_->wait_durable(seq + 1); !durable) return std::unexpected(std::move(durable.error()));
    }
    return seq;
  }

 private:
  std::shared_ptr<wal::Log> log_;
  // Set once something was reserved.
  wal::Stager* stager_ = nullptr;
  bool budget_due_ = false;
  bool wake_ = false;
  bool wait_ = false;
};

}  // namespace actable::store
