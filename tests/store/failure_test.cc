// A disk that fails, runs full or is slow: nothing acknowledged is lost,
// nothing is retried, reads go on, memory stays bounded. Over both ways to the
// disk.

#include "store/access.h"
#include "tests/store/each_failure.h"
#include "tests/store/operations.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <atomic>
#include <future>
#include <mutex>

using namespace actable;
using namespace actable::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;

/// A directory on a disk that does as it is told.
struct Disk {
  explicit Disk(LogIo io) : options(small_store(directory / "store", io)) {
    options.segment_bytes = k_mib;
    options.staging_bytes = k_mib;
  }
  [[nodiscard]] Result<Store> try_open() { return store::Access::open(options, files); }
  [[nodiscard]] Store open() { return must(try_open()); }

  TemporaryDirectory directory;
  FaultyFileSystem files;
  Options options;
};

LogIo each_io() { return GENERATE(from_range(every_log_io())); }

std::string key_of(std::uint64_t i) { return "key" + std::to_string(i); }

/// A synchronous put, during which the calls of a kind that `fail` orders to fail begin to.
template <class Fail>
Result<Seq> put_while_failing(FaultyFileSystem& files, Call kind, Space& space, std::string_view key,
                              std::string_view value, Fail fail) {
  std::future<Result<Seq>> put;
  {
    const HeldCalls held(files, kind);
    fail();
    put = std::async(std::launch::async, [&] { return space.put(key, value, k_sync); });
    until("the put waits for the disk", [&] { return must(space.get(key)) == value; });
  }
  return put.get();
}

}  // namespace

TEST_CASE("after a failed write or sync nothing is written, everything is read, and what was durable stays",
          "[failure]") {
  Disk disk(each_io());
  const Failure failure = each_failure();
  const bool once = GENERATE(false, true);  // a disk that is well again is not trusted either
  CAPTURE(static_cast<int>(failure.call), static_cast<int>(failure.fault), once);
  Content durable;
  {
    Store store = disk.open();
    Space space = must(store.space("s"));
    for (std::uint64_t i = 0; i < 100; ++i) must(space.put(key_of(i), sealed(i, 100)));
    const Seq acknowledged = must(space.put("a", "acknowledged", k_sync));
    durable = content(space);

    const auto in_flight = put_while_failing(disk.files, failure.call, space, "in flight", "v", [&] {
      if (once)
        disk.files.fail_nth(failure.call, 1, failure.fault);
      else
        disk.files.fail_from(failure.call, 1, failure.fault);
    });
    REQUIRE(outcome(in_flight) == "indeterminate");
    CHECK_FALSE(in_flight.error().refused());
    CHECK(must(space.get("in flight")) == "v");

    const Content before = content(space);
    CHECK(before.size() == durable.size() + 1);
    for (const Operation& operation : every_operation()) {
      INFO(operation.name);
      const std::optional<Error> error = operation.run(space, operation.needs_absent ? "c" : "a", "refused");
      if (!operation.writes) {
        CHECK_FALSE(error);
        continue;
      }
      REQUIRE(error);
      CHECK(error->code == ErrorCode::read_only);
      CHECK(error->refused());
      CHECK_THAT(error->message, ContainsSubstring(disk.options.directory.string()));
    }
    Batch batch;
    must(batch.put(space, "a", "refused"));
    CHECK(outcome(store.write(batch)) == "read_only");
    CHECK(outcome(space.put("a", "refused", k_sync)) == "read_only");
    CHECK(outcome(store.space("new")) == "read_only");
    CHECK(outcome(store.drop_space("s")) == "read_only");
    CHECK(difference(content(space), before) == "");

    CHECK(outcome(store.wait_durable(acknowledged)) == "ok");
    CHECK(outcome(store.wait_durable(before.at("in flight").seq)) == "indeterminate");
    CHECK(outcome(store.sync()) == "indeterminate");
    const StoreStats stats = store.stats();
    CHECK(stats.read_only);
    CHECK_THAT(stats.read_only_reason, ContainsSubstring(disk.options.directory.string()));
    CHECK(stats.durable_seq >= acknowledged);
    CHECK(stats.durable_seq < before.at("in flight").seq);
    CHECK(outcome(store.close()) == "indeterminate");
  }
  disk.files.heal();
  for (int life = 0; life < 2; ++life) {
    Store store = disk.open();
    CHECK_FALSE(store.stats().read_only);
    Space space = must(store.space("s"));
    Content after = content(space);
    if (const auto there = after.extract("in flight")) CHECK(there.mapped().value == "v");
    CHECK(difference(after, durable) == "");
    CHECK(must(space.put("works", "again", k_sync)) > durable.at("a").seq);
    CHECK(must(space.erase("works", k_sync)));
  }
}

