// The actor of checkpoints: it writes those that are due, and those that it is asked
// for; a crash of it loses none.

#include "actors/orders.h"
#include "actors/workers.h"
#include "base/descriptor.h"
#include "debug/question.h"
#include "store/access.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/wait.h"

#include <caf/send.hpp>

#include <sys/eventfd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace actable;
using namespace actable::test;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;

Options small_store(const TemporaryDirectory& directory) {
  Options options;
  options.directory = directory / "store";
  options.shards = 2;
  options.segment_bytes = k_mib;
  options.checkpoint_interval = milliseconds(0);
  options.checkpoint_log_bytes_min = k_mib;
  return options;
}

/// Of which a checkpoint takes half a second, in many steps.
Options slow_store(const TemporaryDirectory& directory) {
  Options options = small_store(directory);
  options.checkpoint_bytes_per_second = k_mib;
  return options;
}

void overwrite(Stage& stage, Space space, std::uint64_t bytes) {
  const std::string value(10'000, 'v');
  for (std::uint64_t i = 0; i * value.size() < bytes; ++i) must(space.put("k" + std::to_string(i % 50), value));
  must(stage.store().sync());
}

CheckpointStats stats(Stage& stage) { return stage.store().stats().checkpoint; }

/// Lets time go by until that is so; the log's own thread does its part meanwhile.
void pass_until(Stage& stage, const char* what, const std::function<bool()>& ready) {
  until(what, [&] {
    stage.pass(milliseconds(10));
    return ready();
  });
}

/// Asks the debug actor for a checkpoint, as the shell does. It is begun then, unless only
/// the debug actor may run.
class AskedForCheckpoint {
 public:
  explicit AskedForCheckpoint(Stage& stage, bool begin = true)
      : worker_(stage.system().spawn<caf::hidden>(actors::debug_worker, stage.tree().shared_from_this(), load_)) {
    debug::Request request{1, "checkpoint", {}};
    const auto question =
        std::make_shared<debug::Question>(debug::Asker{.writes = true}, std::move(request), 1, answers_);
    load_->waiting = 1;
    caf::anon_send(worker_, actors::Inquiry{question});
    if (begin) {
      stage.run();
    } else {
      stage.step();
    }
  }
  ~AskedForCheckpoint() { caf::anon_send(worker_, actors::Stop{}); }
  AskedForCheckpoint(const AskedForCheckpoint&) = delete;
  AskedForCheckpoint& operator=(const AskedForCheckpoint&) = delete;

  /// Empty until it is answered, and after that was told once.
  [[nodiscard]] std::optional<Result<debug::Document>> answer() {
    auto came = answers_->take();
    if (came.empty()) return {};
    return std::move(came.front().result);
  }

 private:
  const std::shared_ptr<actors::Load> load_ = std::make_shared<actors::Load>();
  const std::shared_ptr<debug::Answers> answers_ =
      std::make_shared<debug::Answers>(base::Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  const actors::DebugWorker worker_;
};

}  // namespace

TEST_CASE("the actor of checkpoints writes one when the log is long, and none while it is not", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(small_store(directory));
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib / 4);
  for (int i = 0; i < 500; ++i) stage.pass(milliseconds(10));
  CHECK(stats(stage).passes == 0);
  overwrite(stage, space, 2 * k_mib);
  pass_until(stage, "a checkpoint is written", [&] { return stats(stage).passes == 1; });
  CHECK(stats(stage).records == 51);
  for (int i = 0; i < 500; ++i) stage.pass(milliseconds(10));
  CHECK(stats(stage).passes == 1);
}

TEST_CASE("a checkpoint that is asked for is written at once, and serves all who asked meanwhile", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(small_store(directory));
  Space space = must(stage.store().space("s"));
  must(space.put("k", "v"));
  const std::uint64_t first = must(stage.tree().ask_for_checkpoint());
  CHECK(must(stage.tree().ask_for_checkpoint()) == first);
  store::Checkpointer& checkpointer = store::Access::core(stage.store()).checkpointer();
  pass_until(stage, "it has ended", [&] { return checkpointer.ended() >= first; });
  must(checkpointer.outcome());
  CHECK(stats(stage).passes == 1);
  CHECK(stats(stage).records == 2);
}

