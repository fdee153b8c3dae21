#include "wal/writer.h"

#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/wal/log_fixture.h"

#include <atomic>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

// When writes are on disk, and what the log's thread does with its time.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::below;
using test::Call;
using test::difference;
using test::eventually;
using test::every_log_io;
using test::FaultyFileSystem;
using test::Found;
using test::HeldCalls;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::Random;
using test::Records;
using test::scaled;
using test::SimulatedDisk;
using test::stays;
using test::TemporaryDirectory;
using test::until;

/// The frames of the log, once it writes no more of them.
LogStats at_rest(const Life& life) {
  LogStats rest;
  until("the log is at rest", [&] {
    rest = life.stats();
    // What it began last may be on its way while it sleeps.
    return stays(
        50ms, [&] { return life.idle() && life.stats().rounds == rest.rounds && life.stats().frames == rest.frames; });
  });
  return rest;
}

/// Copies the log's files from their ends to their beginnings, while they are
/// written: what the copy holds at one place was there when it took what comes
/// before. So it is what some crash would have left.
void copy_backwards(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::create_directory(to);
  auto names = must(base::posix_file_system().list(from));
  std::ranges::sort(names, std::greater<>{});
  for (const std::string& name : names) {
    if (name == "LOCK") continue;
    std::fstream in(from / name, std::ios::in | std::ios::binary);
    const auto size = std::filesystem::file_size(from / name);
    std::string bytes(size, '\0');
    const std::size_t step = base::k_block_bytes;
    for (std::size_t at = (size + step - 1) / step * step; at > 0; at -= step) {
      in.seekg(static_cast<std::streamoff>(at - step));
      in.read(bytes.data() + at - step, static_cast<std::streamsize>(std::min(step, size - (at - step))));
    }
    std::ofstream(to / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(size));
  }
}

