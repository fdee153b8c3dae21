// When a checkpoint is due, and how fast it may be written: rules that look at no clock.

#include "store/checkpoint_schedule.h"
#include "store/pace.h"
#include "tests/support/catch.h"

using namespace actable;
using namespace std::chrono_literals;
using store::CheckpointSchedule;
using store::Pace;

namespace {

constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;

/// A schedule, and a clock that a test moves.
class Scene {
 public:
  explicit Scene(const Options& options = {}) : schedule_(options, now_) {}

  void pass(std::chrono::milliseconds time) { now_ += time; }
  void write(Seq newest, std::uint64_t log_bytes = 0) {
    newest_ = newest;
    log_bytes_ = log_bytes;
  }
  void data(std::uint64_t bytes) { data_bytes_ = bytes; }
  [[nodiscard]] bool due() const {
    return schedule_.due(
        newest_, log_bytes_, [this] { return data_bytes_; }, now_);
  }
  void pass_ends(CheckpointSchedule::Ended how) {
    schedule_.began(newest_);
    schedule_.ended(how, now_);
  }

 private:
  base::TimePoint now_{1h};
  CheckpointSchedule schedule_;
  Seq newest_ = 0;
  std::uint64_t log_bytes_ = 0;
  std::uint64_t data_bytes_ = 0;
};

using Ended = CheckpointSchedule::Ended;

}  // namespace

TEST_CASE("a checkpoint is due when the interval is over and something was written", "[checkpoint]") {
  Options options;
  options.checkpoint_interval = 60s;
  Scene scene(options);
  scene.pass(1h);
  CHECK_FALSE(scene.due());
  scene.write(7);
  CHECK(scene.due());
  scene.pass_ends(Ended::done);
  CHECK_FALSE(scene.due());
  scene.pass(1h);
  CHECK_FALSE(scene.due());
  scene.write(8);
  CHECK(scene.due());
  scene.pass_ends(Ended::done);
  scene.write(9);
  scene.pass(59'999ms);
  CHECK_FALSE(scene.due());
  scene.pass(1ms);
  CHECK(scene.due());
}

TEST_CASE("what was written while a pass was under way is a change", "[checkpoint]") {
  Options options;
  CheckpointSchedule schedule(options, base::TimePoint(1h));
  schedule.began(5);
  schedule.ended(Ended::done, base::TimePoint(1h));
  CHECK_FALSE(schedule.changed(5));
  CHECK(schedule.changed(6));
}

TEST_CASE("a checkpoint is due when the log is long for what there is", "[checkpoint]") {
  Options options;
  options.checkpoint_interval = 0ms;
  options.checkpoint_log_percent = 50;
  options.checkpoint_log_bytes_min = 10 * k_mib;
  Scene scene(options);
  scene.data(100 * k_mib);
  scene.write(1, 49 * k_mib);
  scene.pass(24h);
  CHECK_FALSE(scene.due());
  scene.write(1, 50 * k_mib);
  CHECK(scene.due());
  scene.data(0);
  scene.write(1, 10 * k_mib - 1);
  CHECK_FALSE(scene.due());
  scene.write(1, 10 * k_mib);
  CHECK(scene.due());
  // However large both are.
  scene.data(~std::uint64_t{0});
  CHECK_FALSE(scene.due());

  options.checkpoint_log_percent = 0;
  Scene never(options);
  never.write(1, 1'000'000 * k_mib);
  never.pass(24h);
  CHECK_FALSE(never.due());
}

TEST_CASE("one that failed is due again, later each time", "[checkpoint]") {
  Scene scene;
  scene.write(1, 1'000 * k_mib);
  CHECK(scene.due());
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s, 300s, 300s}) {
    INFO(wait.count() << " s");
    scene.pass_ends(Ended::failed);
    scene.pass(wait - 1ms);
    CHECK_FALSE(scene.due());
    scene.pass(1ms);
    CHECK(scene.due());
  }
  scene.pass_ends(Ended::done);
  scene.write(2, 1'000 * k_mib);
  CHECK(scene.due());
  scene.pass_ends(Ended::failed);
  scene.pass(1s);
  CHECK(scene.due());
}

TEST_CASE("what somebody else has written a checkpoint of is no change, whatever had failed before", "[checkpoint]") {
  CheckpointSchedule schedule(Options{}, base::TimePoint(1h));
  // What the log held before the opening counts as the number 1.
  schedule.began(1);
  schedule.ended(Ended::failed, base::TimePoint(1h));
  REQUIRE(schedule.changed(1));
  schedule.replaced(base::TimePoint(1h));
  CHECK_FALSE(schedule.changed(1));
  CHECK(schedule.changed(2));
  CHECK_FALSE(schedule.due(
      2, 0, [] { return 0; }, base::TimePoint(1h) + 299s));
  CHECK(schedule.due(
      2, 0, [] { return 0; }, base::TimePoint(1h) + 300s));
}

TEST_CASE("one that was cancelled is not due for five minutes", "[checkpoint]") {
  Scene scene;
  scene.write(1, 1'000 * k_mib);
  scene.pass_ends(Ended::cancelled);
  scene.pass(5min - 1ms);
  CHECK_FALSE(scene.due());
  scene.pass(1ms);
  CHECK(scene.due());
}

TEST_CASE("a pace lets so many bytes a second through, and forgets what was not used", "[checkpoint]") {
  const base::TimePoint begin{1h};
  Pace pace;
  pace.begin(begin);
  CHECK(pace.pause(begin) == 0ns);
  std::uint64_t written = 0;
  base::TimePoint now = begin;
  while (now < begin + 10s) {
    pace.spent(k_mib / 4, 10 * k_mib, now);
    written += k_mib / 4;
    now += pace.pause(now);
  }
  CHECK(written >= 100 * k_mib);
  CHECK(written <= 102 * k_mib);
  // A rest does not allow a burst for as long.
  now += 1h;
  CHECK(pace.pause(now) == 0ns);
  pace.spent(10 * k_mib, 10 * k_mib, now);
  CHECK(pace.pause(now) >= 900ms);
  // Without a limit.
  pace.begin(now);
  pace.spent(1'000 * k_mib, 0, now);
  CHECK(pace.pause(now) == 0ns);
}