TEST_CASE("a checkpoint that fails is told of, and the next one is written", "[checkpoint]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files(base::posix_file_system());
  Options options = small_store(directory);
  std::vector<std::string> told;
  options.log = [&told](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) told.emplace_back(message);
  };
  Stage stage(options, {}, files);
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib / 4);
  store::Checkpointer& checkpointer = store::Access::core(stage.store()).checkpointer();
  files.fail_from(Call::open, 1);
  const std::uint64_t first = must(stage.tree().ask_for_checkpoint());
  pass_until(stage, "it has ended", [&] { return checkpointer.ended() >= first; });
  CHECK(outcome(checkpointer.outcome()) == "io_error");
  REQUIRE(told.size() == 1);
  CHECK_THAT(told.front(), ContainsSubstring("the checkpoint was not written"));
  CHECK(stats(stage).failures == 1);
  files.heal();
  const std::uint64_t second = must(stage.tree().ask_for_checkpoint());
  pass_until(stage, "it has ended", [&] { return checkpointer.ended() >= second; });
  must(checkpointer.outcome());
}

TEST_CASE("a checkpoint under way goes on after a crash of its actor", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(slow_store(directory));
  store::Access::core(stage.store()).checkpointer().set_part_bytes(100'000);
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, 3 * k_mib);
  std::uint64_t crashes = 0;
  pass_until(stage, "it is written", [&] {
    if (stats(stage).running && crashes < 5) {
      stage.crash("checkpoint");
      ++crashes;
    }
    return stats(stage).passes == 1;
  });
  CHECK(crashes > 0);
  CHECK(stats(stage).failures == 0);
  // Not every crash was one of a worker that had been started again.
  CHECK(stage.stats_of("checkpoint").restarts > 0);
}

TEST_CASE("closing ends the actor of checkpoints in the middle of one", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(slow_store(directory));
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib);
  const std::uint64_t pass = must(stage.tree().ask_for_checkpoint());
  stage.run();
  store::Checkpointer& checkpointer = store::Access::core(stage.store()).checkpointer();
  REQUIRE(checkpointer.ended() < pass);
  REQUIRE(stats(stage).running);
  must(stage.tree().close());
  stage.run();
  stage.pass(milliseconds(1'000));
  CHECK(stage.stats_of("checkpoint").state == ActorStats::State::stopped);
  CHECK(outcome(checkpointer.outcome()) == "closed");
}

TEST_CASE("who waits for a checkpoint is answered when it is written", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(slow_store(directory));
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib);
  AskedForCheckpoint asked(stage);
  REQUIRE(stats(stage).running);
  CHECK_FALSE(asked.answer().has_value());
  std::optional<Result<debug::Document>> answer;
  pass_until(stage, "it is answered", [&] { return (answer = asked.answer()).has_value(); });
  CHECK(must(*answer)["passes"].number() == 1);
}

TEST_CASE("who waits for a checkpoint is told when its actor is given up, and so is who asks later", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(slow_store(directory), {.restarts_max = 0});
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib);
  AskedForCheckpoint asked(stage);
  REQUIRE(stats(stage).running);
  stage.crash("checkpoint");
  stage.run();
  REQUIRE(stage.stats_of("checkpoint").state == ActorStats::State::stopped);
  CHECK_FALSE(asked.answer().has_value());
  // Until it looks again.
  stage.pass(milliseconds(100));
  const std::optional<Result<debug::Document>> answer = asked.answer();
  REQUIRE(answer.has_value());
  CHECK(outcome(*answer) == "closed");
  CHECK_THAT(answer->error().message,
             ContainsSubstring("the checkpoint was not finished: the actor checkpoint crashed") &&
                 ContainsSubstring("given up") && ContainsSubstring("call Store::checkpoint"));
  CHECK(outcome(stage.tree().ask_for_checkpoint()) == "closed");
  // The store goes on, and by itself writes what nobody drives any more.
  must(space.put("k", "v"));
  must(stage.store().checkpoint());
  CHECK(stats(stage).passes == 1);
}

