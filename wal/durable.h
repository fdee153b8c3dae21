#pragma once

#include "base/park.h"

#include <actable/options.h>
#include <actable/result.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace actable::wal {

/// The durable number, and those who wait for it.
///
/// Thread safety: *synchronized*.
class Durable {
 public:
  /// Every write numbered below it is on disk.
  [[nodiscard]] Seq number() const noexcept { return number_.load(std::memory_order_acquire); }

  /// Before any waiter.
  void begin_at(Seq number) noexcept { number_.store(number, std::memory_order_release); }

  /// Raises the number and lets waiters see it. The log's thread.
  void raise(Seq number) {
    // seq_cst: with the one in wait_for: either it sees the number or we see it waiting.
    number_.store(number, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst) == 0) return;
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    if (watcher_) watcher_();
  }

  /// Calls `watcher` from now on after the number was raised, and when writes are
  /// refused or the log fails: on the thread that did it, under a lock, so it
  /// must be short and call nothing here. What changed before is not told: look
  /// after this call. Replaces the one before; empty: none.
  /// One watcher costs the log's thread as much as one thread that waits.
  void watch(std::function<void()> watcher) {
    const std::lock_guard lock(mutex_);
    // seq_cst: with the ones in raise: it sees us watching, or the number it has
    // raised is there for who looks at it after this call.
    if (!watcher_ && watcher) waiting_.fetch_add(1, std::memory_order_seq_cst);
    if (watcher_ && !watcher) waiting_.fetch_sub(1, std::memory_order_relaxed);
    watcher_ = std::move(watcher);
  }

  /// From now on nothing more is staged; what was staged becomes durable.
  void refuse(std::string_view reason) noexcept { leave(State::refusing, reason); }

  /// From now on nothing becomes durable.
  void fail(std::string_view reason) noexcept { leave(State::failed, reason); }

  [[nodiscard]] bool failed() const noexcept { return state_.load(std::memory_order_acquire) == State::failed; }
  /// True once writes are refused, by a failure or by `refuse`.
  [[nodiscard]] bool refuses() const noexcept { return state_.load(std::memory_order_acquire) != State::working; }
  [[nodiscard]] std::string reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

  /// The highest number that anyone waits for.
  [[nodiscard]] Seq wanted() const noexcept { return wanted_.load(std::memory_order_acquire); }

  /// Says that `number` is wanted; true when the writer must be woken for it.
  [[nodiscard]] bool want(Seq number) noexcept {
    Seq before = wanted_.load(std::memory_order_relaxed);
    while (before < number) {
      if (wanted_.compare_exchange_weak(before, number, std::memory_order_seq_cst)) return true;
    }
    // Somebody wants as much already, and has woken the writer or is about to.
    return false;
  }

  /// Waits until the durable number is `number` or more. False when the log failed first.
  [[nodiscard]] bool wait_for(Seq number) {
    waiting_.fetch_add(1, std::memory_order_seq_cst);
    const auto over = [&] {
      return number_.load(std::memory_order_seq_cst) >= number ||
             state_.load(std::memory_order_relaxed) == State::failed;
    };
    ACTABLE_AWAIT("log.durable", over);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, over);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return number_.load(std::memory_order_acquire) >= number;
  }

 private:
  enum class State : unsigned char { working, refusing, failed };

  void leave(State to, std::string_view reason) noexcept {
    const std::lock_guard lock(mutex_);
    if (state_.load(std::memory_order_relaxed) >= to) return;
    try {
      reason_ = reason;
    } catch (const std::bad_alloc&) {
      // Short enough to need no memory.
      reason_ = "no memory";
    }
    // release: the reason; pairs with the acquires of those who look.
    state_.store(to, std::memory_order_release);
    changed_.notify_all();
    if (watcher_) watcher_();
  }

  std::atomic<Seq> number_{0};
  std::atomic<Seq> wanted_{0};
  std::atomic<unsigned> waiting_{0};
  std::atomic<State> state_{State::working};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string reason_;
  std::function<void()> watcher_;
};

}  // namespace actable::wal
