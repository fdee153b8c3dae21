// What is on disk when, and what a reopened store gives back, over both ways
// to the disk.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <array>
#include <chrono>

using namespace actable;
using namespace actable::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// For the log's buffers of 64 and of 256 KiB.
constexpr std::size_t k_small_staging = std::size_t{16} << 20;
constexpr std::size_t k_large_staging = std::size_t{64} << 20;

/// One directory that is opened again and again.
///
/// Thread safety: *confined* to one thread.
class Lives {
 public:
  explicit Lives(LogIo io) : options_(small_store(directory_ / "store", io)) {}

  Options& options() { return options_; }

  /// Closes the store that was open and opens it again.
  Store& reopen() {
    if (store_) must(store_->close());
    store_.reset();
    return store_.emplace(must(Store::open(options_)));
  }

  /// Opens the files as they are at this moment, as after a power cut that lost
  /// nothing of what the disk had been given.
  Store crash() {
    Options options = options_;
    options.directory = directory_ / ("crashed" + std::to_string(crashes_++));
    fs::copy(options_.directory, options.directory, fs::copy_options::recursive);
    fs::permissions(options.directory, fs::perms::owner_all);
    return must(Store::open(options));
  }

 private:
  TemporaryDirectory directory_;
  Options options_;
  std::optional<Store> store_;
  int crashes_ = 0;
};

LogIo each_io() { return GENERATE(from_range(every_log_io())); }

}  // namespace

