#include "actors/gate.h"

#include "actors/orders.h"

#include <caf/downstream_msg.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/system_messages.hpp>
#include <caf/upstream_msg.hpp>

#include <chrono>
#include <new>
#include <utility>

namespace actable::actors {
namespace {

/// True for what an actor of CAF takes before its handlers see it. Links and
/// exits are for workers, which the supervisor ends; and what no handler sees
/// would count as waiting for ever.
[[nodiscard]] bool is_system_message(const caf::mailbox_element& message) {
  const caf::type_erased_tuple& content = message.content();
  switch (content.type_token()) {
    case caf::make_type_token<caf::exit_msg>():
    case caf::make_type_token<caf::down_msg>():
    case caf::make_type_token<caf::error>():
    case caf::make_type_token<caf::timeout_msg>():
    case caf::make_type_token<caf::open_stream_msg>():
    case caf::make_type_token<caf::upstream_msg>():
    case caf::make_type_token<caf::downstream_msg>():
      return true;
    case caf::make_type_token<caf::atom_value, caf::atom_value, std::string>():
      return content.get_as<caf::atom_value>(0) == caf::sys_atom::value;
    default:
      return message.mid.is_response();
  }
}

/// Not through `bounce`, which has no word for why.
void refuse_request(const caf::mailbox_element& request, caf::error error, caf::execution_unit* host) {
  if (request.sender == nullptr || !request.mid.is_request()) return;
  request.sender->enqueue(nullptr, request.mid.response_id(), caf::make_message(std::move(error)), host);
}

}  // namespace

Gate::Gate(caf::actor_config& config, std::string name, std::set<std::string> message_types, std::size_t mailbox_max)
    : monitorable_actor(config),
      name_(std::move(name)),
      message_types_(std::move(message_types)),
      mailbox_max_(mailbox_max) {}

void Gate::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* host) {
  if (is_system_message(*what)) {
    refuse_request(*what, caf::sec::unexpected_message, host);
    return;
  }
  if (!what->mid.is_request()) {
    // CAF answers one-way messages, too, and an error that comes as an answer
    // to one ends the actor that sent it.
    what->sender = nullptr;
    what->stages.clear();
  }
  caf::strong_actor_ptr worker;
  caf::error error;
  std::shared_ptr<Trace> trace;
  {
    const std::lock_guard lock(mutex_);
    if (trace_ != nullptr) [[unlikely]]
      trace = trace_;
    if (worker_ == nullptr || refusal_) {
      error = why_not();
    } else if (load_->waiting.fetch_add(1, std::memory_order_relaxed) >= mailbox_max_) {
      load_->waiting.fetch_sub(1, std::memory_order_relaxed);
      error =
          make_error(ErrorCode::overloaded, std::to_string(mailbox_max_) + " requests wait for the actor " + name_ +
                                                " (ActorOptions::mailbox_max); nothing was changed, try again later");
    } else {
      worker = worker_;
    }
  }
  if (trace != nullptr) [[unlikely]]
    tell_trace(trace, [&] { return describe(*what); });
  if (worker != nullptr) {
    worker->enqueue(std::move(what), host);
    return;
  }
  refused_.fetch_add(1, std::memory_order_relaxed);
  refuse_request(*what, std::move(error), host);
}

void Gate::trace(std::shared_ptr<Trace> trace) {
  {
    const std::lock_guard lock(mutex_);
    trace_.swap(trace);
  }
  // The one before.
  if (trace != nullptr) trace->end();
}

template <class Make>
void Gate::tell_trace(const std::shared_ptr<Trace>& trace, Make&& make) {
  try {
    trace->note(std::forward<Make>(make));
  } catch (const std::bad_alloc&) {
    trace->end();
  }
  if (!trace->over()) return;
  const std::lock_guard lock(mutex_);
  if (trace_ == trace) trace_.reset();
}

caf::error Gate::why_not() const {
  if (refusal_) return refusal_;
  return make_error(ErrorCode::overloaded,
                    "the actor " + name_ + " crashed (" + last_crash_ +
                        ") and is about to be started again; nothing was changed, try again later");
}

