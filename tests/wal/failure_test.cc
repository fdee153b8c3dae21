#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#include <atomic>
#include <string>
#include <vector>

// A disk that fails, runs full or is slow.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::below;
using test::Call;
using test::difference;
using test::every_log_io;
using test::Fault;
using test::FaultyFileSystem;
using test::Found;
using test::HeldCalls;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::outcome;
using test::Random;
using test::Records;
using test::scaled;
using test::SimulatedDisk;
using test::stays;
using test::until;

constexpr std::size_t k_mib = std::size_t{1} << 20;

/// Calls that put something on the disk.
std::uint64_t changing_calls(const FaultyFileSystem& files) {
  std::uint64_t calls = 0;
  for (const Call kind : {Call::write, Call::sync, Call::allocate, Call::rename, Call::remove, Call::sync_directory}) {
    calls += files.calls(kind);
  }
  return calls;
}

struct Failure {
  Call call;
  Fault fault;
};

TEST_CASE("after one failed call the log is read-only, retries nothing, and keeps what was acknowledged") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  const Failure failure = GENERATE(Failure{Call::write, Fault::io_error}, Failure{Call::write, Fault::no_space},
                                   Failure{Call::write, Fault::short_write}, Failure{Call::sync, Fault::io_error},
                                   Failure{Call::allocate, Fault::no_space}, Failure{Call::open, Fault::io_error},
                                   Failure{Call::sync_directory, Fault::io_error});
  INFO("call " << static_cast<int>(failure.call) << ", fault " << static_cast<int>(failure.fault));
  Random random(test::seed());
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  auto life = std::make_unique<Life>(files, log_options(io));
  for (int i = 0; i < 3; ++i) life->write_durably("acknowledged", std::string(5'000, 'a'));
  const Seq acknowledged = life->written().back().seq;

  Seq lost = 0;
  {
    const HeldCalls held(files, failure.call);
    files.fail_nth(failure.call, 1, failure.fault);
    // Larger than what is left of the segment, so that the log goes on in another.
    lost = life->write("lost", std::string(60'000, 'l'));
  }
  const auto waited = life->wait_durable(lost);
  CHECK(outcome(waited) == "indeterminate");
  CHECK_THAT(waited.error().message, test::ContainsSubstring("/simulated"));
  CHECK(life->log().failed());

  const std::uint64_t calls = changing_calls(files);
  for (int i = 0; i < 3; ++i) {
    const auto refused = life->try_write("refused", "r");
    // A write that had room may have been staged before the failure was known.
    if (!refused) CHECK(outcome(refused) == "read_only");
  }
  CHECK(outcome(life->try_write("refused", std::string(70'000, 'r'))) == "read_only");
  CHECK(outcome(life->wait_durable(lost)) == "indeterminate");
  CHECK(stays(20ms, [&] { return changing_calls(files) == calls; }));
  CHECK((life->durable() > acknowledged && life->durable() <= lost));
  CHECK(outcome(life->close()) == "indeterminate");
  CHECK(changing_calls(files) == calls);

  for (int i = 0; i < 10; ++i) {
    const auto left = i == 0 ? disk.killed() : disk.power_cut(random);
    const Found found = must(look(*left, log_options(io)));
    CHECK(found.end.cut > acknowledged);
    CHECK_FALSE(found.end.clean);
    CHECK(difference(found.records, below(found.end.cut, life->written())) == "");
  }
  life.reset();
  Life next(disk, log_options(io));
  next.write_durably("goes on", "again");
}

TEST_CASE("a log that fails tells its host so, once, and why") {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  std::vector<std::string> told;
  Options options = log_options(LogIo::pwrite);
  options.log = [&told](LogLevel level, std::string_view message) {
    if (level == LogLevel::error) told.emplace_back(message);
  };
  {
    Life life(files, options);
    Seq lost = 0;
    {
      const HeldCalls held(files, Call::write);
      files.fail_from(Call::write, 1);
      lost = life.write("k", "v");
    }
    CHECK(outcome(life.wait_durable(lost)) == "indeterminate");
    CHECK(outcome(life.try_write("k", "w")) == "read_only");
    CHECK(outcome(life.close()) == "indeterminate");
  }
  REQUIRE(told.size() == 1);
  CHECK_THAT(told.front(), test::ContainsSubstring("the store is read-only from now on: "));
  CHECK_THAT(told.front(), test::ContainsSubstring("/simulated/log-00000001"));
}

TEST_CASE("of several frames of one buffer none is written behind the one that finds no place") {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  constexpr std::size_t k_small_bytes = 3000;
  Records written;
  {
    Life life(files, log_options(LogIo::pwrite));
    life.write_durably("first", std::string(20'000, 'v'));
    files.delay(Call::write, 1h);
    // Or it is blocked by a write of its own, and takes this with the large one.
    life.write("blocks the log's thread", "");
    REQUIRE(files.wait_until_delayed(Call::write));
    // For the next segment, and, in a frame of its own, for the room left in this one.
    life.write("large", std::string(50'000, 'v'));
    (void)life.epochs().bump();
    life.write("small", std::string(k_small_bytes, 'v'));
    files.fail_from(Call::open, 1);
    files.delay(Call::write, 0s);
    until("the log has failed", [&] { return life.log().failed(); });
    written = life.written();
  }
  for (const auto& frame : test::frames_on(disk, log_options(LogIo::pwrite))) {
    CHECK_FALSE((frame.header.payload_bytes >= k_small_bytes && frame.header.payload_bytes < 2 * k_small_bytes));
  }
  const Found found = must(look(disk, log_options(LogIo::pwrite)));
  CHECK((found.records.size() == 1 || found.records.size() == 2));
  CHECK(difference(found.records, below(found.end.cut, written)) == "");
}

TEST_CASE("any write that fails ends the log, one of zeros ahead of it too") {
  Options options = log_options(LogIo::pwrite);
  options.segment_bytes = 4 * k_mib;
  for (std::uint64_t nth = 1; nth <= 8; ++nth) {
    INFO("write " << nth);
    SimulatedDisk disk;
    FaultyFileSystem files(disk);
    Life life(files, options);
    files.fail_nth(Call::write, nth);
    until("the log has failed", [&] {
      (void)life.try_write("k", "v");
      return life.log().failed();
    });
    CHECK(outcome(life.try_write("k", "v")) == "read_only");
  }
}

TEST_CASE("everyone who waits when the log fails is told") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Options options = log_options(io);
  options.write_deadline = 1h;
  Life life(files, options);
  files.delay(Call::write, 1h);
  files.fail_from(Call::write, 1);
  std::atomic<unsigned> indeterminate{0};
  std::atomic<unsigned> read_only{0};
  std::atomic<unsigned> other{0};
  std::atomic<std::uint64_t> staged{0};
  test::together(9, [&](unsigned thread) {
    if (thread == 8) {
      // Four wait for the disk, four for room.
      until("all wait", [&] {
        const std::uint64_t before = staged;
        return before > 0 && stays(20ms, [&] { return staged == before; });
      });
      files.delay(Call::write, 0ms);
      return;
    }
    while (true) {
      const auto written = life.try_write("k", std::string(20'000, 'v'));
      if (!written) {
        ++(outcome(written) == "read_only" ? read_only : other);
        break;
      }
      ++staged;
      if (thread >= 4) continue;
      const auto durable = life.wait_durable(*written);
      ++(outcome(durable) == "indeterminate" ? indeterminate : other);
      break;
    }
  });
  CHECK(other == 0);
  CHECK(indeterminate + read_only == 8);
  CHECK(read_only >= 4);
}

TEST_CASE("a log that fails at any of its calls leaves an exact prefix with all that was acknowledged") {
  Random random(test::seed());
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  for (std::uint64_t run = 0; run < scaled(150); ++run) {
    SimulatedDisk disk;
    FaultyFileSystem files(disk);
    auto life = std::make_unique<Life>(files, log_options(io));
    const Call call = random.one_in(3) ? Call::sync : Call::write;
    const Fault fault = random.one_in(2) ? Fault::io_error : Fault::short_write;
    // One alone: what comes after it would be done, if it were asked for.
    files.fail_nth(call, 1 + random.below(12), fault);
    std::atomic<Seq> acknowledged{0};
    test::together(2, [&](unsigned thread) {
      Random own(test::seed() + run * 2 + thread);
      while (true) {
        const auto written = life->try_write("k" + std::to_string(thread), std::string(own.skewed(20'000), 'v'));
        if (!written) break;
        if (own.one_in(4)) continue;
        if (!life->wait_durable(*written)) break;
        Seq before = acknowledged.load();
        while (before < *written && !acknowledged.compare_exchange_weak(before, *written)) {
        }
      }
    });
    REQUIRE(life->log().failed());
    const auto left = random.one_in(2) ? disk.killed() : disk.power_cut(random);
    const Found found = must(look(*left, log_options(io)));
    REQUIRE((found.end.cut > acknowledged || acknowledged == 0));
    REQUIRE(difference(found.records, below(found.end.cut, life->written())) == "");
  }
}

TEST_CASE("while the disk is slower than the writers they wait, then are turned away, and memory stays bounded") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Options options = log_options(io);
  options.write_deadline = 20ms;
  Life life(files, options);
  files.delay(Call::write, 1h);

  constexpr unsigned k_threads = 4;
  std::atomic<unsigned> overloaded{0};
  std::atomic<std::size_t> staged{0};
  test::together(k_threads, [&](unsigned thread) {
    while (true) {
      const auto written = life.try_write("k" + std::to_string(thread), std::string(30'000, 'v'));
      if (written) {
        staged += 30'000;
        continue;
      }
      if (outcome(written) == "overloaded") ++overloaded;
      break;
    }
  });
  CHECK(overloaded == k_threads);
  CHECK(life.stats().overloads >= k_threads);
  CHECK(life.stats().waits >= k_threads);
  CHECK(staged > k_mib / 2);
  // The limit, a buffer for each thread, both in slabs of 1 MiB.
  const std::size_t bound = options.staging_bytes + k_mib;
  CHECK(life.stats().staging_bytes <= bound);

  // Whoever tries again and again, with small records and large ones, gets no more.
  test::together(k_threads, [&](unsigned thread) {
    for (int i = 0; i < 10; ++i) {
      (void)life.try_write("k" + std::to_string(thread), std::string(thread % 2 == 0 ? 60'000 : 600'000, 'v'));
    }
  });
  CHECK(life.stats().staging_bytes <= bound + options.staging_bytes);

  files.heal();
  until("there is room again", [&] { return life.try_write("after", "all").has_value(); });
  must(life.wait_durable(life.written().back().seq));
  CHECK_FALSE(life.log().failed());
  CHECK(difference(must(look(disk, options)).records, life.written()) == "");
}

TEST_CASE("a thread that is turned away again and again is counted once among the staging threads") {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Options options = log_options();
  options.write_deadline = 0ms;
  Life life(files, options);
  files.delay(Call::write, 1h);
  while (life.try_write("fills", std::string(60'000, 'f'))) {
  }
  // Large ones have a limit of their own: one is let in, and then no other. The
  // second thread begins while the first lives, so that it has a stager of its own.
  test::together(1, [&](unsigned) {
    (void)life.try_write("large", std::string(2 * k_mib, 'l'));
    test::together(1, [&](unsigned) {
      for (int i = 0; i < 200; ++i) (void)life.try_write("large", std::string(2 * k_mib, 'l'));
    });
  });
  const std::size_t before = life.stats().staging_bytes;
  while (life.try_write("fills", std::string(60'000, 'f'))) {
  }
  CHECK(life.stats().staging_bytes <= before + 2 * k_mib);
  files.heal();
}

TEST_CASE("a log that cannot be opened says why and can be opened later") {
  SimulatedDisk disk;
  {
    Life life(disk, log_options());
    life.write_durably("k", "v");
  }
  FaultyFileSystem files(disk);
  for (const Call call : {Call::open, Call::read, Call::write, Call::sync}) {
    files.fail_nth(call, 1);
    CHECK(outcome(Life::begin(files, log_options())) == "io_error");
    files.heal();
  }
  Life life(files, log_options());
  CHECK(life.recovered().size() == 1);
}

}  // namespace
}  // namespace actable::wal
