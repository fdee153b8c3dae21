#include "tests/support/catch.h"
#include "tests/wal/simulated_time.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// When the log does what, to the nanosecond, with nobody waiting for it.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using test::DiskTimes;
using test::Instant;
using test::Life;
using test::Pace;
using test::TimedLog;

constexpr DiskTimes k_disk{.write = 200us, .sync = 3ms};

struct Intervals {
  milliseconds write;
  milliseconds sync;
};

Options timed(Intervals intervals) {
  Options options = test::log_options();
  // No switching of segments, which makes writes and syncs of its own.
  options.segment_bytes = std::uint64_t{16} << 20;
  options.write_interval = intervals.write;
  options.sync_interval = intervals.sync;
  return options;
}

/// How far each is from the one before it.
std::vector<Instant> gaps(const std::vector<Instant>& instants) {
  std::vector<Instant> found;
  for (std::size_t i = 1; i < instants.size(); ++i) found.push_back(instants[i] - instants[i - 1]);
  return found;
}

bool all_are(const std::vector<Instant>& instants, Instant due) {
  return std::ranges::all_of(instants, [due](Instant instant) { return instant == due; });
}

TEST_CASE("a write to a log at rest is handed over at once, and synced when the intervals say so") {
  struct Row {
    Intervals intervals;
    Instant synced_at;
    std::uint64_t rounds;
  };
  // Due when the sync interval, less a write interval that it may have been
  // gathered for, has passed; and not before it is written.
  const auto row = GENERATE(test::values<Row>({{{10ms, 100ms}, 90ms, 10},
                                               {{10ms, 105ms}, 95ms, 10},
                                               {{10ms, 10ms}, 200us, 1},
                                               {{1ms, 1'000ms}, 999ms, 1'003},
                                               {{50ms, 100ms}, 50ms, 2}}));
  // Empty rounds go by while it syncs.
  constexpr DiskTimes k_slower{.write = 200us, .sync = 3'500us};
  TimedLog log(timed(row.intervals), k_slower);
  std::vector<std::pair<Pace, Instant>> results;
  log.run([&](Life& life) {
    for (int i = 0; i < 3; ++i) {
      Instant durable{};
      const Pace pace = log.watch(life, [&] {
        durable = log.durable_at(life, life.write("k", "v"));
        log.pause(3s);
      });
      results.push_back({pace, durable - pace.from});
    }
  });
  for (const auto& [pace, durable] : results) {
    CHECK(durable == row.synced_at + k_slower.sync);
    CHECK(pace.syncs == std::vector{row.synced_at});
    // The write, and at rest the frame that says how far the log is on disk.
    CHECK(pace.writes == std::vector<Instant>{0ns, durable});
    CHECK(pace.rounds == row.rounds);
  }
}

TEST_CASE("a write just behind a round is gathered for an interval, and on disk in time") {
  struct Row {
    Intervals intervals;
    Instant durable_at;
  };
  const auto row = GENERATE(test::values<Row>({// By the sync of the one before it.
                                               {{10ms, 100ms}, 93ms},
                                               {{10ms, 105ms}, 98ms},
                                               {{1ms, 1'000ms}, 1'002ms},
                                               // It misses that one.
                                               {{10ms, 10ms}, 13'200us},
                                               {{50ms, 100ms}, 103ms},
                                               {{50ms, 50ms}, 53'200us}}));
  TimedLog log(timed(row.intervals), k_disk);
  Instant durable{};
  Pace pace;
  log.run([&](Life& life) {
    pace = log.watch(life, [&] {
      life.write("k", "v");
      log.pause(1ns);
      durable = log.durable_at(life, life.write("k", "v"));
    });
  });
  REQUIRE(pace.writes.size() >= 2);
  CHECK(pace.writes[1] == row.intervals.write);
  CHECK(durable - pace.from == row.durable_at);
}

/// Writes that come all the time, and when each was durable.
class Steady {
 public:
  explicit Steady(TimedLog& log) : log_(log) {}

  /// Two clients.
  void write(Life& life) {
    for (; !ending_; log_.pause(700us + 1ns)) made_.push_back({life.write("k", "v"), log_.now()});
    written_ = true;
  }
  void measure(Life& life) {
    std::size_t next = 0;
    while (!written_ || next < made_.size()) {
      log_.await([&] {
        return (next < made_.size() && made_[next].seq < life.durable()) || (written_ && next == made_.size());
      });
      for (; next < made_.size() && made_[next].seq < life.durable(); ++next) {
        longest_ = std::max(longest_, log_.now() - made_[next].at);
      }
    }
  }
  void end() { ending_ = true; }

  [[nodiscard]] Instant longest() const { return longest_; }

 private:
  struct Made {
    Seq seq;
    Instant at;
  };
  TimedLog& log_;
  std::vector<Made> made_;
  Instant longest_{};
  bool ending_ = false;
  bool written_ = false;
};

TEST_CASE("under steady writing rounds and syncs keep their intervals, and the log's thread sleeps between them") {
  struct Row {
    Intervals intervals;
    Instant sync_time;
    Instant watched_from;
    Instant watched;
    std::uint64_t rounds;
    std::uint64_t syncs;
    /// Looks beside those for rounds, and for what is written and synced; fewer
    /// where one look is for two of them.
    int more_looks;
  };
  const auto row = GENERATE(test::values<Row>({
      {{10ms, 100ms}, 3ms, 1'005ms, 1'800ms, 180, 20, 0},
      // The sync is due between rounds.
      {{10ms, 105ms}, 3ms, 1'005ms, 2'000ms, 200, 20, 20},
      {{10ms, 10ms}, 3ms, 1'005ms, 2'000ms, 200, 200, 0},
      {{50ms, 100ms}, 3ms, 1'005ms, 3'000ms, 60, 60, 0},
      {{1ms, 1'000ms}, 3ms, 1'500ms + 500us, 1'998ms, 1'998, 2, -2},
      // The disk is slower than the interval: one sync after the other. Each
      // fifth may end as a round begins, or when one is written.
      {{10ms, 100ms}, 152ms, 1'005ms, 3'040ms, 304, 20, -4},
      {{10ms, 105ms}, 152ms, 1'005ms, 3'040ms, 304, 20, 0},
      {{10ms, 10ms}, 152ms, 1'005ms, 3'040ms, 304, 20, -4},
  }));
  TimedLog log(timed(row.intervals), {.write = k_disk.write, .sync = row.sync_time});
  Steady steady(log);
  Pace pace;
  log.run({[&](Life& life) { steady.write(life); }, [&](Life& life) { steady.measure(life); },
           [&](Life& life) {
             log.pause(row.watched_from);
             pace = log.watch(life, row.watched);
             steady.end();
           }});
  CAPTURE(row.intervals.write, row.intervals.sync, row.sync_time);
  CHECK(pace.rounds == row.rounds);
  CHECK(pace.syncs.size() == row.syncs);
  CHECK(all_are(gaps(pace.syncs), row.watched / row.syncs));
  const auto events = static_cast<std::int64_t>(pace.rounds + pace.writes.size() + pace.syncs.size() + pace.wakes);
  CHECK(static_cast<std::int64_t>(pace.waits.size()) == events + row.more_looks);
  // A round writes a block or two.
  CHECK(pace.wakes <= row.rounds / (k_wake_bytes / base::k_block_bytes) + 1);
  const Instant within = std::max<Instant>(row.intervals.sync, row.intervals.write + row.sync_time);
  CHECK(steady.longest() <= within + k_disk.write + row.sync_time);
  CHECK(steady.longest() > within - row.intervals.write + row.sync_time);
}

TEST_CASE("a log at rest looks around once a minute, and writes nothing") {
  TimedLog log(timed({10ms, 100ms}), k_disk);
  Pace pace;
  log.run([&](Life& life) {
    life.write("k", "v");
    log.pause(1s);
    pace = log.watch(life, 10min);
  });
  CHECK(pace.rounds == 10);
  CHECK(pace.waits.size() == 10);
  CHECK(all_are(gaps(pace.waits), 60s));
  CHECK(pace.writes.empty());
  CHECK(pace.syncs.empty());
}

TEST_CASE("what is written while a sync is under way is on disk an interval later, and not sooner") {
  TimedLog log(timed({10ms, 100ms}), {.write = k_disk.write, .sync = 50ms});
  Instant durable{};
  Pace pace;
  log.run([&](Life& life) {
    pace = log.watch(life, [&] {
      life.write("k", "v");
      log.pause(95ms);
      durable = log.durable_at(life, life.write("k", "v"));
    });
  });
  // The second is taken at 100 ms.
  CHECK(pace.syncs == std::vector<Instant>{90ms, 190ms});
  CHECK(durable - pace.from == 240ms);
}

TEST_CASE("what is handed over before its round, and misses a sync, is in time for the next") {
  TimedLog log(timed({10'000ms, 65'000ms}), k_disk);
  Instant durable{};
  Pace pace;
  log.run([&](Life& life) {
    pace = log.watch(life, [&] {
      life.write("k", "v");
      log.pause(52s);
      // The second closes the buffer of the first.
      const Seq early = life.write("k", std::string(40'000, 'v'));
      life.write("k", std::string(40'000, 'v'));
      durable = log.durable_at(life, early);
      log.pause(1s);
    });
  });
  // Last, at rest, how far the log is on disk.
  CHECK(pace.writes == std::vector<Instant>{0s, 55s, 60s, 110s + k_disk.sync});
  CHECK(pace.syncs == std::vector<Instant>{55s, 110s});
  CHECK(durable - pace.from == 110s + k_disk.sync);
}

TEST_CASE("a closing round looks for the last writer every 50 microseconds") {
  TimedLog log(timed({10ms, 100ms}), k_disk);
  Pace pace;
  log.run({[&](Life& life) {
             const base::WritePin pin(life.epochs(), *life.epochs().slot(base::thread_index()));
             log.pause(1'010us);
           },
           [&](Life& life) {
             log.pause(1ns);
             pace = log.watch(life, [&] {
               life.write("k", "v");
               log.pause(5ms);
             });
           }});
  CHECK(pace.writes == std::vector<Instant>{1'050us});
  // In vain up to 1 ms; at last it is written.
  REQUIRE(pace.waits.size() == 23);
  for (std::size_t i = 0; i < 22; ++i) CHECK(pace.waits[i] == i * 50us);
  CHECK(pace.waits.back() == 1'250us);
}

TEST_CASE("a round without a block for short frames waits for the disk, and does not look for it") {
  TimedLog log(timed({10ms, 1'000ms}), {.write = 95ms, .sync = 3ms});
  Steady steady(log);
  Pace pace;
  log.run({[&](Life& life) {
             log.pause(1ns);
             steady.write(life);
           },
           [&](Life& life) {
             pace = log.watch(life, 120ms);
             steady.end();
           }});
  // Eight are under way when the ninth would begin.
  std::vector<Instant> due{0ms, 10ms, 20ms, 30ms, 40ms, 50ms, 60ms, 70ms, 95ms, 105ms, 115ms};
  for (Instant& at : due) at += 1ns;
  CHECK(pace.writes == due);
  CHECK(std::ranges::count_if(pace.waits, [](Instant at) { return at > 75ms && at < 95ms; }) == 1);
}

TEST_CASE("the log's thread is told of each MiB of full buffers, and writes what is full long before its round") {
  struct Case {
    std::size_t staging_bytes, value_bytes;
    std::vector<Instant> due;
  };
  // More than half of a buffer: the next one needs another. Those have 64 and 256 KiB.
  const auto [staging_bytes, value_bytes, due] =
      GENERATE(Case{std::size_t{16} << 20, 40'000, {0ms, 16ms, 32ms}},
               Case{std::size_t{64} << 20, 160'000, {0ms, 4ms, 8ms, 12ms, 16ms, 20ms, 24ms, 28ms, 32ms, 36ms}});
  Options options = timed({1'000ms, 10'000ms});
  options.staging_bytes = staging_bytes;
  TimedLog log(options, k_disk);
  Pace pace;
  log.run([&](Life& life) {
    pace = log.watch(life, [&] {
      for (int i = 0; i < 40; ++i) {
        life.write("k", std::string(value_bytes, 'v'));
        log.pause(1ms);
      }
    });
  });
  CHECK(pace.rounds == 1);
  CHECK(pace.writes == due);
}

TEST_CASE("who waits for what is on disk already does not wake the log's thread") {
  TimedLog log(timed({10ms, 100ms}), k_disk);
  Pace pace;
  log.run([&](Life& life) {
    const Seq seq = life.write("k", "v");
    log.pause(1s);
    REQUIRE(life.durable() > seq);
    pace = log.watch(life, [&] {
      test::must(life.wait_durable(seq));
      log.pause(1s);
    });
  });
  CHECK(pace.wakes == 0);
  CHECK(pace.rounds == 0);
  CHECK(pace.waits.empty());
}

}  // namespace
}  // namespace actable::wal
