#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/wal/log_fixture.h"
#include "tests/wal/watched_disk.h"

#include <atomic>
#include <string>

// When the log's thread works, and when it sleeps.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::Call;
using test::FaultyFileSystem;
using test::Life;
using test::log_options;
using test::must;
using test::stays;
using test::until;
using test::WatchedDisk;

TEST_CASE("between rounds the log's thread sleeps") {
  WatchedDisk disk;
  Options options = log_options(LogIo::pwrite);
  options.write_interval = 50ms;
  Life life(disk, options);
  life.write_durably("k", "v");
  const std::uint64_t rounds = life.stats().rounds;
  const std::uint64_t waits = disk.waits();
  until("ten rounds", [&] {
    life.write("k", "v");
    return life.stats().rounds >= rounds + 10;
  });
  INFO(disk.waits() - waits << " waits");
  CHECK(disk.waits() - waits < 1'000);
}

TEST_CASE("the log's thread does the work of others while there is more, and rests when there is none") {
  test::SimulatedDisk disk;
  base::Epochs epochs;
  std::atomic<int> left{5};
  std::atomic<int> calls{0};
  Recovery recovery;
  recovery.begin = [](const Identity&, bool) -> Result<Basis> { return {}; };
  recovery.apply = [](std::span<const LogRecord>) -> Result<void> { return {}; };
  recovery.aside = [&] {
    ++calls;
    return left > 0 && --left > 0;
  };
  const auto log = must(Log::open(log_options(LogIo::pwrite), disk, epochs, recovery));
  until("all is done", [&] { return left == 0; });
  until("its thread rests", [&] {
    const int before = calls;
    return stays(100ms, [&] { return calls == before; });
  });
  left = 5;
  log->wake();
  until("all is done again", [&] { return left == 0; });
  must(log->close());
}

TEST_CASE("after a failure the log's thread rests") {
  WatchedDisk disk;
  FaultyFileSystem faulty(disk);
  Life life(faulty, log_options(LogIo::pwrite));
  life.write_durably("k", "v");
  faulty.fail_from(Call::sync, 1);
  CHECK_FALSE(life.wait_durable(life.write("k", "v")));
  until("the log has failed", [&] { return life.log().failed(); });
  until("its thread rests", [&] {
    const std::uint64_t waits = disk.waits();
    return stays(100ms, [&] { return disk.waits() == waits; });
  });
}

TEST_CASE("a segment that is opened again is written past the system's cache, too") {
  const test::TemporaryDirectory directory;
  Options options = log_options(LogIo::pwrite);
  options.directory = directory / "log";
  must(base::posix_file_system().prepare_directory(options.directory, true));
  bool direct = false;
  {
    Life life(base::posix_file_system(), options);
    life.write_durably("k", "v");
    direct = life.stats().direct_io;
    must(life.close());
  }
  Life life(base::posix_file_system(), options);
  life.write_durably("k", "v");
  CHECK(life.stats().direct_io == direct);
}

}  // namespace
}  // namespace actable::wal
