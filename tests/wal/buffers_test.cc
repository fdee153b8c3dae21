#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"
#include "tests/wal/watched_disk.h"

#include <algorithm>
#include <latch>
#include <string>

// What the log writes from: its buffers, known to the queue, used again, and
// never more than there are.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::Call;
using test::FaultyFileSystem;
using test::Life;
using test::log_options;
using test::must;
using test::SimulatedDisk;
using test::stays;
using test::until;
using test::WatchedDisk;

TEST_CASE("the queue is told of all memory that is written from, but for that of large writes") {
  WatchedDisk disk;
  Life life(disk, log_options(LogIo::pwrite));
  for (int i = 0; i < 200; ++i) life.write("k" + std::to_string(i), std::string(10'000, 'v'));
  life.write_durably("last", "");
  CHECK(disk.unknown() == 0);
  life.write_durably("large", std::string(k_buffer_bytes_min, 'v'));
  CHECK(disk.unknown() == 1);
}

TEST_CASE("behind the records of a frame there are zeros up to the next block") {
  SimulatedDisk disk;
  const Options options = log_options(LogIo::pwrite);
  Life life(disk, options);
  // Long and short in turn, so that buffers have held more than they are used for again.
  for (int i = 0; i < 40; ++i) {
    life.write("k", std::string(i / 10 % 2 == 0 ? 1'900 : 1, 'v'));
    if (i % 3 == 0) life.write("own frame", std::string(2'100 + 700 * static_cast<unsigned>(i % 4), 'v'));
    life.round();
  }
  must(life.close());
  const auto frames = test::frames_on(disk, options);
  CHECK(frames.size() > 40);
  for (const auto& [file, offset, header] : frames) {
    const auto frame = std::span(disk.bytes(file)).subspan(offset, frame_bytes(header.payload_bytes));
    const auto padding = frame.subspan(k_frame_header_bytes + header.payload_bytes);
    CHECK(std::ranges::all_of(padding, [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_CASE("while all blocks for short frames are on their way rounds wait for one") {
  SimulatedDisk disk;
  FaultyFileSystem slow(disk);
  Life life(slow, log_options(LogIo::pwrite));
  life.write_durably("first", "");
  slow.delay(Call::write, 1h);
  std::uint64_t rounds = 0;
  // Each round sends a block on its way, until there is none.
  do {
    rounds = life.stats().rounds;
    life.write("k", "v");
  } while (test::eventually(200ms, [&] { return life.stats().rounds > rounds; }));
  CHECK(stays(20ms, [&] { return life.stats().rounds == rounds; }));
  slow.heal();
  life.write_durably("last", "");
  CHECK(life.stats().rounds > rounds);
}

TEST_CASE("a thread's first buffer is beyond the limit that all have together") {
  SimulatedDisk disk;
  FaultyFileSystem slow(disk);
  const Options options = log_options(LogIo::pwrite);
  Life life(slow, options);
  slow.delay(Call::write, 1h);
  const auto threads = static_cast<unsigned>(options.staging_bytes / k_buffer_bytes_min) + 8;
  std::latch written(threads);
  test::together(threads, [&](unsigned thread) {
    life.write("k" + std::to_string(thread), "v");
    // Who ends leaves its place, and its buffer, to another.
    written.arrive_and_wait();
  });
  CHECK(life.stats().waits == 0);
  CHECK(life.stats().overloads == 0);
  slow.heal();
}

TEST_CASE("zeros that cannot be written ahead of the log are told") {
  SimulatedDisk disk;
  FaultyFileSystem faulty(disk);
  Segments segments(faulty, "/simulated", 1, std::uint64_t{1} << 20);
  must(segments.place(base::k_block_bytes, 1, 1));
  faulty.fail_nth(Call::write, 1);
  CHECK(test::outcome(segments.prewrite()) == "io_error");
  CHECK(must(segments.prewrite()));
}

TEST_CASE("full buffers are written without waiting for a round") {
  SimulatedDisk disk;
  Options options = log_options(LogIo::pwrite);
  options.write_interval = 1h;
  options.sync_interval = 2h;
  options.staging_bytes = std::size_t{16} << 20;
  options.segment_bytes = std::uint64_t{16} << 20;
  Life life(disk, options);
  life.write_durably("first", "");
  const std::uint64_t before = life.stats().written_bytes;
  for (int i = 0; i < 400; ++i) life.write("k", std::string(10'000, 'v'));
  until("2 MB are written", [&] { return life.stats().written_bytes >= before + 2'000'000; });
}

}  // namespace
}  // namespace actable::wal
