#include "benchmarks/clock.h"
#include "benchmarks/engines/actable_store.h"
#include "benchmarks/engines/actor_run.h"
#include "benchmarks/engines/kinds.h"
#include "benchmarks/engines/senders.h"
#include "benchmarks/random.h"
#include "benchmarks/worker.h"

#include <actable/actors.h>

#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

namespace {

/// Operations that an actor does before it sends itself the message for the
/// next: some 50 us, as a handler should take at most.
constexpr std::uint64_t k_operations_a_turn = 256;
/// Messages that an actor takes up before the next actor has its turn.
constexpr std::size_t k_messages_a_turn = 1'000;

class Configuration : public caf::actor_system_config {
 public:
  Configuration() {
    // CAF takes four on a machine of two cores, and they get in each other's way.
    set("scheduler.max-threads", std::max<std::size_t>(std::thread::hardware_concurrency(), 2));
    // Without end if nothing is said: an actor that always has messages would
    // keep its thread, and others might never have a turn.
    set("scheduler.max-throughput", k_messages_a_turn);
    // After its last message a thread polls 500 times, every 50 us, if nothing is
    // said, and then every 10 ms: an idle store takes 5 % of a core like that, and
    // 0.4 % like this. A message for a thread that sleeps wakes it, either way.
    set("work-stealing.moderate-poll-attempts", std::size_t{10});
    set("work-stealing.relaxed-sleep-duration", caf::timespan(std::chrono::milliseconds(50)));
  }
};

/// An actor that calls the store, turn by turn, as a thread would in one go.
caf::actor spawn_caller(caf::actor_system& system, const std::shared_ptr<Worker>& worker,
                        const std::shared_ptr<ActorRun>& run) {
  return system.spawn([worker, run](caf::event_based_actor* self) -> caf::behavior {
    const auto turn = [self, worker, run] {
      try {
        if (worker->advance(run->stop(), k_operations_a_turn)) return self->send(self, caf::tick_atom::value);
        run->ended({worker->done(), worker->began(), worker->ended(), worker->latency()});
      } catch (const std::exception& error) {
        run->failed(error.what());
      }
      self->quit();
    };
    return {[worker, turn](caf::ok_atom) {
              worker->begin();
              turn();
            },
            [turn](caf::tick_atom) { turn(); }};
  });
}

/// Unless they are asked for, none is due: what is compared is the actors.
[[nodiscard]] actable::Options store_options(const EngineOptions& options) {
  actable::Options result = actable_options(options);
  if (options.due_checkpoints && !options.keep_in_log) return result;
  result.checkpoint_interval = std::chrono::milliseconds(0);
  result.checkpoint_log_percent = 0;
  return result;
}

/// A store with its actors, in an actor system of its own.
class ActorsEngine : public ActableStore, public Remote {
 public:
  /// `sample_every`: of so many operations one is looked at; 0: none.
  ActorsEngine(const EngineOptions& options, unsigned sample_every)
      : ActableStore(options),
        options_(options),
        noise_(options.value_bytes, 'n'),
        system_(configuration_),
        actors_(value_or_failure(actable::start(system_, store_options(options),
                                                {.mailbox_max = k_messages_max, .sample_every = sample_every}),
                                 "start")) {
    attach(actors_.store());
    to_ = value_or_failure(actors_.space_actor(k_space), "the actor of a space");
  }

  Counters counters() override {
    Counters all = ActableStore::counters();
    all.checkpoints = actors_.store().stats().checkpoint.passes;
    return all;
  }

  [[nodiscard]] Remote* remote(Way way) noexcept override { return way == Way::calls ? nullptr : this; }

  Outcome run(RemoteWork work, const std::function<void(double)>& waiting) override {
    const auto run = std::make_shared<ActorRun>(work.parts.size());
    std::vector<caf::actor> actors;
    for (RemotePart& part : work.parts) {
      actors.push_back(work.way == Way::calls_of_actors ? caller(work, part, run) : sender(work, part, run));
    }
    const std::uint64_t refused_before = refused_by_log();
    for (const caf::actor& actor : actors) caf::anon_send(actor, caf::ok_atom::value);
    Outcome outcome = run->finish(work.duration_s, waiting);
    expect_none_lost();
    if (work.way == Way::one_way) outcome.ops -= refused_by_log() - refused_before;
    return outcome;
  }

 protected:
  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }

 private:
  caf::actor caller(const RemoteWork& work, RemotePart& part, const std::shared_ptr<ActorRun>& run) {
    const WorkerOptions options{.limit = part.limit,
                                .samples = work.durability != Durability::sync,
                                .key_bytes = options_.key_bytes,
                                .value_bytes = options_.value_bytes};
    return spawn_caller(
        system_,
        std::make_shared<Worker>(options, actable_session(space(), work.durability), std::move(part.plan), noise_),
        run);
  }

  caf::actor sender(const RemoteWork& work, const RemotePart& part, const std::shared_ptr<ActorRun>& run) {
    const SenderOptions options{.way = work.way,
                                .durability = work.durability,
                                .batch = work.batch,
                                .senders = work.parts.size(),
                                .key_bytes = options_.key_bytes,
                                .value_bytes = options_.value_bytes,
                                .noise = noise_};
    return spawn_sender(system_, part, options, to_, run);
  }

