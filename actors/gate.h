#pragma once

#include "actors/trace.h"

#include <actable/actors.h>

#include <caf/execution_unit.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/monitorable_actor.hpp>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace actable::actors {

/// How many requests wait for one worker, from its start to its end.
///
/// Thread safety: *synchronized*.
struct Load {
  std::atomic<std::size_t> waiting{0};
  std::atomic<std::uint64_t> processed{0};
  std::atomic<std::int64_t> busy_ns{0};
};

/// Counts a handler's time until it returns, by a clock that ticks every few
/// milliseconds and costs next to nothing: of one message it says nothing, of
/// many as much as a better one.
///
/// Thread safety: *confined* to a handler.
class Busy {
 public:
  explicit Busy(Load& load) noexcept : load_(load), since_ns_(coarse_ns()) {}
  ~Busy() {
    const std::int64_t took = coarse_ns() - since_ns_;
    // relaxed: a count, nothing else hangs on it.
    if (took != 0) load_.busy_ns.fetch_add(took, std::memory_order_relaxed);
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  [[nodiscard]] static std::int64_t coarse_ns() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }

  Load& load_;
  const std::int64_t since_ns_;
};

/// Marks a message of the floor's own, which nobody counted as waiting, as processed.
///
/// Thread safety: *confined* to a handler.
class Step {
 public:
  explicit Step(Load& load) noexcept : busy_(load) {
    // relaxed: a count, nothing else hangs on it.
    load.processed.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  const Busy busy_;
};

/// Marks the request as taken up; the first thing that each handler does.
///
/// Thread safety: *confined* to a handler.
class Taken {
 public:
  explicit Taken(Load& load) noexcept : step_(load) {
    // relaxed: a count, nothing else hangs on it.
    load.waiting.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  const Step step_;
};

/// The address that users hold: stays while the *worker* behind it crashes and
/// is started again, and bounds what waits for it.
///
/// In CAF 0.17 an exception ends an actor, an actor's address ends with it, and
/// mailboxes have no bound. So a gate is an actor that never runs: whoever sends
/// to it puts the message into the worker's mailbox itself, if there is a worker
/// and it has room, or answers with the error. It takes no exit messages, so a
/// handle gives nobody power over the actor.
///
/// Thread safety: *synchronized*.
class Gate : public caf::monitorable_actor {
 public:
  Gate(caf::actor_config& config, std::string name, std::set<std::string> message_types, std::size_t mailbox_max);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* host) override;
  [[nodiscard]] std::set<std::string> message_types() const override { return message_types_; }
  [[nodiscard]] const char* name() const override { return name_.c_str(); }

  /// From now on requests go to `worker`, whose handlers count on `load`. False
  /// after the end: nobody will tell this worker to end.
  [[nodiscard]] bool lead_to(caf::strong_actor_ptr worker, std::shared_ptr<Load> load);

  /// Why requests are refused for good; none while there is a worker, or will be.
  [[nodiscard]] caf::error refusal() const;

  /// The worker that requests go to; null if there is none.
  [[nodiscard]] caf::strong_actor_ptr worker() const;

  /// The worker crashed: requests are refused with `overloaded` until the next one.
  void interrupt(std::string crash);

  /// Requests are refused with `error` for good. The worker stays, for `tell`.
  void refuse(caf::error error);

  /// Puts a message of the floor's own into the worker's mailbox, whatever waits
  /// there; lost if there is no worker.
  void tell(caf::message message);

  /// As `tell`, for who may wait for nobody: false, and nothing told, when another
  /// thread is at the gate. A trace is not shown the message.
  [[nodiscard]] bool try_tell(caf::message message);

  /// As `tell`, of a message whose handler takes it up as a request. False, and
  /// the message lost, where a request would be refused; however many wait.
  [[nodiscard]] bool offer(caf::message message);

  /// Ends the worker as a crash would, between two requests: for drills.
  void crash();

  /// Has the worker end once it has taken up what is in its mailbox, and refuses
  /// requests until the next one. The worker; null if there was none.
  [[nodiscard]] caf::strong_actor_ptr retire();

  /// Tells the worker to end, lets go of it, and tells those who monitor the gate.
  void end();

  /// Tells the trace of each message that comes through the gate, until it is over.
  void trace(std::shared_ptr<Trace> trace);

  [[nodiscard]] ActorStats stats() const;

 private:
  [[nodiscard]] caf::error why_not() const;
  /// `make()` says what came.
  template <class Make>
  void tell_trace(const std::shared_ptr<Trace>& trace, Make&& make);
  void deliver(const caf::strong_actor_ptr& worker, caf::message message, const std::shared_ptr<Trace>& trace);

  const std::string name_;
  const std::set<std::string> message_types_;
  const std::size_t mailbox_max_;
  mutable std::mutex mutex_;
  caf::strong_actor_ptr worker_;
  std::shared_ptr<Load> load_;
  caf::error refusal_;
  bool ended_ = false;
  std::uint64_t restarts_ = 0;
  // Of workers that are gone.
  std::uint64_t processed_before_ = 0;
  std::int64_t busy_ns_before_ = 0;
  std::string last_crash_;
  // Null but while somebody looks.
  std::shared_ptr<Trace> trace_;
  std::atomic<std::uint64_t> refused_{0};
};

/// A gate for requests of `Handle`'s type.
template <class G = Gate, class Handle, class... Ts>
[[nodiscard]] std::pair<Handle, G*> make_gate(caf::actor_system& system, std::string name, std::size_t mailbox_max,
                                              Ts&&... arguments) {
  caf::actor_config config;
  Handle handle = caf::make_actor<G, Handle>(system.next_actor_id(), system.node(), &system, config, std::move(name),
                                             system.message_types(caf::detail::type_list<Handle>{}), mailbox_max,
                                             std::forward<Ts>(arguments)...);
  return {handle, static_cast<G*>(caf::actor_cast<caf::abstract_actor*>(handle))};
}

}  // namespace actable::actors
