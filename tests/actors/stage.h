#pragma once

#include "actors/tree.h"
#include "tests/support/results.h"
#include "tests/support/temporary_directory.h"

#include <actable/actors.h>

#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What the tests of this floor are written in.
namespace actable::test {

/// What came of a request: empty while there is no answer.
///
/// Thread safety: *confined* to the test's thread.
template <class T>
using Answer = std::shared_ptr<std::optional<Result<T>>>;

/// "pending", "ok", or the name of the error's code.
template <class T>
std::string outcome(const Answer<T>& answer) {
  return *answer ? outcome(**answer) : "pending";
}

/// An actor system in which nothing runs but when the test says so, on the
/// test's thread, and whose clock stands still until it is moved; with a store
/// and its actors. The log's own thread runs as ever, but tells nothing: the
/// test does, with `log_advances`.
///
/// Thread safety: *confined* to the test's thread.
class Stage {
 public:
  /// A store in memory if `options` names no directory.
  explicit Stage(Options options = {}, ActorOptions actors = {}, base::FileSystem& files = base::posix_file_system());
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }
  [[nodiscard]] actors::Tree& tree() noexcept { return *tree_; }
  [[nodiscard]] Store& store() noexcept { return tree_->store(); }
  [[nodiscard]] SpaceActor space(const std::string& name);
  [[nodiscard]] ActorStats stats_of(const std::string& actor);

  /// Lets actors run until none has anything to do, and says how often one did. Time
  /// stands still.
  std::size_t run();
  /// Lets the actor run whose turn it is, once.
  void step();
  /// Moves the clock, and has what is due run; as `run`.
  std::size_t pass(std::chrono::nanoseconds time);
  /// Moves the clock, and lets nobody run.
  void move_clock(std::chrono::nanoseconds time);
  [[nodiscard]] caf::actor_clock::time_point now();

  /// What the log's thread tells in production, and what follows.
  void log_advances();

  /// Has the actor crash as soon as it runs.
  void crash(const std::string& actor);

  /// Sends a request without letting anybody run.
  template <class T, class Handle, class... Ts>
  Answer<T> send(const Handle& to, Ts&&... message) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    const caf::message content = caf::make_message(std::forward<Ts>(message)...);
    system_.spawn<caf::hidden>([=](caf::event_based_actor* self) {
      self->request(caf::actor_cast<caf::actor>(to), caf::infinite, content)
          .then([=](T& value) { *answer = std::move(value); },
                [=](const caf::error& error) { *answer = std::unexpected(to_error(error)); });
    });
    return answer;
  }

  /// As `send`, and lets everybody run.
  template <class T, class Handle, class... Ts>
  Answer<T> ask(const Handle& to, Ts&&... message) {
    auto answer = send<T>(to, std::forward<Ts>(message)...);
    run();
    return answer;
  }

 private:
  struct Config : caf::actor_system_config {
    Config();
  };

  Config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  std::shared_ptr<actors::Tree> tree_;
};

/// Which child of the tree has that name.
[[nodiscard]] std::size_t child_named(const actors::Tree& tree, const std::string& actor);

/// A subscriber that writes down what it is told, and answers at once, or later
/// if `answers` is false.
struct Notices {
  std::vector<Seq> numbers;
  std::vector<std::string> failures;
  bool answers = true;
};
[[nodiscard]] DurableSubscriber spawn_subscriber(caf::actor_system& system, std::shared_ptr<Notices> notices);
/// Has the subscriber answer what it has not answered yet.
void answer_notices(Stage& stage, const DurableSubscriber& subscriber);

/// From now on all of this thread's operations are sampled.
void look_at_all(Stage& stage, const Space& space);
/// Lets a second go by, in which the analytics take in all samples.
void collect_samples(Stage& stage);

/// Options of a store in `directory` that syncs when it is asked to only.
[[nodiscard]] Options lazy_store(const std::filesystem::path& directory);

inline const RequestOptions k_sync_request{.durability = Durability::sync};

}  // namespace actable::test
