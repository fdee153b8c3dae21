#pragma once

#include "actors/gate.h"
#include "store/store_core.h"

#include <actable/actors.h>

#include <caf/actor_addr.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace actable::actors {

/// A subscriber, and what it was told. Held by address, so that a subscription
/// keeps nobody alive.
struct Subscription {
  Seq told = 0;
  /// A notice has not been answered yet.
  bool waiting = false;
  bool told_failure = false;
  /// Unsubscribed while a notice is on its way; kept until that is answered, so
  /// that who subscribes again is not sent a second one meanwhile.
  bool ended = false;
};

/// Who waits for the disk: outside of the log's actor, so that its crash loses
/// nobody.
///
/// Thread safety: *synchronized*, but for the subscriptions, which are
/// *confined* to the log's actor: to the one that runs, for the next begins
/// when the one before has ended.
class Board {
 public:
  /// `poke` has the log's actor receive `Advanced`.
  Board(std::shared_ptr<store::StoreCore> store, std::size_t waiters_max, std::function<void()> poke)
      : store_(std::move(store)), waiters_max_(waiters_max), poke_(std::move(poke)) {}

  /// The error for a request that would have to wait while as many wait as may:
  /// to be asked before the request changes anything. A few more may come, as
  /// many as there are actors that ask at the same time. None if there is room.
  [[nodiscard]] caf::error full() const;

  /// Answers the promise with `value` once the write numbered `seq` is on disk,
  /// or with the error of `StoreCore::want_durable`, now or later; but with
  /// indeterminate where that says that nothing was changed, for the write has
  /// been made. Takes it also when the board is full.
  void add(Seq seq, caf::response_promise promise, caf::message value);

  /// Answers a promise, from any thread: through the promise itself, that is for
  /// the actor that made it, while it runs.
  static void answer(const caf::response_promise& promise, caf::message with, caf::execution_unit* host);

  /// The durable number may have changed. Any thread; takes a lock of the
  /// scheduler's at most, and does nothing while the log's actor has yet to
  /// look for the time before.
  void changed() noexcept;

  /// The log's actor looks now: later changes are told again.
  void looked() noexcept {
    // acq_rel: with the one in `changed`: whoever found that the actor had been
    // poked already has changed what this call lets it see.
    poked_.exchange(false, std::memory_order_acq_rel);
  }

  /// Answers all who wait for what is durable now. `host` is the calling actor's,
  /// null for other threads.
  void answer_durable(caf::execution_unit* host);

  /// Answers all with the error if nothing becomes durable any more.
  void answer_if_failed(caf::execution_unit* host);

  /// Answers all who wait and all who come later: those whose write is on disk
  /// by now as ever, the others with `error`.
  void abandon(const caf::error& error);

  [[nodiscard]] store::StoreCore& store() noexcept { return *store_; }
  [[nodiscard]] std::map<caf::actor_addr, Subscription>& subscriptions() noexcept { return subscriptions_; }

  /// How many there are, for others than the log's actor, which counts them.
  [[nodiscard]] std::size_t subscribers() const noexcept { return subscribers_.load(std::memory_order_relaxed); }
  void count_subscribers() noexcept { subscribers_.store(subscriptions_.size(), std::memory_order_relaxed); }
  /// How many wait for the disk.
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct Waiter {
    caf::response_promise promise;
    caf::message value;
  };

  using Waiters = std::multimap<Seq, Waiter>;

  /// As `add`. Where it throws, the waiter is as it was, or on the board and empty.
  void put_up(Seq seq, Waiter& waiter);
  /// Empty if nobody waits for a number that is no higher.
  [[nodiscard]] Waiters::node_type take_first(Seq up_to);
  /// Answers those who wait for such numbers: with their values, or with `instead`
  /// if it is given. Where it throws, who was not answered waits.
  void answer_up_to(Seq number, const caf::message* instead, caf::execution_unit* host);

  const std::shared_ptr<store::StoreCore> store_;
  const std::size_t waiters_max_;
  const std::function<void()> poke_;
  std::atomic<bool> poked_{false};
  mutable std::mutex mutex_;
  Waiters waiters_;
  caf::error abandoned_;
  std::map<caf::actor_addr, Subscription> subscriptions_;
  std::atomic<std::size_t> subscribers_{0};
};

/// The gate of the log's actor, which `answer_when_durable` goes around.
class LogGate final : public Gate {
 public:
  using Gate::Gate;
  /// Before anybody has the handle.
  void attach_board(std::shared_ptr<Board> board) { board_ = std::move(board); }
  [[nodiscard]] Board& board() noexcept { return *board_; }

 private:
  std::shared_ptr<Board> board_;
};

}  // namespace actable::actors
