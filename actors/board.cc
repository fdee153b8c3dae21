#include "actors/board.h"

#include <limits>
#include <new>
#include <utility>

namespace actable::actors {

namespace {

[[nodiscard]] caf::message failed_answer(const Error& error) {
  if (error.code != ErrorCode::closed) return caf::make_message(make_error(error.code, error.message));
  return caf::make_message(
      make_error(ErrorCode::indeterminate, "the store was closed before the write was known to be on disk (" +
                                               error.message + "); it may or may not be there then"));
}

}  // namespace

void Board::add(Seq seq, caf::response_promise promise, caf::message value) {
  Waiter waiter{std::move(promise), std::move(value)};
  auto durable = store_->want_durable(seq);
  if (!durable) {
    // A store that was closed meanwhile has synced what it could.
    const bool made_it = durable.error().code == ErrorCode::closed && store_->durable_seq() >= seq;
    answer(waiter, made_it ? waiter.value : failed_answer(durable.error()), nullptr);
    return;
  }
  if (*durable) {
    answer(waiter, waiter.value, nullptr);
    return;
  }
  caf::error abandoned;
  {
    const std::lock_guard lock(mutex_);
    abandoned = abandoned_;
    if (!abandoned) waiters_.emplace(seq, std::move(waiter));
  }
  if (abandoned) {
    answer(waiter, caf::make_message(std::move(abandoned)), nullptr);
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

void Board::answer(Waiter& waiter, caf::message with, caf::execution_unit* host) {
  if (!waiter.promise.stages().empty()) {
    waiter.promise.deliver(std::move(with));
    return;
  }
  // Not through the promise: it would use the scheduling context of the actor
  // that made it, which is not the one that runs now, and may be gone.
  const caf::strong_actor_ptr& source = waiter.promise.source();
  if (source != nullptr) source->enqueue(nullptr, waiter.promise.id().response_id(), std::move(with), host);
}

std::optional<Board::Waiter> Board::take_first(Seq up_to) {
  const std::lock_guard lock(mutex_);
  const auto first = waiters_.begin();
  if (first == waiters_.end() || first->first > up_to) return std::nullopt;
  std::optional<Waiter> taken(std::move(first->second));
  waiters_.erase(first);
  return taken;
}

void Board::answer_durable(caf::execution_unit* host) {
  const Seq durable = store_->durable_seq();
  while (auto waiter = take_first(durable)) answer(*waiter, waiter->value, host);
}

void Board::answer_if_failed(caf::execution_unit* host) {
  Seq first = 0;
  {
    const std::lock_guard lock(mutex_);
    if (waiters_.empty()) return;
    first = waiters_.begin()->first;
  }
  const auto wanted = store_->want_durable(first);
  // While closing, who closes answers them.
  if (wanted || wanted.error().code == ErrorCode::closed) return;
  const caf::message error = failed_answer(wanted.error());
  while (auto waiter = take_first(std::numeric_limits<Seq>::max())) answer(*waiter, error, host);
}

void Board::abandon(const caf::error& error) {
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = error;
  }
  while (auto waiter = take_first(std::numeric_limits<Seq>::max())) answer(*waiter, caf::make_message(error), nullptr);
}

}  // namespace actable::actors

namespace actable {

void answer_when_durable(const LogActor& log, Seq seq, caf::response_promise promise, caf::message value) {
  auto* const gate = dynamic_cast<actors::LogGate*>(caf::actor_cast<caf::abstract_actor*>(log));
  if (gate == nullptr) {
    promise.deliver(make_error(ErrorCode::unsupported, "the log is not one of a store in this process"));
    return;
  }
  gate->board().add(seq, std::move(promise), std::move(value));
}

}  // namespace actable
