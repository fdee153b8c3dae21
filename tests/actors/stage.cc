#include "tests/actors/stage.h"

#include "store/access.h"

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace actable::test {

Stage::Config::Config() { set("scheduler.policy", caf::atom("testing")); }

Stage::Stage(Options options, ActorOptions actors, base::FileSystem& files)
    : system_(config_),
      scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())),
      tree_(must(actors::Tree::start(system_, std::move(options), std::move(actors),
                                     {.files = files, .watch_log = false, .threads_of_their_own = false}))) {
  run();
}

Stage::~Stage() {
  (void)tree_->close();
  run();
}

SpaceActor Stage::space(const std::string& name) {
  SpaceActor actor = must(tree_->space_actor(name, {}));
  run();
  return actor;
}

ActorStats Stage::stats_of(const std::string& actor) {
  for (ActorStats& stats : tree_->actor_stats()) {
    if (stats.name == actor) return std::move(stats);
  }
  fail_test("there is no actor " + actor);
}

std::size_t Stage::run() {
  std::size_t turns = 0;
  while (scheduler_.try_run_once()) ++turns;
  return turns;
}

void Stage::step() { (void)scheduler_.try_run_once(); }

void Stage::move_clock(std::chrono::nanoseconds time) { scheduler_.advance_time(time); }

std::size_t Stage::pass(std::chrono::nanoseconds time) {
  move_clock(time);
  return run();
}

caf::actor_clock::time_point Stage::now() { return scheduler_.clock().now(); }

void Stage::log_advances() {
  tree_->board().changed();
  run();
}

void Stage::crash(const std::string& actor) { tree_->gate(child_named(*tree_, actor)).crash(); }

std::size_t child_named(const actors::Tree& tree, const std::string& actor) {
  const std::vector<ActorStats> all = tree.actor_stats();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name == actor) return i;
  }
  fail_test("there is no actor " + actor);
}

DurableSubscriber spawn_subscriber(caf::actor_system& system, std::shared_ptr<Notices> notices) {
  using Worker = DurableSubscriber::extend<caf::reacts_to<caf::ok_atom>>;
  return system.spawn<caf::hidden>([notices](Worker::pointer self) -> Worker::behavior_type {
    const auto unanswered = std::make_shared<std::vector<caf::response_promise>>();
    const auto answer = [self, notices, unanswered]() -> caf::result<void> {
      if (notices->answers) return caf::unit;
      auto promise = self->make_response_promise<void>();
      unanswered->push_back(static_cast<caf::response_promise&>(promise));
      return promise;
    };
    return {
        [=](durable_atom, Seq seq) -> caf::result<void> {
          notices->numbers.push_back(seq);
          return answer();
        },
        [=](failed_atom, const std::string& reason) -> caf::result<void> {
          notices->failures.push_back(reason);
          return answer();
        },
        [=](caf::ok_atom) {
          for (caf::response_promise& promise : *unanswered) promise.deliver(caf::unit);
          unanswered->clear();
        },
    };
  });
}

void answer_notices(Stage& stage, const DurableSubscriber& subscriber) {
  caf::anon_send(caf::actor_cast<caf::actor>(subscriber), caf::ok_atom::value);
  stage.run();
}

void look_at_all(Stage& stage, const Space& space) {
  must(stage.tree().sample(1));
  const store::StoreCore& core = store::Access::core(stage.store());
  do {
    (void)must(space.get("nothing"));
  } while (core.find_context()->sampling.weight != 1);
}

void collect_samples(Stage& stage) {
  for (int i = 0; i < 11; ++i) stage.pass(std::chrono::milliseconds(100));
}

Options lazy_store(const std::filesystem::path& directory) {
  constexpr std::uint64_t k_mib = 1024 * 1024;
  Options options;
  options.directory = directory;
  options.shards = 2;
  options.segment_bytes = k_mib;
  options.staging_bytes = k_mib;
  options.write_interval = std::chrono::seconds(1);
  options.sync_interval = std::chrono::seconds(60);
  return options;
}

}  // namespace actable::test