TEST_CASE("a store reopened after a clean close holds everything", "[durability]") {
  Lives lives(each_io());
  std::array<Content, 2> before;
  Seq last = 0;
  {
    Store& store = lives.reopen();
    std::array<Space, 2> spaces{must(store.space("one")), must(store.space("two"))};
    Random random(seed());
    for (int i = 0; i < 20'000; ++i) {
      Space& space = spaces[random.below(2)];
      const std::string key = "key" + std::to_string(random.below(5'000));
      if (random.one_in(4)) {
        must(space.erase(key));
      } else {
        must(space.put(key, sealed(random(), 8 + random.skewed(300))));
      }
    }
    before = {content(spaces[0]), content(spaces[1])};
    last = store.last_seq();
    CHECK_FALSE(store.stats().recovery.clean);
  }
  Store& store = lives.reopen();
  CHECK(difference(content(must(store.space("one"))), before[0]) == "");
  CHECK(difference(content(must(store.space("two"))), before[1]) == "");
  CHECK(store.last_seq() >= last);
  const RecoveryStats recovery = store.stats().recovery;
  CHECK(recovery.clean);
  CHECK(recovery.records_discarded == 0);
  for (const Content& space : before) {
    for (const auto& [key, record] : space) REQUIRE(record.seq < recovery.cut);
  }
  CHECK(must(must(store.space("one")).put("new", "")) >= recovery.cut);
}

TEST_CASE("a synchronous write of every kind is on disk when it returns", "[durability]") {
  Lives lives(each_io());
  lives.options().write_interval = lives.options().sync_interval = 10s;  // no sync but what is asked for
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  const auto survives = [&](std::string_view key, std::optional<std::string> value) {
    Store crashed = lives.crash();
    return must(must(crashed.space("s")).get(key)) == value;
  };
  const Seq put = must(space.put("k", "put", k_sync));
  CHECK(store.durable_seq() >= put);
  CHECK(survives("k", "put"));
  CHECK(must(space.compare_and_set("k", put, "set", k_sync)));
  CHECK(survives("k", "set"));
  const auto append = [](std::optional<std::string_view> old) { return std::optional(std::string(*old) + "+"); };
  const Seq updated = must(space.update("k", append, k_sync));
  CHECK(store.durable_seq() >= updated);
  CHECK(survives("k", "set+"));
  CHECK(must(space.take("k", k_sync)) == "set+");
  CHECK(survives("k", std::nullopt));
  CHECK(must(space.put_if_absent("k", "new", k_sync)));
  CHECK(survives("k", "new"));
  CHECK(must(space.erase("k", k_sync)));
  CHECK(survives("k", std::nullopt));
  CHECK(must(space.add("k", 5, k_sync)) == 5);
  CHECK(survives("k", std::string("\5\0\0\0\0\0\0\0", 8)));
  Batch batch;
  must(batch.put(space, "k", "batch"));
  must(batch.erase(space, "gone"));
  const Seq batched = must(store.write(batch, k_sync));
  CHECK(store.durable_seq() >= batched);
  CHECK(survives("k", "batch"));
}

TEST_CASE("sync and wait_durable cover what returned before them", "[durability]") {
  Lives lives(each_io());
  // That nobody waits for these is in tests/wal/timing_sync_test.cc.
  lives.options().write_interval = 10s;
  lives.options().sync_interval = 60s;
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  const Seq first = must(space.put("first", "1"));
  CHECK(outcome(store.wait_durable(first)) == "ok");
  CHECK(store.durable_seq() >= first);
  const Seq second = must(space.put("second", "2"));
  const Seq synced = must(store.sync());
  CHECK(synced >= second);
  CHECK(store.durable_seq() >= synced);
  CHECK(outcome(store.wait_durable(second)) == "ok");
  CHECK(outcome(store.sync()) == "ok");  // with nothing to do
  Store crashed = lives.crash();
  CHECK(must(must(crashed.space("s")).get("first")) == "1");
  CHECK(must(must(crashed.space("s")).get("second")) == "2");
}

TEST_CASE("an asynchronous write gets to disk though nobody asks", "[durability]") {
  Lives lives(each_io());
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  for (int i = 0; i < 5; ++i) {
    const std::string key = "k" + std::to_string(i);
    const std::uint64_t syncs = store.stats().log.syncs;
    const Seq seq = must(space.put(key, "v"));
    // Who looks asks for nothing. How soon it is to be is in tests/wal/timing_test.cc.
    until("it is durable", [&] { return store.durable_seq() >= seq; });
    CHECK(store.stats().log.syncs > syncs);
    Store crashed = lives.crash();
    CHECK(must(must(crashed.space("s")).get(key)) == "v");
  }
  until("nothing is behind", [&] { return store.stats().durable_lag == 0us; });
}

TEST_CASE("numbers never go back or repeat over restarts", "[durability]") {
  Lives lives(each_io());
  Seq last = 0;
  for (int life = 0; life < 6; ++life) {
    Store& store = lives.reopen();
    CHECK(store.last_seq() >= last);
    CHECK(store.durable_seq() >= last);
    Space space = must(store.space("s"));
    for (int i = 0; i < 50; ++i) {
      const Seq seq = must(space.put(i % 2 == 0 ? "a" : "b", "v"));
      REQUIRE(seq > last);
      last = seq;
    }
    CHECK(store.last_seq() >= last);
    if (life % 2 == 0) must(space.erase("a"));  // the erasure has a number too
  }
}

TEST_CASE("a batch over several spaces comes back whole, whatever its size", "[durability]") {
  Lives lives(each_io());
  const std::size_t value_bytes = GENERATE(10, 70'000, 4 << 20);
  lives.options().staging_bytes = GENERATE(k_small_staging, k_large_staging);
  CAPTURE(value_bytes);
  const std::size_t writes = value_bytes < 1'000 ? 3'000 : (k_batch_bytes_max - 4'096) / value_bytes;
  const auto name = [](std::size_t i) { return "space" + std::to_string(i % 3); };
  const auto key = [](std::size_t i) { return "key" + std::to_string(i); };
  Seq seq = 0;
  {
    Store& store = lives.reopen();
    must(must(store.space("space0")).put("old", "1"));
    Batch batch;
    for (std::size_t i = 0; i < writes; ++i) {
      must(batch.put(must(store.space(name(i))), key(i), sealed(i, value_bytes)));
    }
    must(batch.erase(must(store.space("space0")), "old"));
    CHECK(batch.size() == writes + 1);
    seq = must(store.write(batch, k_sync));
  }
  const auto check = [&](Store& store) {
    for (std::size_t i = 0; i < writes; ++i) {
      const auto record = held(must(store.space(name(i))), key(i));
      REQUIRE(record);
      REQUIRE(record->value == sealed(i, value_bytes));
      REQUIRE(record->seq == seq);
    }
    CHECK_FALSE(must(must(store.space("space0")).get("old")));
  };
  Store crashed = lives.crash();
  check(crashed);
  check(lives.reopen());
  check(lives.reopen());
}

TEST_CASE("large keys and values come back byte for byte", "[durability]") {
  Lives lives(each_io());
  const std::vector<std::size_t> sizes{8, 4'000, 4'096, 65'000, 65'536, 70'000, 262'144, 1 << 20, k_value_bytes_max};
  lives.options().staging_bytes = GENERATE(k_small_staging, k_large_staging);
  {
    Space space = must(lives.reopen().space("s"));
    for (const std::size_t size : sizes)
      must(space.put(std::string(std::min(size, k_key_bytes_max), 'k'), sealed(size, size)));
    must(space.put("empty", ""));
  }
  for (int life = 0; life < 2; ++life) {
    Space space = must(lives.reopen().space("s"));
    // Sizes of 64 KiB and more share the longest key: the last one holds.
    for (const std::size_t size : sizes) {
      const std::size_t last = size < k_key_bytes_max ? size : k_value_bytes_max;
      CHECK(must(space.get(std::string(std::min(size, k_key_bytes_max), 'k'))) == sealed(last, last));
    }
    CHECK(must(space.get("empty")) == "");
  }
}

TEST_CASE("an erased key stays erased and a counter keeps its sum over three restarts", "[durability]") {
  Lives lives(each_io());
  const bool abrupt = GENERATE(false, true);  // some restarts without a close
  std::int64_t sum = 0;
  {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    Space doomed = must(store.space("doomed"));
    must(doomed.put("k", "v"));
    must(space.put("erased", "v"));
    must(space.put("taken", "v"));
    must(space.put("updated away", "v"));
    CHECK(must(space.add("counter", 7)) == (sum += 7));
  }
  {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    CHECK(must(space.erase("erased")));
    CHECK(must(space.take("taken")) == "v");
    must(space.update("updated away", [](auto) { return std::optional<std::string>(); }));
    CHECK(must(store.drop_space("doomed")));
    CHECK(must(space.add("counter", -3)) == (sum -= 3));
    must(store.sync());
  }
  const auto check = [&](Store& store) {
    Space space = must(store.space("s"));
    for (const char* key : {"erased", "taken", "updated away"}) CHECK_FALSE(must(space.get(key)));
    CHECK(store.spaces() == std::vector<std::string>{"s"});
    CHECK(space.size() == 1);
    CHECK(must(space.add("counter", 1)) == sum + 1);
  };
  for (int life = 0; life < 3; ++life) {
    if (abrupt) {
      Store crashed = lives.crash();
      check(crashed);
    }
    Store& store = lives.reopen();
    check(store);
    must(store.sync());
    ++sum;
  }
}

TEST_CASE("a store says how it reaches the disk", "[durability]") {
  const LogIo io = each_io();
  Lives lives(io);
  Store& store = lives.reopen();
  must(must(store.space("s")).put("k", sealed(1, 1'000), k_sync));
  const StoreStats stats = store.stats();
  CHECK(stats.log.io == (io == LogIo::io_uring ? "io_uring" : "pwrite"));
  CHECK(stats.log.syncs >= 1);
  CHECK(stats.log.rounds >= 1);
  CHECK(stats.log.frames >= 1);
  CHECK(stats.log.written_bytes >= 1'000);
  CHECK(stats.log.segments >= 1);
  CHECK(stats.durable_seq == store.durable_seq());
  CHECK(stats.spaces == 1);
  CHECK_FALSE(stats.read_only);
  CHECK(must(Store::open({})).stats().log.io.empty());
}

TEST_CASE("files fill up and the next ones are begun without a gap", "[durability]") {
  Lives lives(each_io());
  lives.options().segment_bytes = 1 << 20;
  Content before;
  {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    for (std::uint64_t i = 0; i < 8'000; ++i) must(space.put("k" + std::to_string(i % 3'000), sealed(i, 1'000)));
    before = content(space);
    must(store.sync());
    CHECK(store.stats().log.segments >= 4);
    Store crashed = lives.crash();
    CHECK(difference(content(must(crashed.space("s"))), before) == "");
  }
  CHECK(difference(content(must(lives.reopen().space("s"))), before) == "");
}
