#pragma once

#include "actors/board.h"
#include "actors/gate.h"
#include "base/file.h"

#include <actable/actors.h>

#include <caf/event_based_actor.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace actable::actors {

/// One supervised actor.
struct Child {
  /// Keeps `gate`.
  caf::strong_actor_ptr handle;
  Gate* gate = nullptr;
  /// Starts a worker.
  std::function<caf::strong_actor_ptr(std::shared_ptr<Load>)> start{};
  /// What a worker is told once the gate leads to it: to look for what nobody
  /// was there to be told of. Empty: nothing.
  caf::message greeting{};
};

/// What tests put in place of the real thing.
struct Wiring {
  base::FileSystem& files = base::posix_file_system();
  /// False: the log's thread tells nothing; the test calls `Board::changed`.
  bool watch_log = true;
};

/// The store and its actors, from opening to closing.
///
/// Thread safety: *synchronized*.
class Tree : public std::enable_shared_from_this<Tree> {
 public:
  /// Fails as `actable::start`.
  [[nodiscard]] static Result<std::shared_ptr<Tree>> start(caf::actor_system& system, Options options,
                                                           ActorOptions actors, const Wiring& wiring = {});
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  [[nodiscard]] Store& store() noexcept { return store_; }
  /// True where there is no log.
  [[nodiscard]] bool in_memory() const noexcept { return in_memory_; }
  [[nodiscard]] Board& board() noexcept { return *board_; }
  [[nodiscard]] const StoreActor& store_actor() const noexcept { return store_actor_; }
  [[nodiscard]] const LogActor& log_actor() const noexcept { return log_actor_; }
  [[nodiscard]] const ActorOptions& options() const noexcept { return options_; }

  /// Fails as `StoreActors::space_actor`.
  [[nodiscard]] Result<SpaceActor> space_actor(std::string_view name, SpaceOptions options);
  /// The actor of a space, whatever its options; one that is not there is made as
  /// `SpaceOptions` say if nothing is said. Never waits: fails with overloaded
  /// where it would have to, and as `Store::space`.
  [[nodiscard]] Result<SpaceActor> open(std::string_view name);
  /// The space of that name, whatever its options. Fails as StoreCore::existing_space.
  [[nodiscard]] Result<Space> existing_space(std::string_view name);

  [[nodiscard]] StoreStats store_stats() const;
  [[nodiscard]] std::vector<ActorStats> actor_stats() const;

  /// Why requests to write are refused; none if they are not.
  [[nodiscard]] caf::error write_refusal() const;

  /// Fails as `StoreActors::stop`.
  [[nodiscard]] Result<void> close();

  // For the supervisor.

  /// Starts a worker for the child, lets its gate lead there, and greets it.
  [[nodiscard]] caf::strong_actor_ptr start_worker(std::size_t child);
  [[nodiscard]] Gate& gate(std::size_t child);
  /// The store takes no more writes.
  void turn_read_only(const std::string& reason);
  /// Says to the host that the store takes no more writes; once.
  void tell_host(const std::string& reason);
  void report(LogLevel level, const std::string& message) const;

 private:
  Tree(caf::actor_system& system, Store store, std::function<void(LogLevel, std::string_view)> log,
       ActorOptions actors);
  void begin(const Wiring& wiring);
  void add_child(Child child);
  [[nodiscard]] Result<void> close_all();
  [[nodiscard]] Result<SpaceActor> actor_of(std::string_view name, Space space);
  [[nodiscard]] SpaceActor add_space(const std::string& name, Space space);

  caf::actor_system& system_;
  Store store_;
  const bool in_memory_;
  const std::function<void(LogLevel, std::string_view)> log_;
  ActorOptions options_;
  caf::actor_addr host_;
  std::atomic<bool> host_told_{false};
  StoreActor store_actor_;
  LogActor log_actor_;
  std::shared_ptr<Board> board_;

  // Held while a space gets its actor.
  std::mutex spaces_mutex_;
  std::map<std::string, SpaceActor, std::less<>> space_actors_;
  bool no_more_spaces_ = false;
  // Held for looks at the members below.
  mutable std::mutex mutex_;
  std::vector<Child> children_;
  caf::actor supervisor_;
  caf::error write_refusal_;
  std::atomic<bool> writes_refused_{false};

  // Held while closing, so that all who close return when it is done.
  std::mutex close_mutex_;
  bool closed_ = false;
};

}  // namespace actable::actors
