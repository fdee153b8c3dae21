#include "base/thread_index.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"
#include "wal/reader.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>

// Logs so long that several threads read them.
namespace actable::wal {
namespace {

using test::ContainsSubstring;
using test::difference;
using test::frames_on;
using test::Life;
using test::must;
using test::outcome;
using test::Random;
using test::Record;
using test::Records;
using test::SimulatedDisk;

Options long_log_options() {
  Options options = test::log_options(LogIo::pwrite);
  options.segment_bytes = std::uint64_t{3} << 20;
  options.write_deadline = std::chrono::minutes(10);
  return options;
}
const Options k_options = long_log_options();

/// 24 MiB in records of up to 90 KB, some of them in batches, of a life that was killed
/// at its end and of one that was closed.
struct LongLog {
  std::unique_ptr<SimulatedDisk> disk;
  Records records;

  explicit LongLog(std::uint64_t seed) {
    Random random(seed);
    SimulatedDisk first;
    fill(first, 16 << 20, random);
    disk = first.killed();
    fill(*disk, 8 << 20, random);
  }

 private:
  void fill(SimulatedDisk& on, std::size_t bytes, Random& random) {
    Life life(on, k_options);
    for (std::size_t done = 0; done < bytes;) {
      Records batch;
      for (std::uint64_t i = 0; i <= random() % 3; ++i) {
        const std::string key = "k" + std::to_string(random() % 500) + (i == 0 ? "" : "b" + std::to_string(i));
        batch.push_back({.key = key, .value = std::string(random() % 30'000, 'v')});
        done += batch.back().value.size() + 20;
      }
      must(life.try_stage(batch));
    }
    must(life.log().wait_durable(life.epochs().next_seq()));
    std::ranges::copy(life.written(), std::back_inserter(records));
    must(life.close());
  }
};

/// Records by whoever takes them.
struct Takers {
  std::mutex mutex;
  Records records;
  std::set<std::thread::id> threads;
  /// Fails with it once so many records were taken.
  std::optional<std::size_t> fails_after{};
  bool out_of_memory = false;
  unsigned helpers_max = 1'000;
  std::atomic<unsigned> helpers{0};
  std::atomic<unsigned> inside{0};

  Result<void> take(const LogRecord& record) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    if (fails_after && records.size() >= *fails_after) {
      if (out_of_memory) throw std::bad_alloc();
      return fail(ErrorCode::overloaded, "as told");
    }
    records.push_back({record.seq, std::string(record.key), std::string(record.value), record.space, record.tombstone});
    return {};
  }

  Result<LogEnd> replay(base::FileSystem& files) {
    const auto identity = must(read_identity(files, k_options.directory));
    auto segments = must(list_segments(files, k_options.directory, identity->store_id));
    const Apply apply = each_record([this](const LogRecord& record) { return take(record); });
    const Help help = [&](const std::function<void(const Apply&)>& work) {
      if (helpers.fetch_add(1) >= helpers_max) return;
      ++inside;
      work(apply);
      --inside;
    };
    auto end = wal::replay(k_options.directory, *identity, segments, apply, help);
    CHECK(inside == 0);
    return end;
  }
};

TEST_CASE("of a long log several threads deliver what one delivers, each record once") {
  const LongLog log(test::seed());
  const auto alone = must(test::look(*log.disk, k_options));
  CHECK(difference(alone.records, log.records) == "");
  Takers takers;
  const LogEnd end = must(takers.replay(*log.disk));
  CHECK(difference(takers.records, alone.records) == "");
  CHECK(end.records_applied == takers.records.size());
  CHECK(end.records_applied == alone.end.records_applied);
  CHECK(end.cut == alone.end.cut);
  CHECK(end.numbers_end == alone.end.numbers_end);
  CHECK(end.bytes == alone.end.bytes);
  CHECK(end.live == alone.end.live);
  CHECK(end.offset == alone.end.offset);
  CHECK(end.next_frame == alone.end.next_frame);
  CHECK(end.clean);
  CHECK(takers.helpers == std::min(std::thread::hardware_concurrency(), 16u) - 1);
}

TEST_CASE("records are handed over in runs, full ones but for the last of a frame") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    Records batch;
    for (int i = 0; i < 1'000; ++i) batch.push_back({.key = "k" + std::to_string(i), .value = "v"});
    must(life.try_stage(batch));
    must(life.close());
  }
  const auto identity = must(read_identity(disk, k_options.directory));
  auto segments = must(list_segments(disk, k_options.directory, identity->store_id));
  std::size_t records = 0;
  std::size_t full = 0;
  std::size_t others = 0;
  const auto count = [&](std::span<const LogRecord> run) -> Result<void> {
    CHECK(!run.empty());
    records += run.size();
    ++(run.size() == k_run_records_max ? full : others);
    return {};
  };
  CHECK(must(wal::replay(k_options.directory, *identity, segments, count)).records_applied == 1'000);
  CHECK(records == 1'000);
  CHECK(full >= 1'000 / k_run_records_max - frames_on(disk, k_options).size());
  CHECK(others <= frames_on(disk, k_options).size());
}

TEST_CASE("where there is no place for helpers the caller takes all of a long log") {
  const LongLog log(test::seed() + 1);
  Takers takers;
  takers.helpers_max = 0;
  CHECK(must(takers.replay(*log.disk)).records_applied == log.records.size());
  CHECK(difference(takers.records, log.records) == "");
  CHECK(takers.threads.size() == 1);
}

TEST_CASE("a record that is refused ends the replay of a long log with why, on whatever thread") {
  const LongLog log(test::seed() + 2);
  Random random(test::seed() + 3);
  for (int i = 0; i < 10; ++i) {
    Takers takers;
    takers.fails_after = random() % log.records.size();
    takers.out_of_memory = i % 2 == 0;
    std::string how = "bad_alloc";
    try {
      how = outcome(takers.replay(*log.disk));
    } catch (const std::bad_alloc&) {
      // Of the calling thread.
    }
    CHECK((takers.out_of_memory ? how == "bad_alloc" || how == "no_memory" : how == "overloaded"));
    CHECK(takers.records.size() == *takers.fails_after);
  }
}

TEST_CASE("damage in a long log comes out with several threads as with one") {
  const LongLog log(test::seed() + 4);
  const auto frames = frames_on(*log.disk, k_options);
  Random random(test::seed() + 5);
  for (int i = 0; i < 20; ++i) {
    const auto& frame = frames[random() % frames.size()];
    const auto disk = log.disk->killed();
    const std::uint64_t used = k_frame_header_bytes + frame.header.payload_bytes;
    disk->bytes(frame.file)[frame.offset + random() % used] ^= std::byte{1};
    INFO(frame.file << " " << frame.offset);
    const auto alone = test::look(*disk, k_options);
    Takers takers;
    const auto end = takers.replay(*disk);
    CHECK(outcome(end) == outcome(alone));
    CHECK(test::message(end) == test::message(alone));
    if (alone) CHECK(difference(takers.records, alone->records) == "");
  }
}

TEST_CASE("a segment of a long log that cannot be read or opened fails the replay or is read after all") {
  const LongLog log(test::seed() + 6);
  for (const test::Call call : {test::Call::read, test::Call::open}) {
    std::uint64_t failed = 0;
    for (std::uint64_t nth = 1;; nth += call == test::Call::read ? 3 : 1) {
      test::FaultyFileSystem files(*log.disk);
      files.fail_nth(call, nth);
      Takers takers;
      std::string how = "not listed";
      try {
        how = outcome(takers.replay(files));
      } catch (const std::exception&) {
        // What stands before the replay.
      }
      if (how == "ok") CHECK(difference(takers.records, log.records) == "");
      if (how == "io_error") ++failed;
      CHECK((how == "ok" || how == "io_error" || how == "not listed"));
      if (files.calls(call) < nth) break;
    }
    CHECK(failed > 0);
  }
}

}  // namespace
}  // namespace actable::wal