  [[nodiscard]] std::uint64_t refused_by_log() const { return actors_.store().stats().log.overloads; }

  /// A one-way message that is refused is not answered, and was not done.
  void expect_none_lost() const {
    for (const actable::ActorStats& stats : actors_.stats()) {
      if (stats.refused != 0) {
        throw Failure("actors: " + std::to_string(stats.refused) + " messages were refused by the actor " + stats.name);
      }
    }
  }

  const EngineOptions options_;
  const std::string noise_;
  Configuration configuration_;
  caf::actor_system system_;
  actable::StoreActors actors_;
  actable::SpaceActor to_;
};

/// What is known of the operations where each has a task of its own: what the
/// samples and the pool of the analytics are instead of.
///
/// Thread safety: *synchronized*.
class TaskAnalytics {
 public:
  explicit TaskAnalytics(caf::actor_system& system) : system_(system) {}
  /// Tasks use what is here.
  ~TaskAnalytics() {
    while (tasks_ != 0) std::this_thread::yield();
  }
  TaskAnalytics(const TaskAnalytics&) = delete;
  TaskAnalytics& operator=(const TaskAnalytics&) = delete;

  [[nodiscard]] const Clock& clock() const noexcept { return clock_; }

  /// An operation began at `began`, in ticks, and is over.
  void note(std::string_view key, std::uint64_t began) {
    const std::uint64_t took = clock_.ticks() - began;
    // Or they would take all memory.
    while (tasks_.load(std::memory_order_relaxed) >= k_tasks_max) std::this_thread::yield();
    tasks_.fetch_add(1, std::memory_order_relaxed);
    system_.spawn<caf::hidden>([this, took, hash = std::hash<std::string_view>()(key)](caf::event_based_actor*) {
      {
        const std::lock_guard lock(mutex_);
        latency_.record(took);
        ++uses_[hash % uses_.size()];
      }
      // release: pairs with the loop in the destructor.
      tasks_.fetch_sub(1, std::memory_order_release);
    });
  }

 private:
  static constexpr std::size_t k_tasks_max = 10'000;

  const Clock& clock_ = Clock::get();
  caf::actor_system& system_;
  std::atomic<std::size_t> tasks_{0};
  std::mutex mutex_;
  Histogram latency_;
  std::array<std::uint64_t, 1'024> uses_{};
};

class TaskSession final : public LoopingSession<TaskSession> {
 public:
  TaskSession(std::unique_ptr<Session> session, TaskAnalytics& analytics)
      : session_(std::move(session)), analytics_(analytics) {}

  void put(std::string_view key, std::string_view value) override {
    const std::uint64_t began = analytics_.clock().ticks();
    session_->put(key, value);
    analytics_.note(key, began);
  }
  bool get(std::string_view key, std::string& value) override {
    const std::uint64_t began = analytics_.clock().ticks();
    const bool found = session_->get(key, value);
    analytics_.note(key, began);
    return found;
  }
  bool erase(std::string_view key) override {
    const std::uint64_t began = analytics_.clock().ticks();
    const bool erased = session_->erase(key);
    analytics_.note(key, began);
    return erased;
  }

 private:
  std::unique_ptr<Session> session_;
  TaskAnalytics& analytics_;
};

class TasksEngine final : public ActorsEngine {
 public:
  explicit TasksEngine(const EngineOptions& options) : ActorsEngine(options, 0), analytics_(system()) {}

  std::unique_ptr<Session> session(Durability durability) override {
    return std::make_unique<TaskSession>(ActorsEngine::session(durability), analytics_);
  }

 private:
  TaskAnalytics analytics_;
};

[[nodiscard]] EngineKind kind(std::string_view name, std::string_view analytics,
                              std::unique_ptr<Engine> (*open)(const EngineOptions& options)) {
  return {.name = name,
          .about = ACTABLE_BENCH_VERSION " with its actors, " + std::string(analytics) +
                   "; scheduler.max-threads = cores, max-throughput = " + std::to_string(k_messages_a_turn) +
                   ", work-stealing.moderate-poll-attempts = 10, relaxed-sleep-duration = 50ms",
          .has_log = true,
          .has_checkpoint = true,
          .has_actors = true,
          .key_bytes_max = actable::k_key_bytes_max,
          .open = open};
}

}  // namespace

EngineKind actors_kind() {
  return kind("actors", "one of 64 operations sampled", [](const EngineOptions& options) -> std::unique_ptr<Engine> {
    return std::make_unique<ActorsEngine>(options, actable::ActorOptions().sample_every);
  });
}

EngineKind unsampled_kind() {
  return kind("unsampled", "no operation sampled", [](const EngineOptions& options) -> std::unique_ptr<Engine> {
    return std::make_unique<ActorsEngine>(options, 0);
  });
}

EngineKind tasks_kind() {
  return kind(
      "tasks", "a task spawned for each operation",
      [](const EngineOptions& options) -> std::unique_ptr<Engine> { return std::make_unique<TasksEngine>(options); });
}

}  // namespace bench
