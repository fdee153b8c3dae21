#pragma once

#include "actors/analytics_book.h"
#include "actors/board.h"
#include "actors/gate.h"
#include "actors/network.h"
#include "base/file.h"
#include "debug/server.h"

#include <actable/actors.h>

#include <caf/event_based_actor.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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
  /// False: the store goes on as it is when this one is given up.
  bool vital = true;
};

/// What tests put in place of the real thing.
struct Wiring {
  base::FileSystem& files = base::posix_file_system();
  /// False: the log's thread tells nothing; the test calls `Board::changed`.
  bool watch_log = true;
  /// False: no actor has a thread of its own, so that the test runs all of them.
  bool threads_of_their_own = true;
  debug::ServerLimits debug{};
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
  [[nodiscard]] AnalyticsBook& analytics() noexcept { return *analytics_; }
  [[nodiscard]] const StoreActor& store_actor() const noexcept { return store_actor_; }
  [[nodiscard]] const LogActor& log_actor() const noexcept { return log_actor_; }
  /// Has a checkpoint written soon, and says which pass it will be (store/checkpointer.h).
  /// Fails with
  ///   unsupported  there is no log
  ///   overloaded   the actor of checkpoints has crashed, and is about to start again
  ///   closed       it was given up, or the store is closed
  [[nodiscard]] Result<std::uint64_t> ask_for_checkpoint();
  /// That there is somebody who drives a checkpoint on, or will be. Fails with closed, as
  /// `ask_for_checkpoint`.
  [[nodiscard]] Result<void> expect_checkpoints() const;
  /// Has the question answered with what came of healing the store. Fails as
  /// `ask_for_checkpoint`.
  [[nodiscard]] Result<void> heal(const std::shared_ptr<debug::Question>& question);
  [[nodiscard]] bool threads_of_their_own() const noexcept { return threads_of_their_own_; }
  [[nodiscard]] const ActorOptions& options() const noexcept { return options_; }

  /// As `StoreActors::port`.
  [[nodiscard]] std::uint16_t port() const noexcept { return network_ ? network_->port() : 0; }

  /// Fails as `StoreActors::space_actor`.
  [[nodiscard]] Result<SpaceActor> space_actor(std::string_view name, SpaceOptions options);
  /// The actor of a space, whatever its options; one that is not there is made as
  /// `SpaceOptions` say if nothing is said, if there are fewer than `spaces_max`.
  /// Never waits: fails with overloaded where it would have to, with not_found where
  /// there are as many, and as `Store::space`.
  [[nodiscard]] Result<SpaceActor> open(std::string_view name, std::size_t spaces_max);
  /// The space of that name, whatever its options. Fails as StoreCore::existing_space.
  [[nodiscard]] Result<Space> existing_space(std::string_view name);

  /// Has the actor of that name crash, or start again. Fails with not_found.
  enum class Drill { crash, restart };
  [[nodiscard]] Result<void> drill(std::string_view actor, Drill what);

  /// Has the trace told what comes to the actor of that name, in place of any
  /// trace of it before. Fails with not_found.
  [[nodiscard]] Result<void> trace(std::string_view actor, std::shared_ptr<Trace> trace);
  [[nodiscard]] std::chrono::steady_clock::time_point started_at() const noexcept { return started_at_; }

  [[nodiscard]] StoreStats store_stats() const;
  [[nodiscard]] std::vector<ActorStats> actor_stats() const;

  /// Why requests to write are refused; none if they are not.
  [[nodiscard]] caf::error write_refusal() const;

  /// Fails as `StoreActors::sample`.
  [[nodiscard]] Result<void> sample(unsigned every);

  /// Fails as `StoreActors::stop`.
  [[nodiscard]] Result<void> close();

  /// Has the actors of all shards but the first look for maintenance to do.
  void tend_shards();

  // For the supervisor.

  /// Starts a worker for the child, lets its gate lead there, and greets it.
  [[nodiscard]] caf::strong_actor_ptr start_worker(std::size_t child);
  [[nodiscard]] Gate& gate(std::size_t child);
  [[nodiscard]] bool vital(std::size_t child) const;
  /// The store takes no more writes.
  void turn_read_only(const std::string& reason);
  /// Says to the host that the store takes no more writes; once, until `log_works`.
  void tell_host(const std::string& reason);
  /// The log has not failed, or was healed: should it fail, the host is told.
  void log_works() noexcept;
  void report(LogLevel level, const std::string& message) const;

 private:
  Tree(caf::actor_system& system, Store store, std::function<void(LogLevel, std::string_view)> log,
       ActorOptions actors);
  void begin(const Wiring& wiring);
  void begin_analytics();
  [[nodiscard]] Result<void> open_network();
  [[nodiscard]] Result<void> open_debug_socket(const std::filesystem::path& directory, debug::ServerLimits limits);
  void add_child(Child child);
  void add_checkpoints();
  [[nodiscard]] Result<void> expect_log() const;
  [[nodiscard]] std::unexpected<Error> no_checkpoints() const;
  void add_shard(unsigned shard);
  [[nodiscard]] Result<void> close_all();
  [[nodiscard]] Result<SpaceActor> actor_of(std::string_view name, Space space);
  /// The index of the child of that name; `mutex_` is held. Fails with not_found.
  [[nodiscard]] Result<std::size_t> find_child(std::string_view actor) const;
  [[nodiscard]] SpaceActor add_space(const std::string& name, Space space);

  caf::actor_system& system_;
  Store store_;
  const bool in_memory_;
  const std::chrono::steady_clock::time_point started_at_ = std::chrono::steady_clock::now();
  const std::function<void(LogLevel, std::string_view)> log_;
  ActorOptions options_;
  caf::actor_addr host_;
  std::atomic<bool> host_told_{false};
  StoreActor store_actor_;
  LogActor log_actor_;
  // Null where there is no log; kept by `children_`.
  Gate* checkpoint_gate_ = nullptr;
  bool threads_of_their_own_ = true;
  std::shared_ptr<Board> board_;
  std::unique_ptr<AnalyticsBook> analytics_;
  // Set before anybody has the tree.
  std::optional<Network> network_;
  // From the start on, as it is.
  std::unique_ptr<debug::Server> debug_server_;

  // Of the shards from 1 on; kept by `children_`. Complete before any is told.
  std::vector<Gate*> shard_gates_;
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