TEST_CASE("what the log says is durable survives a power cut at that moment") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  Random random(test::seed());
  Options options = log_options(io);
  options.sync_interval = 2ms;
  SimulatedDisk disk;
  Life life(disk, options);
  std::atomic<bool> done{false};
  struct Cut {
    Seq durable;
    std::unique_ptr<SimulatedDisk> disk;
  };
  std::vector<Cut> cuts;
  test::together(3, [&](unsigned thread) {
    Random own(test::seed() + thread);
    for (std::uint64_t i = 0; i < scaled(600); ++i) {
      const Seq seq = life.write("k" + std::to_string(thread), std::string(own.skewed(3'000), 'v'));
      if (own.one_in(8)) must(life.wait_durable(seq));
      if (thread != 0 || i % scaled(60) != 0) continue;
      const Seq durable = life.durable();
      cuts.push_back({durable, disk.power_cut(own)});
    }
  });
  REQUIRE(cuts.size() >= 10);
  for (const Cut& cut : cuts) {
    const Found found = must(look(*cut.disk, options));
    REQUIRE(difference(found.records, below(found.end.cut, life.written())) == "");
    REQUIRE(below(cut.durable, life.written()).size() <= found.records.size());
  }
}

TEST_CASE("on real files, too, what is durable is there in a copy made afterwards") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  const TemporaryDirectory directory;
  Options options = log_options(io);
  options.directory = directory / "log";
  options.sync_interval = 5ms;
  options.segment_bytes = std::uint64_t{1} << 20;
  must(base::posix_file_system().prepare_directory(options.directory, true));
  Life life(base::posix_file_system(), options);
  CHECK(life.stats().io == (io == LogIo::pwrite ? "pwrite" : "io_uring"));
  std::atomic<unsigned> writing{2};
  std::vector<Seq> durable;
  test::together(3, [&](unsigned thread) {
    if (thread == 0) {
      while (writing != 0 && durable.size() < 20) {
        durable.push_back(life.durable());
        copy_backwards(options.directory, directory / std::to_string(durable.size()));
      }
      return;
    }
    Random random(test::seed() + thread);
    for (std::uint64_t i = 0; i < scaled(2'000); ++i) {
      const Seq seq = life.write("k" + std::to_string(thread), std::string(random.skewed(20'000), 'v'));
      if (random.one_in(20)) must(life.wait_durable(seq));
    }
    --writing;
  });
  for (std::size_t i = 1; i <= durable.size(); ++i) {
    options.directory = directory / std::to_string(i);
    const Found found = must(look(base::posix_file_system(), options));
    REQUIRE(difference(found.records, below(found.end.cut, life.written())) == "");
    REQUIRE(below(durable[i - 1], life.written()).size() <= found.records.size());
  }
  must(life.close());
  options.directory = directory / "log";
  CHECK(difference(must(look(base::posix_file_system(), options)).records, life.written()) == "");
}

TEST_CASE("a record numbered above the cut of the round that takes it is durable with a later marker only") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  Random random(test::seed());
  for (int run = 0; run < 10; ++run) {
    SimulatedDisk disk;
    Life life(disk, log_options(io));
    life.write("keeps", "rounds going");
    life.round();
    // Pinned in one epoch, it draws in the next: a round has begun, and waits.
    const Seq seq = must(life.try_stage({{.key = "k", .value = "v"}}, [&](const Life::Draw& draw) {
      const base::Epoch pinned = life.epochs().slot(base::thread_index())->write.load();
      until("a round begins", [&] { return life.epochs().now() > pinned; });
      return draw(0);
    }));
    must(life.wait_durable(seq));
    const auto left = disk.power_cut(random);
    REQUIRE(difference(must(look(*left, log_options(io))).records, life.written()) == "");
  }
}

TEST_CASE("who asks for a write while a round that misses it is closing gets the next round at once") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  Options options = log_options(io);
  options.write_interval = options.sync_interval = 1h;
  SimulatedDisk disk;
  Life life(disk, options);
  life.write_durably("k", "v");
  base::Epochs& epochs = life.epochs();
  std::optional<base::WritePin> pin(std::in_place, epochs, *epochs.slot(base::thread_index()));
  // Draws a number and stages nothing, so that the round finds nothing to write.
  std::jthread first([&] {
    base::Epochs::Slot& own = *epochs.slot(base::thread_index());
    const Seq drawn = epochs.draw(own, base::WritePin(epochs, own).epoch(), 0);
    must(life.wait_durable(drawn));
  });
  until("a round begins", [&] { return epochs.now() > pin->epoch(); });
  std::atomic<Seq> seq{0};
  std::jthread second([&] {
    seq = life.write("k", "w");
    must(life.wait_durable(seq));
  });
  until("the second has written", [&] { return seq != 0; });
  // Long enough for the log's thread to take notice that the second waits.
  CHECK(stays(5ms, [&] { return life.durable() <= seq; }));
  pin.reset();
  // The next round that is not asked for comes in an hour.
  const bool came = eventually(1min, [&] { return life.durable() > seq; });
  must(life.close());  // Lets the two go if nothing else did.
  CHECK(came);
}

TEST_CASE("writes larger than a buffer wait for the disk and for no round") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  Options options = log_options(io);
  options.write_interval = options.sync_interval = 1h;
  options.write_deadline = 60s;
  options.segment_bytes = std::uint64_t{4} << 20;
  SimulatedDisk disk;
  Life life(disk, options);
  // One fills the staging memory but for a little. Who waited for a round would
  // wait in vain: the next one comes in an hour, long after the deadline.
  for (int i = 0; i < 5; ++i) life.write("k", std::string(900'000, 'v'));
  CHECK(life.stats().overloads == 0);
  CHECK(life.stats().waits > 0);
}

TEST_CASE("many who wait share a sync") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Life life(files, log_options(io));
  const std::uint64_t before = at_rest(life).syncs;
  constexpr unsigned k_others = 16;
  std::atomic<unsigned> written{0};
  std::vector<std::jthread> threads;
  {
    const HeldCalls held(files, Call::sync);
    threads.emplace_back([&] { life.write_durably("first", "v"); });
    REQUIRE(files.wait_until_delayed(Call::sync));
    for (unsigned i = 0; i < k_others; ++i) {
      threads.emplace_back([&, i] {
        const Seq seq = life.write("k" + std::to_string(i), "v");
        ++written;
        must(life.wait_durable(seq));
      });
    }
    until("all have written", [&] { return written == k_others; });
  }
  threads.clear();
  // That of the first, and one for all who wrote meanwhile.
  CHECK(at_rest(life).syncs == before + 2);
}

TEST_CASE("an asynchronous write is on disk when the sync interval has passed, without anyone asking") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  const TemporaryDirectory directory;
  Options options = log_options(io);
  options.directory = directory.path();
  options.write_interval = 10ms;
  options.sync_interval = 100ms;
  Life life(base::posix_file_system(), options);
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t syncs = at_rest(life).syncs;
    const Seq seq = life.write("k", "v");
    // Who looks asks for nothing. When exactly it is to be is in timing_test.cc.
    until("it is durable", [&] { return life.durable() > seq; });
    CHECK(life.stats().syncs == syncs + 1);
  }
}

TEST_CASE("a log with nothing to write writes nothing, and takes up the next write by itself") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  SimulatedDisk disk;
  Options options = log_options(io);
  options.write_interval = 1ms;
  options.sync_interval = 5ms;
  Life life(disk, options);
  for (int i = 0; i < 3; ++i) {
    const Seq seq = life.write("k", "v");
    until("it is durable", [&] { return life.durable() > seq; });
    const LogStats rest = at_rest(life);
    const std::uint64_t changes = disk.changes();
    const Seq next = life.epochs().next_seq();
    CHECK(stays(100ms, [&] { return life.stats().rounds == rest.rounds && disk.changes() == changes; }));
    CHECK(life.epochs().next_seq() == next);
    CHECK(life.log().lag() == 0us);
  }
}

