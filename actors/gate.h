#pragma once

#include <actable/actors.h>

#include <caf/execution_unit.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/monitorable_actor.hpp>

#include <atomic>
#include <cstdint>
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
};

/// Marks the request as taken up; the first thing that each handler does.
///
/// Thread safety: *confined* to a handler.
class Taken {
 public:
  explicit Taken(Load& load) noexcept {
    // relaxed: counts, nothing else hangs on them.
    load.waiting.fetch_sub(1, std::memory_order_relaxed);
    load.processed.fetch_add(1, std::memory_order_relaxed);
  }
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

  /// The worker that requests go to; null if there is none.
  [[nodiscard]] caf::strong_actor_ptr worker() const;

  /// The worker crashed: requests are refused with `overloaded` until the next one.
  void interrupt(std::string crash);

  /// Requests are refused with `error` for good. The worker stays, for `tell`.
  void refuse(caf::error error);

  /// Puts a message of the floor's own into the worker's mailbox, whatever waits
  /// there; lost if there is no worker.
  void tell(caf::message message);

  /// Ends the worker as a crash would, between two requests: for drills.
  void crash();

  /// Tells the worker to end, lets go of it, and tells those who monitor the gate.
  void end();

  [[nodiscard]] ActorStats stats() const;

 private:
  [[nodiscard]] caf::error why_not() const;

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
  std::string last_crash_;
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
