#pragma once

#include "store/store_core.h"
#include "store/thread_context.h"
#include "wal/log.h"

#include <memory>
#include <utility>

namespace actable::store {

/// The log's side of one write: room before it, waking and waiting after it.
///
/// While pinned, an operation may use the store's log; unpinned, closing may
/// take it away, so whoever goes on unpinned (to wait for room, to wake the
/// log's thread, to wait for the disk) takes a share of it first. Most writes
/// need none.
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

  /// Pinned. True when `bytes` of records can be staged now; otherwise unpin,
  /// and call `reserve`.
  [[nodiscard]] bool has_room(StoreCore& store, const ThreadContext& context, std::size_t bytes) {
    if (store.log()->ready(*context.stager, bytes)) [[likely]]
      return true;
    log_ = store.share_log();
    return false;
  }

  /// Unpinned, after `has_room` said no. Fails as wal::Log::reserve.
  [[nodiscard]] Result<void> reserve(ThreadContext& context, std::size_t bytes) {
    stager_ = context.stager;
    return log_->reserve(*context.stager, bytes);
  }

  /// Pinned, after publishing and staging.
  void written(StoreCore& store, ThreadContext& context, bool logged, WriteOptions options) {
    budget_due_ = context.cache.budget_due();
    if (!logged) return;
    wake_ = store.log()->needs_wake(*context.stager);
    wait_ = options.durability == Durability::sync;
    if ((wake_ || wait_) && log_ == nullptr) log_ = store.share_log();
  }

  /// Unpinned. Wakes the log's thread if it sleeps.
  void wake() noexcept {
    if (std::exchange(wake_, false)) log_->wake();
  }

  /// Unpinned. As `wake`; then waits for the disk if that was asked for. Fails with indeterminate.
  [[nodiscard]] Result<void> finish(StoreCore& store, ThreadContext& context, Seq seq) {
    if (budget_due_) [[unlikely]]
      store.let_others_run(context);
    wake();
    if (!wait_) return {};
    return log_->wait_durable(seq + 1);
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
