#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/forked.h"
#include "tests/wal/log_fixture.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

// A disk of which one call fails while a log is opened.
namespace actable::wal {
namespace {

using test::Call;
using test::difference;
using test::FaultyFileSystem;
using test::Life;
using test::log_options;
using test::must;
using test::outcome;
using test::Records;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);
constexpr Call k_every_call[] = {Call::open, Call::list,     Call::size,   Call::read,   Call::write,
                                 Call::sync, Call::allocate, Call::rename, Call::remove, Call::sync_directory};

/// Opens a copy of `disk` with the n-th call of each kind failing, n from 1 to
/// the last one that opening makes. Each time it must say what failed, and the
/// log must open afterwards as though nothing had been. Returns how often it failed.
int fail_each_call(const SimulatedDisk& disk, const Records& due) {
  int failures = 0;
  for (const Call call : k_every_call) {
    for (std::uint64_t nth = 1;; ++nth) {
      REQUIRE(nth < 1000);
      INFO("call " << static_cast<int>(call) << ", number " << nth);
      const auto copy = disk.killed();
      FaultyFileSystem files(*copy);
      files.fail_nth(call, nth);
      const auto life = Life::begin(files, k_options);
      if (files.calls(call) < nth) {
        REQUIRE(life);
        break;
      }
      // Where the log can do without, or its thread made the call afterwards.
      if (life) continue;
      REQUIRE(outcome(life) == "io_error");
      CHECK_THAT(life.error().message, test::ContainsSubstring("/simulated"));
      ++failures;
      files.heal();
      Life next(files, k_options);
      REQUIRE(difference(next.recovered(), due) == "");
    }
  }
  return failures;
}

TEST_CASE("whichever call fails while a log of many segments is opened, opening says so and harms nothing") {
  SimulatedDisk disk;
  Life life(disk, k_options);
  for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
  life.write("last", "");
  life.round();
  CHECK(fail_each_call(*disk.killed(), life.written()) > 20);
}

TEST_CASE("whichever call fails while a closed log is opened, opening says so and harms nothing") {
  SimulatedDisk disk;
  Records due;
  {
    Life life(disk, k_options);
    for (int i = 0; i < 4; ++i) life.write("k" + std::to_string(i), std::string(30'000, 'v'));
    due = life.written();
    must(life.close());
  }
  CHECK(fail_each_call(disk, due) > 5);
}

TEST_CASE("whichever call fails while a log is made, opening says so and the next one makes it") {
  CHECK(fail_each_call(SimulatedDisk(), {}) > 5);
}

TEST_CASE("whichever call fails while what a crash during creation left is cleared away, the next opening does it") {
  SimulatedDisk disk;
  const Life crashed(disk, k_options);
  const auto left = disk.killed();
  left->drop(k_identity_file);
  CHECK(fail_each_call(*left, {}) > 5);
}

TEST_CASE("whichever call fails while damage is looked for, that is what opening says, and not damage") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
  }
  const auto left = disk.killed();
  const auto frames = test::frames_on(*left, k_options);
  const auto& broken = frames.at(frames.size() / 2);
  left->bytes(broken.file)[broken.offset] ^= std::byte{1};
  int failures = 0;
  for (const Call call : {Call::open, Call::list, Call::size, Call::read}) {
    for (std::uint64_t nth = 1;; ++nth) {
      INFO("call " << static_cast<int>(call) << ", number " << nth);
      FaultyFileSystem files(*left);
      files.fail_nth(call, nth);
      const std::string found = outcome(test::look(files, k_options));
      if (files.calls(call) < nth) {
        REQUIRE(found == "corrupt");
        break;
      }
      REQUIRE(found == "io_error");
      ++failures;
    }
  }
  CHECK(failures > 10);
}

TEST_CASE("whichever read of a large segment fails, that is what opening says") {
  // Larger than the window that it is read through, and so is what is looked at behind its end;
  // well below the 2 MiB from which on is read ahead what nobody may need.
  Options options = k_options;
  options.segment_bytes = std::uint64_t{4} << 20;
  SimulatedDisk disk;
  Records due;
  {
    Life life(disk, options);
    for (int i = 0; i < 15; ++i) life.write_durably("k" + std::to_string(i), std::string(100'000, 'v'));
    due = life.written();
    must(life.close());
  }
  for (std::uint64_t nth = 1;; ++nth) {
    INFO("read " << nth);
    FaultyFileSystem files(disk);
    files.fail_nth(Call::read, nth);
    const auto found = test::look(files, options);
    if (files.calls(Call::read) < nth) {
      CHECK(difference(must(found).records, due) == "");
      CHECK(nth > 5);
      break;
    }
    REQUIRE(outcome(found) == "io_error");
  }
}

TEST_CASE("a log that is to use what the kernel has not is not opened, and nothing is made") {
  enum Outcome { as_due, not_refused, another_error, files_made };
  const int result = test::in_forked_child([] {
    if (!test::refuse({SYS_io_uring_setup, ENOSYS})) return not_refused;
    SimulatedDisk disk;
    if (outcome(Life::begin(disk, log_options(LogIo::io_uring))) != "unsupported") return another_error;
    return disk.names().empty() ? as_due : files_made;
  });
  CHECK(result == as_due);
}

TEST_CASE("an empty directory whose files cannot be listed is not taken for one without a store") {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  files.fail_nth(Call::list, 1);
  CHECK(outcome(Log::expect_in(files, k_options.directory)) == "io_error");
  CHECK(outcome(Log::expect_in(files, k_options.directory)) == "not_found");
  const Life life(files, k_options);
  CHECK(outcome(Log::expect_in(files, k_options.directory)) == "ok");
}

TEST_CASE("a consumer that cannot begin ends the opening with its reason, and the log opens afterwards") {
  SimulatedDisk disk;
  base::Epochs epochs;
  Recovery recovery;
  recovery.begin = [](const Identity&, bool) -> Result<Basis> { return fail(ErrorCode::no_memory, "full"); };
  recovery.apply = [](std::span<const LogRecord>) -> Result<void> { return {}; };
  CHECK(outcome(Log::open(k_options, disk, epochs, recovery)) == "no_memory");
  CHECK(disk.names().empty());
  CHECK(Life(disk, k_options).recovered().empty());
}

TEST_CASE("while a log is read back no tombstone may be dropped, and afterwards old ones may") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    life.write_durably("k", "v");
    must(life.close());
  }
  base::Epochs epochs;
  for (int i = 0; i < 3; ++i) epochs.advance();
  REQUIRE(epochs.tombstones_before() > 0);
  std::vector<base::Epoch> seen;
  Recovery recovery;
  recovery.begin = [&](const Identity&, bool) -> Result<Basis> {
    seen.push_back(epochs.tombstones_before());
    return {};
  };
  recovery.apply = [&](std::span<const LogRecord>) -> Result<void> {
    seen.push_back(epochs.tombstones_before());
    return {};
  };
  const auto log = must(Log::open(k_options, disk, epochs, recovery));
  CHECK(seen == std::vector<base::Epoch>{0, 0});
  epochs.advance();
  CHECK(epochs.tombstones_before() > 0);
  must(log->close());
}

TEST_CASE("a log for which the system gives no thread is not opened, and opens when there is one") {
  SimulatedDisk disk;
  Records due;
  {
    Life life(disk, k_options);
    life.write_durably("k", "v");
    due = life.written();
    must(life.close());
  }
  enum Outcome { as_due, not_refused, another_error, opened };
  const int result = test::in_forked_child([&disk] {
    if (!test::refuse({SYS_clone3, EAGAIN}) || !test::refuse({SYS_clone, EAGAIN})) return not_refused;
    const auto life = Life::begin(disk, k_options);
    if (life) return opened;
    return outcome(life) == "no_memory" && life.error().message.find("no thread for the log") != std::string::npos
               ? as_due
               : another_error;
  });
  CHECK(result == as_due);
  CHECK(difference(Life(disk, k_options).recovered(), due) == "");
}

TEST_CASE("a consumer that refuses a record ends the opening with its reason") {
  SimulatedDisk disk;
  Life life(disk, k_options);
  life.write_durably("a", "1");
  const auto left = disk.killed();
  const auto identity = must(read_identity(*left, k_options.directory));
  auto segments = must(list_segments(*left, k_options.directory, identity->store_id));
  const auto refused = replay(k_options.directory, *identity, segments, [](std::span<const LogRecord>) -> Result<void> {
    return fail(ErrorCode::no_memory, "full");
  });
  CHECK(outcome(refused) == "no_memory");
}

}  // namespace
}  // namespace actable::wal