bool Gate::lead_to(caf::strong_actor_ptr worker, std::shared_ptr<Load> load) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  if (load_ != nullptr) {
    processed_before_ += load_->processed.load(std::memory_order_relaxed);
    busy_ns_before_ += load_->busy_ns.load(std::memory_order_relaxed);
    ++restarts_;
  }
  worker_ = std::move(worker);
  load_ = std::move(load);
  return true;
}

caf::strong_actor_ptr Gate::worker() const {
  const std::lock_guard lock(mutex_);
  return worker_;
}

void Gate::interrupt(std::string crash) {
  const std::lock_guard lock(mutex_);
  worker_ = nullptr;
  last_crash_ = std::move(crash);
}

void Gate::refuse(caf::error error) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(error);
}

caf::error Gate::refusal() const {
  const std::lock_guard lock(mutex_);
  return refusal_;
}

void Gate::tell(caf::message message) {
  caf::strong_actor_ptr to;
  std::shared_ptr<Trace> trace;
  {
    const std::lock_guard lock(mutex_);
    if (worker_ == nullptr) return;
    to = worker_;
    trace = trace_;
  }
  deliver(to, std::move(message), trace);
}

bool Gate::try_tell(caf::message message) {
  caf::strong_actor_ptr to;
  {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return false;
    to = worker_;
  }
  if (to != nullptr) deliver(to, std::move(message), nullptr);
  return true;
}

bool Gate::offer(caf::message message) {
  caf::strong_actor_ptr to;
  std::shared_ptr<Trace> trace;
  {
    const std::lock_guard lock(mutex_);
    if (worker_ == nullptr || refusal_) return false;
    load_->waiting.fetch_add(1, std::memory_order_relaxed);
    to = worker_;
    trace = trace_;
  }
  deliver(to, std::move(message), trace);
  return true;
}

void Gate::deliver(const caf::strong_actor_ptr& worker, caf::message message, const std::shared_ptr<Trace>& trace) {
  if (trace != nullptr) [[unlikely]] {
    tell_trace(trace,
               [&] { return describe(*caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, message)); });
  }
  worker->enqueue(nullptr, caf::make_message_id(), std::move(message), nullptr);
}

caf::strong_actor_ptr Gate::retire() {
  caf::strong_actor_ptr worker;
  {
    const std::lock_guard lock(mutex_);
    worker = std::exchange(worker_, nullptr);
    last_crash_ = "none: it was told to start again";
  }
  if (worker != nullptr) worker->enqueue(nullptr, caf::make_message_id(), caf::make_message(Stop{}), nullptr);
  return worker;
}

void Gate::crash() {
  if (const caf::strong_actor_ptr to = worker()) caf::anon_send_exit(to, caf::exit_reason::kill);
}

void Gate::end() {
  caf::strong_actor_ptr worker;
  {
    const std::lock_guard lock(mutex_);
    // In one step: a worker that is led to before is told to end here, and a
    // later one is not led to.
    worker = std::exchange(worker_, nullptr);
    ended_ = true;
  }
  if (worker != nullptr) {
    try {
      worker->enqueue(nullptr, caf::make_message_id(), caf::make_message(Stop{}), nullptr);
    } catch (...) {
      // No memory: whoever ends it again tells it.
      const std::lock_guard lock(mutex_);
      worker_ = worker;
      throw;
    }
  }
  cleanup(caf::exit_reason::user_shutdown, nullptr);
}

ActorStats Gate::stats() const {
  ActorStats stats;
  stats.name = name_;
  stats.refused = refused_.load(std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  using State = ActorStats::State;
  stats.state = refusal_ ? State::stopped : worker_ == nullptr ? State::restarting : State::running;
  stats.restarts = restarts_;
  stats.last_crash = last_crash_;
  stats.processed = processed_before_;
  std::int64_t busy_ns = busy_ns_before_;
  if (load_ != nullptr) {
    stats.processed += load_->processed.load(std::memory_order_relaxed);
    busy_ns += load_->busy_ns.load(std::memory_order_relaxed);
    if (worker_ != nullptr) stats.waiting = load_->waiting.load(std::memory_order_relaxed);
  }
  stats.busy = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::nanoseconds(busy_ns));
  return stats;
}

}  // namespace actable::actors
