#include "actors/board.h"

#include <caf/mailbox_element.hpp>

#include <limits>
#include <new>
#include <string>
#include <utility>

namespace actable::actors {

namespace {

constexpr Seq k_all = std::numeric_limits<Seq>::max();

/// The write was made, so no error may say that nothing was changed.
[[nodiscard]] caf::message failed_answer(const Error& error) {
  switch (error.code) {
    case ErrorCode::closed:
      return caf::make_message(
          make_error(ErrorCode::indeterminate, "the store was closed before the write was known to be on disk (" +
                                                   error.message + "); it may or may not be there then"));
    case ErrorCode::overloaded:
      return caf::make_message(
          make_error(ErrorCode::indeterminate,
                     "more threads use stores than can, so that it is not known whether the write is on disk; it may "
                     "or may not be there after the store is opened again"));
    default:
      return caf::make_message(make_error(error.code, error.message));
  }
}

}  // namespace

std::size_t Board::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiters_.size();
}

caf::error Board::full() const {
  {
    const std::lock_guard lock(mutex_);
    if (waiters_.size() < waiters_max_) return {};
  }
  return make_error(ErrorCode::overloaded, std::to_string(waiters_max_) +
                                               " requests wait for the disk (ActorOptions::waiters_max); nothing was "
                                               "changed, try again later");
}

void Board::add(Seq seq, caf::response_promise promise, caf::message value) {
  // Sent one-way: nobody waits.
  if (!promise.pending()) return;
  Waiter waiter{std::move(promise), std::move(value)};
  try {
    put_up(seq, waiter);
  } catch (const std::bad_alloc&) {
    // CAF answers nobody whose promise was dropped.
    answer(waiter.promise,
           caf::make_message(make_error(ErrorCode::indeterminate,
                                        "there is no memory to wait for the disk; the write may or may not be there "
                                        "after the store is opened again")),
           nullptr);
    // Or it is on the board, and nobody has looked whether it had to be.
    changed();
  }
}

void Board::put_up(Seq seq, Waiter& waiter) {
  auto durable = store_->want_durable(seq);
  if (!durable) {
    // A store that was closed meanwhile has synced what it could.
    const bool made_it = durable.error().code == ErrorCode::closed && store_->durable_seq() >= seq;
    answer(waiter.promise, made_it ? waiter.value : failed_answer(durable.error()), nullptr);
    return;
  }
  if (*durable) {
    answer(waiter.promise, waiter.value, nullptr);
    return;
  }
  caf::error abandoned;
  {
    const std::lock_guard lock(mutex_);
    abandoned = abandoned_;
    if (!abandoned) waiters_.emplace(seq, std::move(waiter));
  }
  if (abandoned) {
    const bool made_it = store_->durable_seq() >= seq;
    answer(waiter.promise, made_it ? waiter.value : caf::make_message(std::move(abandoned)), nullptr);
    return;
  }
  // What changed since we asked was perhaps told before we were on the board.
  durable = store_->want_durable(seq);
  if (!durable || *durable) changed();
}

void Board::changed() noexcept {
  // acq_rel: releases what changed to `looked`, also where somebody else has poked.
  if (poked_.exchange(true, std::memory_order_acq_rel)) return;
  try {
    poke_();
  } catch (const std::bad_alloc&) {
    // The next change tells it.
    poked_.store(false, std::memory_order_release);
  }
}

void Board::answer(const caf::response_promise& promise, caf::message with, caf::execution_unit* host) {
  // Not through the promise: it would use the scheduling context of the actor
  // that made it, which is not the one that runs now, and may be gone.
  caf::response_promise::forwarding_stack stages = promise.stages();
  if (!stages.empty()) {
    const caf::strong_actor_ptr next = std::move(stages.back());
    stages.pop_back();
    next->enqueue(caf::make_mailbox_element(promise.source(), promise.id(), std::move(stages), std::move(with)), host);
    return;
  }
  const caf::strong_actor_ptr& source = promise.source();
  if (source != nullptr) source->enqueue(nullptr, promise.id().response_id(), std::move(with), host);
}

Board::Waiters::node_type Board::take_first(Seq up_to) {
  const std::lock_guard lock(mutex_);
  const auto first = waiters_.begin();
  if (first == waiters_.end() || first->first > up_to) return {};
  return waiters_.extract(first);
}

void Board::answer_up_to(Seq number, const caf::message* instead, caf::execution_unit* host) {
  while (auto taken = take_first(number)) {
    const Waiter& waiter = taken.mapped();
    try {
      answer(waiter.promise, instead == nullptr ? waiter.value : *instead, host);
    } catch (...) {
      // No memory. It waits on, for the next who looks.
      const std::lock_guard lock(mutex_);
      waiters_.insert(std::move(taken));
      throw;
    }
  }
}

void Board::answer_durable(caf::execution_unit* host) { answer_up_to(store_->durable_seq(), nullptr, host); }

void Board::answer_if_failed(caf::execution_unit* host) {
  Seq first = 0;
  {
    const std::lock_guard lock(mutex_);
    if (waiters_.empty()) return;
    first = waiters_.begin()->first;
  }
  const auto wanted = store_->want_durable(first);
  // Any other error says that the log was not asked. While closing, who closes answers them.
  if (wanted || wanted.error().code != ErrorCode::indeterminate) return;
  const caf::message error = failed_answer(wanted.error());
  answer_up_to(k_all, &error, host);
}

void Board::abandon(const caf::error& error) {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = error;
  }
  // From here on nobody comes to the board.
  answer_durable(nullptr);
  const caf::message answer = caf::make_message(error);
  answer_up_to(k_all, &answer, nullptr);
}

}  // namespace actable::actors

namespace actable {

void answer_when_durable(const LogActor& log, Seq seq, caf::response_promise promise, caf::message value) {
  auto* const gate = dynamic_cast<actors::LogGate*>(caf::actor_cast<caf::abstract_actor*>(log));
  if (gate == nullptr) {
    const caf::error error = make_error(ErrorCode::unsupported, "the log is not one of a store in this process");
    actors::Board::answer(promise, caf::make_message(error), nullptr);
    return;
  }
  gate->board().add(seq, std::move(promise), std::move(value));
}

}  // namespace actable
