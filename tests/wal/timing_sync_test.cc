#include "tests/support/catch.h"
#include "tests/wal/simulated_time.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// When the log does what, to the nanosecond, for those who wait; and what it
// says of its own time.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::DiskTimes;
using test::Instant;
using test::Life;
using test::must;
using test::Pace;
using test::TimedLog;

constexpr DiskTimes k_disk{.write = 200us, .sync = 3ms};
constexpr Instant k_on_disk = k_disk.write + k_disk.sync;

Options patient() {
  Options options = test::log_options();
  options.segment_bytes = std::uint64_t{16} << 20;
  options.write_interval = 10s;
  options.sync_interval = 60s;
  return options;
}

/// What the log does for a write that is waited for; when it is durable.
std::pair<Pace, Instant> write_durably(TimedLog& log, Life& life) {
  Instant durable{};
  const Pace pace = log.watch(life, [&] {
    life.write_durably("k", "v");
    durable = log.now();
    log.pause(1s);
  });
  return {pace, durable - pace.from};
}

TEST_CASE("a synchronous write waits for the disk, and for no interval") {
  TimedLog log(patient(), k_disk);
  const auto is_prompt = [](const std::pair<Pace, Instant>& write) {
    return write.second == k_on_disk && write.first.rounds == 1 && write.first.syncs == std::vector{k_disk.write};
  };
  std::vector<std::pair<Pace, Instant>> writes;
  log.run([&](Life& life) {
    // At rest, and soon after a round.
    for (int i = 0; i < 2; ++i) writes.push_back(write_durably(log, life));
    // Behind one that was handed over and is to be synced later: with that one.
    log.pause(20s);
    life.write("k", "v");
    log.pause(1s);
    writes.push_back(write_durably(log, life));
    // Behind one that is staged, too.
    life.write("k", "v");
    log.pause(1s);
    writes.push_back(write_durably(log, life));
  });
  for (const auto& write : writes) CHECK(is_prompt(write));
}

