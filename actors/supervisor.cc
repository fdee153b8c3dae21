#include "actors/workers.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace actable::actors {
namespace {

using caf::actor_clock;

/// Starts the worker of a child again.
using restart_atom = caf::atom_constant<caf::atom("restart")>;

/// The supervisor's book. Its own crash would be a crash of the host: nobody
/// but the tree has its address, and it does nothing but this.
struct Work {
  caf::event_based_actor* self;
  std::weak_ptr<Tree> tree;
  std::map<caf::actor_addr, std::size_t> workers{};
  std::map<std::size_t, std::deque<actor_clock::time_point>> crashes{};
  // Told to end, so that the next one can begin.
  std::set<caf::actor_addr> retiring{};

  void watch(const caf::strong_actor_ptr& worker, std::size_t child) {
    workers.emplace(caf::actor_cast<caf::actor_addr>(worker), child);
    self->monitor(caf::actor_cast<caf::actor>(worker));
  }

  void take_on(const caf::strong_actor_ptr& worker, std::size_t child) {
    const auto of = tree.lock();
    if (of == nullptr) return;
    carefully(*of, child, [&] { watch(worker, child); });
  }

  void restart(std::size_t child) {
    const auto of = tree.lock();
    if (of == nullptr) return;
    carefully(*of, child, [&] { watch(of->start_worker(child), child); });
  }

  /// The next worker begins when this one has ended: it may have a state that is
  /// confined to one at a time. Nothing to do where one is about to be started.
  void retire(std::size_t child) {
    const auto of = tree.lock();
    if (of == nullptr) return;
    if (const caf::strong_actor_ptr worker = of->gate(child).retire()) {
      retiring.insert(caf::actor_cast<caf::actor_addr>(worker));
    }
  }

  /// An exception, memory that runs out mostly, would end the supervisor and
  /// leave everybody alone: the child is started again later instead.
  template <class F>
  void carefully(Tree& of, std::size_t child, F&& f) {
    try {
      std::forward<F>(f)();
    } catch (...) {
      start_later(child, of.options().restart_delay_max);
    }
  }

  void start_later(std::size_t child, std::chrono::milliseconds delay) {
    self->delayed_send(self, delay, restart_atom::value, child);
  }

  void crashed(const caf::down_msg& down) {
    const auto found = workers.find(down.source);
    const auto of = tree.lock();
    if (found == workers.end() || of == nullptr) return;
    const std::size_t child = found->second;
    workers.erase(found);
    const bool retired = retiring.erase(down.source) != 0;
    if (!down.reason) {
      // It was told to end.
      if (retired) carefully(*of, child, [&] { watch(of->start_worker(child), child); });
      return;
    }
    carefully(*of, child, [&] { replace(*of, child, self->system().render(down.reason)); });
  }

  void replace(Tree& of, std::size_t child, const std::string& reason) {
    Gate& gate = of.gate(child);
    gate.interrupt(reason);
    const ActorOptions& options = of.options();
    std::deque<actor_clock::time_point>& recent = crashes[child];
    const actor_clock::time_point now = self->clock().now();
    while (!recent.empty() && now - recent.front() > options.restart_window) recent.pop_front();
    recent.push_back(now);
    if (recent.size() > options.restarts_max) {
      give_up(of, child, reason);
      return;
    }
    std::chrono::milliseconds delay = options.restart_delay;
    for (std::size_t i = 1; i < recent.size() && delay < options.restart_delay_max; ++i) delay *= 2;
    delay = std::min(delay, options.restart_delay_max);
    of.report(LogLevel::warning, std::string("the actor ") + gate.name() + " crashed (" + reason +
                                     ") and is started again in " + std::to_string(delay.count()) + " ms");
    start_later(child, delay);
  }

  void give_up(Tree& of, std::size_t child, const std::string& reason) {
    Gate& gate = of.gate(child);
    const std::string what =
        std::string("the actor ") + gate.name() + " crashed more than " + std::to_string(of.options().restarts_max) +
        " times in " + std::to_string(of.options().restart_window.count()) + " ms and was given up; last: " + reason;
    gate.refuse(make_error(ErrorCode::closed, what));
    gate.end();
    // Nobody will answer those any more who wait for the disk.
    if (&gate == dynamic_cast<LogGate*>(&gate)) {
      of.board().abandon(make_error(ErrorCode::indeterminate, "the write may or may not be on disk: " + what));
    }
    if (of.vital(child)) {
      of.turn_read_only(what);
    } else {
      of.report(LogLevel::error, what + "; the store goes on without it");
    }
  }
};

}  // namespace

caf::behavior supervisor(caf::event_based_actor* self, std::weak_ptr<Tree> tree) {
  const auto work = std::make_shared<Work>(Work{self, std::move(tree)});
  self->set_down_handler([work](caf::down_msg& down) { work->crashed(down); });
  return {
      [work](worker_atom, const caf::strong_actor_ptr& worker, std::size_t child) { work->take_on(worker, child); },
      [work](restart_atom, std::size_t child) { work->restart(child); },
      [work](const Restart& order) { work->retire(order.child); },
      [self](const Stop&) { self->quit(); },
  };
}

}  // namespace actable::actors