TEST_CASE("a log at rest has written down how far it is on disk") {
  SimulatedDisk disk;
  Life life(disk, log_options());
  life.write_durably("k", "v");
  at_rest(life);
  const auto frames = test::frames_on(disk, log_options());
  const auto marker = std::ranges::find_if(frames, [](const auto& frame) { return frame.header.records != 0; });
  REQUIRE(marker != frames.end());
  CHECK(frames.back().header.durable == marker->header.cut);
  // So damage to the last synced record is told from a torn tail.
  const auto left = disk.killed();
  left->bytes(marker->file)[marker->offset + 70] ^= std::byte{1};
  CHECK(test::outcome(look(*left, log_options())) == "corrupt");
}

TEST_CASE("of a life's frames the first alone is a recovery frame, and the last alone says that it was closed") {
  const auto flags_on = [](SimulatedDisk& disk) {
    std::vector<std::uint32_t> flags;
    for (const auto& frame : test::frames_on(disk, log_options())) flags.push_back(frame.header.flags);
    return flags;
  };
  SimulatedDisk disk;
  Life life(disk, log_options());
  for (int i = 0; i < 3; ++i) {
    life.write_durably("k", "v");
    at_rest(life);
  }
  auto found = flags_on(disk);
  REQUIRE(found.size() > 3);
  std::vector<std::uint32_t> due(found.size(), 0);
  due.front() = FrameHeader::k_recovery;
  CHECK(found == due);
  must(life.close());
  found = flags_on(disk);
  due.resize(found.size(), 0);
  due.back() = FrameHeader::k_clean;
  CHECK(found == due);
}