TEST_CASE("who waits for a checkpoint while its actor is about to start again goes on waiting", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(slow_store(directory));
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib);
  AskedForCheckpoint asked(stage);
  stage.crash("checkpoint");
  stage.run();
  REQUIRE(stage.stats_of("checkpoint").state == ActorStats::State::restarting);
  CHECK(outcome(stage.tree().ask_for_checkpoint()) == "overloaded");
  std::optional<Result<debug::Document>> answer;
  pass_until(stage, "it is answered", [&] { return (answer = asked.answer()).has_value(); });
  CHECK(must(*answer)["passes"].number() == 1);
}

TEST_CASE("who waits for a checkpoint is told when the store is closed", "[checkpoint]") {
  const TemporaryDirectory directory;
  Stage stage(slow_store(directory));
  Space space = must(stage.store().space("s"));
  overwrite(stage, space, k_mib);
  const bool begun = GENERATE(false, true), with_actors = GENERATE(false, true);
  CAPTURE(begun, with_actors);
  AskedForCheckpoint asked(stage, begun);
  REQUIRE(stats(stage).running == begun);
  must(with_actors ? stage.tree().close() : stage.store().close());
  stage.run();
  stage.pass(milliseconds(100));
  const std::optional<Result<debug::Document>> answer = asked.answer();
  REQUIRE(answer.has_value());
  CHECK(outcome(*answer) == "closed");
  CHECK_THAT(answer->error().message, ContainsSubstring("closed"));
}

TEST_CASE("a store whose log has failed is healed when somebody asks for it, and he is told", "[checkpoint][heal]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files(base::posix_file_system());
  Stage stage(small_store(directory), {}, files);
  Space space = must(stage.store().space("s"));
  must(space.put("before", "1", {Durability::sync}));
  const auto answers = std::make_shared<debug::Answers>(base::Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
  const auto heal = [&] {
    must(stage.tree().heal(std::make_shared<debug::Question>(debug::Asker{}, debug::Request{}, 1, answers)));
    std::vector<debug::Answers::Answer> came;
    pass_until(stage, "it is answered", [&] {
      came = answers->take();
      return !came.empty();
    });
    return std::move(came.front().result);
  };
  CHECK_FALSE(must(heal())["began_anew"].truth());
  files.fail_from(Call::write, 1);
  (void)space.put("open", "2", {Durability::sync});
  REQUIRE(stage.store().stats().read_only);
  CHECK(outcome(heal()) == "io_error");
  files.heal();
  CHECK(must(heal())["began_anew"].truth());
  CHECK_FALSE(stage.store().stats().read_only);
  must(space.put("after", "3", {Durability::sync}));
  CHECK(space.size() == 3);
}

TEST_CASE("a store in memory only has no actor of checkpoints", "[checkpoint]") {
  Stage stage;
  for (const ActorStats& actor : stage.tree().actor_stats()) CHECK(actor.name != "checkpoint");
  CHECK(outcome(stage.tree().ask_for_checkpoint()) == "unsupported");
}

TEST_CASE("with threads of its own the actor writes checkpoints beside those who write, at its priority",
          "[checkpoint]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory);
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 2);
  caf::actor_system system(config);
  StoreActors actors = must(start(system, options));
  Space space = must(actors.store().space("s"));
  const std::string value(10'000, 'v');
  std::uint64_t i = 0;
  until("several are written", [&] {
    for (int n = 0; n < 100; ++n, ++i) must(space.put("k" + std::to_string(i % 50), value));
    return actors.store().stats().checkpoint.passes >= 3;
  });
  CHECK(actors.store().stats().checkpoint.failures == 0);
  must(actors.stop());
  Store reopened = must(Store::open(options));
  Space read = must(reopened.space("s"));
  CHECK(read.size() == 50);
  CHECK(reopened.stats().recovery.checkpoint_records >= 51);
}