TEST_CASE("what a failed log kept is an exact prefix, and what it lost stays lost", "[failure]") {
  Disk disk(each_io());
  const Failure failure = each_failure();
  Random random(seed());
  constexpr unsigned k_threads = 4;
  std::array<Content, k_threads> written;
  Seq durable = 0;
  {
    Store store = disk.open();
    disk.files.fail_from(failure.call, 1 + random.below(failure.call == Call::sync ? 20 : 200), failure.fault);
    std::atomic<Seq> synced{0};
    together(k_threads, [&](unsigned thread) {
      Space space = must(store.space("s"));
      for (std::uint64_t i = 0; i < 200'000; ++i) {
        const std::string key = std::to_string(thread) + key_of(i);
        const auto put = space.put(key, sealed(i, 200), i % 500 == 0 ? k_sync : WriteOptions{});
        if (!put && put.error().code == ErrorCode::overloaded) continue;
        if (!put) {
          expect(outcome(put) == "read_only" || outcome(put) == "indeterminate", "a failed put is neither");
          return;
        }
        written.at(thread)[key] = {sealed(i, 200), *put};
        // relaxed: read after the threads were joined
        if (i % 500 == 0 && *put > synced.load(std::memory_order_relaxed))
          synced.store(*put, std::memory_order_relaxed);
      }
    });
    REQUIRE(store.stats().read_only);
    durable = store.durable_seq();
    CHECK(durable >= synced.load());
  }
  disk.files.heal();
  Content kept;
  Seq cut = 0;
  for (int life = 0; life < 3; ++life) {
    Store store = disk.open();
    Space space = must(store.space("s"));
    if (life == 0) {
      cut = store.stats().recovery.cut;
      kept = content(space);
      std::size_t wrong = 0;
      std::size_t broken_promises = 0;
      std::size_t below = 0;
      for (const Content& of : written) {
        for (const auto& [key, record] : of) {
          const auto found = kept.find(key);
          const bool right = record.seq < cut ? found != kept.end() && found->second == record : found == kept.end();
          wrong += !right;
          broken_promises += record.seq <= durable && record.seq >= cut;
          below += record.seq < cut;
        }
      }
      CHECK(wrong == 0);
      CHECK(broken_promises == 0);
      CHECK(kept.size() <= below + k_threads);  // those whose put was indeterminate
    }
    CHECK(difference(content(space), kept) == "");
    const std::string mark = "mark" + std::to_string(life);
    const Seq seq = must(space.put(mark, "v"));
    for (const Content& of : written) {
      if (!of.empty()) CHECK(seq > of.rbegin()->second.seq);
    }
    kept[mark] = {"v", seq};
  }
}