TEST_CASE("a log at rest writes down that its numbers have moved on, once they have by 65,536 epochs") {
  SimulatedDisk disk;
  Life life(disk, log_options());
  life.write_durably("k", "v");
  const std::uint64_t frames = at_rest(life).frames;
  const auto look_around = [&life] {
    const std::uint64_t rounds = life.stats().rounds;
    until("a round is done", [&] {
      life.log().wake();
      return life.stats().rounds > rounds;
    });
    return at_rest(life);
  };
  for (int i = 0; i < 60'000; ++i) (void)life.epochs().bump();
  CHECK(look_around().frames == frames);
  for (int i = 0; i < 10'000; ++i) (void)life.epochs().bump();
  CHECK(look_around().frames == frames + 1);
  CHECK(base::epoch_of(test::frames_on(disk, log_options()).back().header.cut) > 70'000);
  CHECK(look_around().frames == frames + 1);
}

TEST_CASE("a log that was closed is found closed, though the power is cut at that moment") {
  Random random(test::seed());
  for (int i = 0; i < 10; ++i) {
    SimulatedDisk disk;
    Life life(disk, log_options());
    const Seq last = life.write("k", "v");
    must(life.close());
    const auto found = must(look(*disk.power_cut(random), log_options()));
    CHECK(found.end.clean);
    CHECK(found.end.cut > last);
  }
}

TEST_CASE("a log says whether it goes past the system's cache") {
  const TemporaryDirectory directory;
  Options options = log_options();
  options.directory = directory.path();
  const Life life(base::posix_file_system(), options);
  const auto probe =
      must(base::posix_file_system().open(directory / "probe", {.create = true, .write = true, .direct = true}));
  CHECK(life.stats().direct_io == probe->direct());
  SimulatedDisk disk;
  CHECK(Life(disk, log_options()).stats().direct_io);
}

TEST_CASE("records of up to half a block go into the marker's frame, more are written from where they lie") {
  SimulatedDisk disk;
  Life life(disk, log_options());
  const auto in_marker = [&](std::size_t payload_bytes) {
    at_rest(life);
    life.write_durably("k", std::string(payload_bytes - record_bytes(1, 0), 'v'));
    at_rest(life);
    const auto frames = test::frames_on(disk, log_options());
    const auto last = std::ranges::find_if(frames.rbegin(), frames.rend(),
                                           [](const auto& frame) { return frame.header.records != 0; });
    REQUIRE(last->header.payload_bytes == payload_bytes);
    return last->header.cut != 0;
  };
  CHECK(in_marker(base::k_block_bytes / 2));
  CHECK_FALSE(in_marker(base::k_block_bytes / 2 + 1));
  CHECK_FALSE(in_marker(base::k_block_bytes));
}

TEST_CASE("rounds let memory that was retired before them be used again") {
  SimulatedDisk disk;
  Life life(disk, log_options());
  const base::Epoch before = life.epochs().now();
  life.write_durably("k", "v");
  CHECK(life.epochs().safe() > before);
}

TEST_CASE("the log counts its frames") {
  SimulatedDisk disk;
  Life life(disk, log_options());
  CHECK(at_rest(life).frames == 1);
  for (int i = 0; i < 3; ++i) life.write_durably("k", "v");
  const std::uint64_t frames = at_rest(life).frames;
  CHECK(frames == test::frames_on(disk, log_options()).size());
}

TEST_CASE("the log counts its syncs and knows how long the last and the longest took") {
  SimulatedDisk disk;
  FaultyFileSystem slow(disk);
  Life life(slow, log_options(LogIo::pwrite));
  const std::uint64_t before = at_rest(life).syncs;
  slow.delay(Call::sync, 50ms);
  life.write_durably("a", "");
  LogStats stats = at_rest(life);
  CHECK(stats.syncs == before + 1);
  CHECK(stats.sync_duration_last >= 50ms);
  CHECK(stats.sync_duration_max == stats.sync_duration_last);
  slow.delay(Call::sync, 200ms);
  life.write_durably("b", "");
  const std::chrono::microseconds longest = at_rest(life).sync_duration_max;
  CHECK(longest >= 200ms);
  slow.heal();
  life.write_durably("c", "");
  stats = at_rest(life);
  CHECK(stats.syncs == before + 3);
  CHECK(stats.sync_duration_max >= longest);
}

TEST_CASE("a log syncs when somebody waits or the interval has passed, and no more often") {
  SimulatedDisk disk;
  Life life(disk, log_options(LogIo::pwrite));
  life.write_durably("k", "v");
  const std::uint64_t syncs = at_rest(life).syncs;
  for (int i = 0; i < 5; ++i) {
    life.write("k", "v");
    life.round();
  }
  CHECK(life.stats().syncs == syncs);
}

TEST_CASE("the lag of a log is the age of the oldest write that is not durable") {
  SimulatedDisk disk;
  FaultyFileSystem slow(disk);
  Life life(slow, log_options(LogIo::pwrite));
  at_rest(life);
  CHECK(life.log().lag() == 0us);
  // It is taken by a round and waits for a sync that comes in an hour.
  const auto began = base::Clock::now();
  const Seq written = life.write("k", "v");
  life.round();
  const auto lag = life.log().lag();
  until("it has grown", [&] { return life.log().lag() >= lag + 20ms; });
  CHECK(life.log().lag() <= base::Clock::now() - began);
  // Nor does it begin anew with a later write.
  life.write("later", "");
  life.round();
  CHECK(life.log().lag() >= lag + 20ms);
  must(life.wait_durable(written));
  must(life.wait_durable(life.written().back().seq));
  until("it is none", [&] { return life.log().lag() == 0us; });
}

TEST_CASE("what many threads stage in a round goes into one frame if it is short") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  SimulatedDisk disk;
  FaultyFileSystem slow(disk);
  Life life(slow, log_options(io));
  slow.delay(Call::write, 1h);
  life.write("first", "");
  REQUIRE(slow.wait_until_delayed(Call::write));
  constexpr unsigned k_threads = 24;
  test::together(k_threads, [&](unsigned thread) { life.write("k" + std::to_string(thread), "v"); });
  const std::uint64_t before = life.stats().frames;
  slow.heal();
  must(life.wait_durable(life.written().back().seq));
  at_rest(life);
  // The first's, theirs, perhaps one for numbers above the cut, and the seal.
  CHECK(life.stats().frames - before <= 4);
  CHECK(difference(must(look(disk, log_options(io))).records, life.written()) == "");
}

TEST_CASE("space ahead of the log is written before it is used") {
  const LogIo io = GENERATE(test::from_range(every_log_io()));
  Options options = log_options(io);
  options.segment_bytes = std::uint64_t{4} << 20;
  SimulatedDisk disk;
  FaultyFileSystem counted(disk);
  Life life(counted, options);
  life.write_durably("k", "v");
  at_rest(life);
  // Identity, segment header, recovery frame, the write's frame and the seal are
  // five; the pieces of space are more.
  CHECK(counted.calls(Call::write) >= 7);
  for (int i = 0; i < 100; ++i) life.write_durably("k", std::string(30'000, 'v'));
  CHECK(difference(must(look(disk, options)).records, life.written()) == "");
}

}  // namespace
}  // namespace actable::wal