TEST_CASE("a writer that is stopped holds up those who wait behind it, and others no longer than a sync takes") {
  TimedLog log(patient(), k_disk);
  Pace pace;
  Instant earlier_durable{};
  Instant durable{};
  log.run({[&](Life& life) {
             life.write_durably("k", "v");
             log.pause(20s);
             const Seq earlier = life.write("k", "v");
             log.pause(1s);
             {
               const base::WritePin pin(life.epochs(), *life.epochs().slot(base::thread_index()));
               log.pause(3'010us);
               earlier_durable = log.durable_at(life, earlier);
               log.pause(10ms - 10us);
             }
           },
           [&](Life& life) {
             log.pause(21s + k_on_disk + 10us);
             pace = log.watch(life, [&] {
               life.write_durably("k", "v");
               durable = log.now();
             });
           }});
  REQUIRE(pace.syncs.size() == 2);
  CHECK(pace.syncs.front() == k_disk.sync);
  CHECK(earlier_durable - pace.from == 2 * k_disk.sync);
  // The round looks for the last writer every 50 us.
  CHECK(durable - pace.from == 2 * k_disk.sync + 10ms + k_on_disk);
}

TEST_CASE("rounds keep their interval from one that was asked for") {
  TimedLog log(patient(), k_disk);
  Pace pace;
  log.run([&](Life& life) {
    life.write("k", "v");
    log.pause(4s);
    pace = log.watch(life, [&] {
      life.write_durably("k", "v");
      life.write("k", "v");
      log.pause(11s);
    });
  });
  // The second write, which finds the log at rest or on its way there, is taken
  // an interval after the round before it at the latest.
  REQUIRE(pace.writes.size() >= 2);
  CHECK(pace.writes.front() == 0ns);
  CHECK(pace.writes.back() <= 10s + k_on_disk);
}

TEST_CASE("who waits for what a round has taken already waits for the sync alone") {
  TimedLog log(patient(), k_disk);
  Pace pace;
  Pace at_rest;
  Pace later;
  Instant durable{};
  log.run([&](Life& life) {
    life.write_durably("k", "v");
    log.pause(20s);
    life.write("k", "v");
    log.pause(1s);
    pace = log.watch(life, [&] {
      must(life.log().wait_durable(life.epochs().next_seq()));
      durable = log.now();
      log.pause(1s);
    });
    // That number is durable and wanted: nothing more is, and nobody waits.
    at_rest = log.watch(life, 20s);
    later = log.watch(life, [&] {
      life.write("k", "v");
      log.pause(49s);
    });
  });
  CHECK(durable - pace.from == k_disk.sync);
  CHECK(pace.rounds == 0);
  CHECK(pace.syncs == std::vector<Instant>{0ns});
  CHECK(at_rest.rounds == 0);
  CHECK(later.syncs.empty());
}

TEST_CASE("who asks while a round that misses it is closing gets the next one in the same instant") {
  TimedLog log(patient(), k_disk);
  Instant began{};
  Instant drawn_durable{};
  Instant written_durable{};
  log.run({[&](Life& life) {
             began = log.now();
             const base::WritePin pin(life.epochs(), *life.epochs().slot(base::thread_index()));
             log.pause(990us);
           },
           [&](Life& life) {
             log.pause(1us);
             // A number, and nothing staged: the round finds nothing to write.
             base::Epochs::Slot& own = *life.epochs().slot(base::thread_index());
             const Seq drawn = life.epochs().draw(own, base::WritePin(life.epochs(), own).epoch(), 0);
             must(life.wait_durable(drawn));
             drawn_durable = log.now();
           },
           [&](Life& life) {
             log.pause(100us);
             life.write_durably("k", "v");
             written_durable = log.now();
           }});
  // The round looks for the last writer when it is woken, and every 50 us from then on.
  CHECK(drawn_durable - began == 1ms);
  CHECK(written_durable - began == 1ms + k_on_disk);
}

TEST_CASE("many who ask while a sync is under way share the next, which begins as soon as that one ends") {
  TimedLog log(patient(), k_disk);
  constexpr std::size_t k_others = 10;
  Pace pace;
  std::vector<Instant> durable;
  std::vector<TimedLog::Client> clients{[&](Life& life) {
    pace = log.watch(life, [&] {
      life.write_durably("k", "v");
      log.pause(1s);
    });
  }};
  for (std::size_t i = 0; i < k_others; ++i) {
    clients.emplace_back([&, i](Life& life) {
      log.pause(1ms + i * 100us);
      life.write_durably("k", "v");
      durable.push_back(log.now());
    });
  }
  log.run(std::move(clients));
  CHECK(pace.syncs == std::vector<Instant>{k_disk.write, k_on_disk});
  CHECK(durable == std::vector<Instant>(k_others, pace.from + k_on_disk + k_disk.sync));
}

TEST_CASE("who asks too late for the sync that comes has its own when that one ends") {
  TimedLog log(patient(), k_disk);
  Instant began{};
  Instant durable{};
  log.run({[&](Life& life) {
             began = log.now();
             life.write_durably("k", "v");
           },
           [&](Life& life) {
             // Handed over, and not written yet when the first sync ends.
             log.pause(k_on_disk - 100us);
             life.write_durably("k", "v");
             durable = log.now();
           }});
  CHECK(durable - began == k_on_disk - 100us + k_on_disk);
}

TEST_CASE("closing a log takes two turns of the disk, and the last sync covers the frame that says so") {
  TimedLog log(patient(), k_disk);
  Pace pace;
  Instant closed{};
  std::optional<test::Found> found;
  log.run([&](Life& life) {
    life.write_durably("k", "u");
    log.pause(20s);
    life.write("k", "v");
    log.pause(1s);
    life.write("k", "w");
    pace = log.watch(life, [&] {
      must(life.close());
      closed = log.now() - log.disk().requests().back().at;
    });
    test::Random random(test::seed());
    test::SimulatedDisk left(log.disk().image(test::Survival::none, random));
    found = must(test::look(left, patient()));
  });
  REQUIRE(pace.syncs.size() == 2);
  CHECK(pace.syncs.front() == k_disk.write);
  CHECK(pace.syncs.back() == pace.writes.back() + k_disk.write);
  CHECK(closed == k_disk.sync);
  CHECK(found->end.clean);
  CHECK(found->records.size() == 3);
}

TEST_CASE("the log knows to the microsecond how long its syncs took") {
  TimedLog log(patient(), k_disk);
  std::vector<LogStats> stats;
  log.run([&](Life& life) {
    for (const Instant sync : {3ms, 50ms, 7ms}) {
      log.disk().take({.write = k_disk.write, .sync = sync});
      life.write_durably("k", "v");
      stats.push_back(life.stats());
    }
  });
  CHECK(stats[0].sync_duration_last == 3ms);
  CHECK(stats[0].sync_duration_max == 3ms);
  CHECK(stats[1].sync_duration_last == 50ms);
  CHECK(stats[1].sync_duration_max == 50ms);
  CHECK(stats[2].sync_duration_last == 7ms);
  CHECK(stats[2].sync_duration_max == 50ms);
  CHECK(stats[2].syncs == stats[0].syncs + 2);
}

TEST_CASE("the lag is counted from the round that took the oldest write, or since the log's thread last looked") {
  TimedLog log(patient(), k_disk);
  std::vector<Instant> lags;
  log.run([&](Life& life) {
    const auto note = [&] { lags.push_back(life.log().lag()); };
    note();
    const Instant began = log.now();
    life.write("k", "v");
    log.pause(1s);
    note();
    log.pause(44s);
    note();
    // Taken by the round in which the sync for the first begins.
    life.write("k", "v");
    log.pause_until(began + 50s + k_disk.sync - 1us);
    note();
    log.pause(2us);
    note();
    log.pause(60s);
    note();
  });
  CHECK(lags == std::vector<Instant>{0s, 1s, 45s, 50s + k_disk.sync - 1us, k_disk.sync + 1us, 0s});
}

TEST_CASE("the lag of what no round has taken is counted from the last look for it") {
  TimedLog log(patient(), k_disk);
  std::chrono::microseconds lag{};
  log.run([&](Life& life) {
    life.write_durably("k", "v");
    log.pause(1s);
    // It wakes the log's thread, and its round is due in nine seconds.
    life.write("k", "v");
    log.pause(2s);
    lag = life.log().lag();
  });
  CHECK(lag == 2s);
}

TEST_CASE("who waits for room in a log that has closed is told within a millisecond") {
  Options options = patient();
  options.write_deadline = 100ms;
  TimedLog log(options, k_disk);
  Instant waited{};
  std::string outcome;
  log.run([&](Life& life) {
    must(life.close());
    // More than the log's memory has room for.
    for (int i = 0; i < 100; ++i) {
      const Instant began = log.now();
      const auto written = life.try_write("k", std::string(60'000, 'v'));
      waited = log.now() - began;
      outcome = test::outcome(written);
      if (!written) break;
    }
  });
  CHECK(outcome == "overloaded");
  CHECK(waited <= 1ms);
}

}  // namespace
}  // namespace actable::wal
