#include "benchmarks/runner.h"

#include "tests/support/catch.h"
#include "tests/support/wait.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

using actable::test::Approx;
using actable::test::until;
using bench::Durability;
using bench::Outcome;

/// A map under a lock, which says what it is told to of itself.
class MapEngine : public bench::Engine {
 public:
  std::unique_ptr<bench::Session> session(Durability) override { return std::make_unique<MapSession>(*this); }

  bench::Counters counters() override {
    ++asked;
    until("somebody puts", [this] { return !counters_wait; });
    return {.durable_lag_s = asked == 1 ? lag_first_s : lag_later_s};
  }

  unsigned asked = 0;
  std::optional<double> lag_first_s{};
  std::optional<double> lag_later_s{};
  /// Who asks for the counters, before a run is ended, waits until somebody has put
  /// something since this was set.
  std::atomic<bool> counters_wait = false;
  /// Gets wait until somebody has put something since this was set.
  std::atomic<bool> gets_wait = false;

 private:
  class MapSession final : public bench::LoopingSession<MapSession> {
   public:
    explicit MapSession(MapEngine& engine) : engine_(engine) {}
    void put(std::string_view key, std::string_view value) override {
      const std::lock_guard lock(engine_.mutex_);
      engine_.map_.insert_or_assign(std::string(key), value);
      engine_.gets_wait = engine_.counters_wait = false;
      engine_.put_.notify_all();
    }
    bool get(std::string_view key, std::string& value) override {
      std::unique_lock lock(engine_.mutex_);
      engine_.put_.wait(lock, [this] { return !engine_.gets_wait; });
      const auto found = engine_.map_.find(key);
      if (found != engine_.map_.end()) value = found->second;
      return found != engine_.map_.end();
    }
    bool erase(std::string_view key) override {
      const std::lock_guard lock(engine_.mutex_);
      return engine_.map_.erase(std::string(key)) == 1;
    }

   private:
    MapEngine& engine_;
  };

  std::mutex mutex_;
  std::condition_variable put_;
  std::map<std::string, std::string, std::less<>> map_;
};

bench::Settings small() {
  bench::Settings settings;
  settings.num = 200;
  settings.threads = 2;
  settings.writers = 2;
  return settings;
}

Outcome run(const bench::Settings& settings, MapEngine& engine, std::string_view workload) {
  bench::Progress progress;
  bench::Runner runner(settings, progress);
  return runner.run(
      engine,
      {.workload = *bench::find_workload(workload), .durability = Durability::none, .label = std::string(workload)});
}

TEST_CASE("fairness is the slowest rate as a part of the fastest") {
  CHECK(bench::fairness_of({}) == 1);
  CHECK(bench::fairness_of(std::vector{3.0}) == 1);
  CHECK(bench::fairness_of(std::vector{4.0, 1.0, 2.0}) == Approx(0.25));
  CHECK(bench::fairness_of(std::vector{0.0, 2.0}) == 0);
  CHECK(bench::fairness_of(std::vector{0.0, 0.0}) == 1);
}

TEST_CASE("all operations are done, and those of writers are counted apart") {
  MapEngine engine;
  bench::Settings settings = small();
  CHECK(run(settings, engine, "fillrandom").ops == 200);
  settings.ops = 4'001;
  // Or the readers may be done before a writer has had its first turn.
  engine.gets_wait = true;
  const Outcome outcome = run(settings, engine, "readwhilewriting");
  CHECK(outcome.ops == 4'001);
  CHECK(outcome.writer_ops > 0);
  CHECK(outcome.fairness > 0);
  CHECK(outcome.fairness <= 1);
  CHECK(outcome.writer_fairness <= 1);
  CHECK(outcome.resident_max > 0);
}

TEST_CASE("a duration ends what has operations without end") {
  MapEngine engine;
  bench::Settings settings = small();
  (void)run(settings, engine, "fillrandom");
  settings.duration_s = 0.05;
  engine.counters_wait = true;
  const auto began = std::chrono::steady_clock::now();
  const Outcome outcome = run(settings, engine, "mixed50");
  // By the workers' own clocks it may be less: they may begin later.
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(50));
  CHECK(outcome.ops > 0);
  CHECK(outcome.seconds > 0);
  // Each key once is each key once, whatever the duration.
  CHECK(run(settings, engine, "fillrandom").ops == 200);
}

TEST_CASE("the longest lag that was seen is kept, and none where the engine tells of none") {
  MapEngine engine;
  bench::Settings settings = small();
  CHECK_FALSE(run(settings, engine, "fillrandom").durable_lag_max_s.has_value());
  settings.duration_s = 0.1;
  engine.asked = 0;
  engine.lag_first_s = 0.3;
  engine.lag_later_s = 0.2;
  CHECK(run(settings, engine, "mixed50").durable_lag_max_s == 0.3);
  CHECK(engine.asked >= 2);
}

TEST_CASE("a key that is lost ends the run with its name") {
  MapEngine engine;
  CHECK_THROWS_AS(run(small(), engine, "readrandom"), bench::Failure);
}

}  // namespace
