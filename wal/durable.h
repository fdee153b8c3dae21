#pragma once

#include "base/bell.h"
#include "base/epoch.h"
#include "base/park.h"

#include <actable/options.h>
#include <actable/result.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
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
    // seq_cst: with the ones in wait_for and watch: either they see the number or
    // we see them.
    const Seq before = number_.exchange(number, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst) != 0) let_go(before, number);
    if (!watched_.load(std::memory_order_seq_cst)) return;
    const std::lock_guard lock(mutex_);
    if (watcher_) watcher_();
  }

  /// Calls `watcher` from now on after the number was raised, and when writes are
  /// refused or the log fails: on the thread that did it, under a lock, so it
  /// must be short and call nothing here. What changed before is not told: look
  /// after this call. Replaces the one before; empty: none.
  void watch(std::function<void()> watcher) {
    const std::lock_guard lock(mutex_);
    // seq_cst: with the ones in raise: it sees us watching, or the number it has
    // raised is there for who looks at it after this call.
    watched_.store(static_cast<bool>(watcher), std::memory_order_seq_cst);
    watcher_ = std::move(watcher);
  }

  /// From now on nothing more is staged; what was staged becomes durable.
  void refuse(std::string_view reason) noexcept {
    // Before the state, so that who goes on after a failure finds it.
    refused_.store(true, std::memory_order_seq_cst);
    leave(State::refusing, reason);
  }

  /// From now on nothing becomes durable.
  void fail(std::string_view reason) noexcept { leave(State::failed, reason); }

  /// After a failure: all numbered below `number` is on disk now, and more is staged
  /// again, unless somebody has refused that. The log's thread, at the end of
  /// Writer::begin_anew.
  void resume(Seq number) noexcept {
    const std::lock_guard lock(mutex_);
    number_.store(number, std::memory_order_seq_cst);
    const bool refused = refused_.load(std::memory_order_seq_cst);
    reason_ = refused ? "refused earlier" : "";
    // release: all that was begun anew; pairs with the acquires of those who look.
    state_.store(refused ? State::refusing : State::working, std::memory_order_release);
    for (base::Bell& bell : bells_) bell.ring();
    if (watcher_) watcher_();
  }
  /// Whether `refuse` was called, before a failure or after it.
  [[nodiscard]] bool refused() const noexcept { return refused_.load(std::memory_order_seq_cst); }

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
    base::Bell& bell = bell_of(base::epoch_of(number - 1));
    while (true) {
      const std::uint32_t heard = bell.heard();
      if (over()) break;
      bell.wait(heard);
    }
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return number_.load(std::memory_order_acquire) >= number;
  }

 private:
  enum class State : unsigned char { working, refusing, failed };

  /// Whoever waits for a number waits for the bell of its epoch: all numbers of
  /// an epoch become durable at once, so nobody is woken to find that it was for
  /// others, and nobody waits for a lock to look.
  static constexpr std::size_t k_bells = 16;
  [[nodiscard]] base::Bell& bell_of(base::Epoch epoch) noexcept { return bells_[epoch % k_bells]; }
  /// Wakes who waits for any number from `before` on and below `number`.
  void let_go(Seq before, Seq number) noexcept {
    if (number <= before) return;
    const base::Epoch first = base::epoch_of(before);
    const base::Epoch last = std::min<base::Epoch>(base::epoch_of(number - 1), first + k_bells - 1);
    for (base::Epoch epoch = first; epoch <= last; ++epoch) bell_of(epoch).ring();
  }

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
    for (base::Bell& bell : bells_) bell.ring();
    if (watcher_) watcher_();
  }

  std::atomic<Seq> number_{0};
  std::atomic<Seq> wanted_{0};
  std::atomic<unsigned> waiting_{0};
  std::atomic<bool> watched_{false};
  std::array<base::Bell, k_bells> bells_{};
  // Each put reads it: not beside the bells, which ring at each sync that is waited for, nor
  // the mutex, which is locked at each sync that is watched.
  alignas(64) std::atomic<State> state_{State::working};
  std::atomic<bool> refused_{false};
  alignas(64) mutable std::mutex mutex_;
  std::string reason_;
  std::function<void()> watcher_;
};

}  // namespace actable::wal