TEST_CASE("a full disk loses nothing that was acknowledged", "[failure]") {
  Disk disk(each_io());
  std::uint64_t acknowledged = 0;
  {
    Store store = disk.open();
    Space space = must(store.space("s"));
    must(space.put("first", "v", k_sync));
    disk.files.cap_bytes_written(3 * k_mib);
    Result<Seq> put;
    while ((put = space.put(key_of(acknowledged), sealed(acknowledged, 20'000), k_sync)))
      REQUIRE(++acknowledged < 1'000);
    CHECK((outcome(put) == "indeterminate" || outcome(put) == "read_only"));
    CHECK(outcome(space.put("late", "v")) == "read_only");
    CHECK(must(space.get("first")) == "v");
  }
  disk.files.heal();
  Store store = disk.open();
  Space space = must(store.space("s"));
  CHECK(must(space.get("first")) == "v");
  for (std::uint64_t i = 0; i < acknowledged; ++i) REQUIRE(must(space.get(key_of(i))) == sealed(i, 20'000));
  CHECK(space.size() <= acknowledged + 2);
  CHECK_FALSE(must(space.get("late")));
}

TEST_CASE("memory stays bounded when writers do not stop at a failed log", "[failure]") {
  Disk disk(each_io());
  Store store = disk.open();
  Space space = must(store.space("s"));
  must(space.put("a", "v", k_sync));
  CHECK(outcome(put_while_failing(disk.files, Call::write, space, "a", "w",
                                  [&] { disk.files.fail_from(Call::write, 1); })) == "indeterminate");
  const std::size_t carved = store.stats().memory.carved_bytes;
  std::size_t refused = 0;
  for (std::uint64_t i = 0; i < scaled(50'000); ++i)
    refused += outcome(space.put(key_of(i), sealed(i, 4'000))) == "read_only";
  CHECK(refused == scaled(50'000));
  CHECK(space.size() == 1);
  CHECK(store.stats().memory.carved_bytes <= carved + k_mib);
  CHECK(store.stats().log.staging_bytes <= 2 * k_mib);
}

TEST_CASE("writers wait for a slow disk and lose nothing", "[failure]") {
  Disk disk(each_io());
  disk.options.write_deadline = 120s;
  const std::uint64_t writes = 400;
  {
    Store store = disk.open();
    disk.files.delay(Call::write, 20ms);
    together(4, [&](unsigned thread) {
      Space space = must(store.space("s"));
      for (std::uint64_t i = thread; i < writes; i += 4) must(space.put(key_of(i), sealed(i, 20'000)));
    });
    const LogStats log = store.stats().log;
    CHECK(log.waits > 0);
    CHECK(log.overloads == 0);
    disk.files.heal();
  }
  Store store = disk.open();
  Space space = must(store.space("s"));
  for (std::uint64_t i = 0; i < writes; ++i) REQUIRE(must(space.get(key_of(i))) == sealed(i, 20'000));
}

TEST_CASE("past the deadline writers of a disk that takes 2 s a write are refused, and go on when it is well",
          "[failure]") {
  Disk disk(each_io());
  disk.options.write_deadline = std::chrono::milliseconds(GENERATE(0, 50));
  std::array<Content, 4> accepted;
  {
    Store store = disk.open();
    Space space = must(store.space("s"));
    const Seq before = must(space.put("before", "v", k_sync));
    const std::size_t resident = resident_bytes();
    disk.files.delay(Call::write, 2s);
    std::atomic<std::size_t> refused{0};
    together(4, [&](unsigned thread) {
      Space mine = space;
      unsigned mine_refused = 0;
      for (std::uint64_t i = 0; i < 400; ++i) {
        const std::string key = std::to_string(thread) + key_of(i);
        const auto put = mine.put(key, sealed(i, 20'000));
        if (put) {
          accepted.at(thread)[key] = {sealed(i, 20'000), *put};
          continue;
        }
        expect(outcome(put) == "overloaded", "a put that found no room failed otherwise");
        expect(!must(mine.get(key)), "a refused put left something");
        refused.fetch_add(1, std::memory_order_relaxed);  // read after the threads were joined
        if (++mine_refused == 20) return;
      }
    });
    CHECK(refused > 0);
    const StoreStats stats = store.stats();
    CHECK(stats.log.overloads >= refused);
    // One buffer of 64 KiB a thread more, rounded up to the MiB that they come by.
    CHECK(stats.log.staging_bytes <= disk.options.staging_bytes + k_mib);
    if (k_slowness == 1) CHECK(resident_bytes() < resident + 32 * k_mib);
    CHECK_FALSE(stats.read_only);
    until("the log is behind", [&] { return store.stats().durable_lag > 0us; });
    CHECK(store.durable_seq() >= before);
    CHECK(must(space.get("before")) == "v");

    disk.files.heal();
    CHECK(eventually(60s, [&] { return space.put("after", "v").has_value(); }));
    must(store.sync());
    must(space.put("last", "v", k_sync));
  }
  Store store = disk.open();
  Content found = content(must(store.space("s")));
  for (const char* key : {"before", "after", "last"}) CHECK(found.erase(key) == 1);
  Content due;
  for (Content& of : accepted) due.merge(of);
  CHECK(difference(found, due) == "");
}

TEST_CASE("a disk that fails while a store is opened costs nothing that it held", "[failure]") {
  Disk disk(each_io());
  disk.options.write_deadline = 5min;  // the real disk may be busy with others
  Content before;
  {
    Store store = disk.open();
    Space space = must(store.space("s"));
    for (std::uint64_t i = 0; i < 300; ++i) must(space.put(key_of(i), sealed(i, 10'000)));
    must(space.erase(key_of(0)));
    before = content(space);
  }
  const Call call = GENERATE(Call::open, Call::read, Call::write, Call::sync, Call::allocate, Call::rename,
                             Call::remove, Call::sync_directory);
  CAPTURE(static_cast<int>(call));
  bool untouched = false;
  for (std::uint64_t nth = 1; !untouched && nth < 60; ++nth) {
    INFO("call " << nth);
    const std::uint64_t calls = disk.files.calls(call);
    disk.files.fail_nth(call, nth);
    {
      const Result<Store> store = disk.try_open();
      if (!store) CHECK((outcome(store) == "io_error" && !message(store).empty()));
    }
    untouched = disk.files.calls(call) < calls + nth;
    disk.files.heal();
    Store store = disk.open();
    REQUIRE(difference(content(must(store.space("s"))), before) == "");
  }
}
