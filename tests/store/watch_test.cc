// What those use who cannot wait for the disk: a watcher of the durable number,
// and asking for it without waiting.

#include "base/file.h"
#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/threads.h"
#include "tests/support/wait.h"
#include "wal/durable.h"

#include <atomic>

using namespace actable;
using namespace actable::test;

namespace {

store::StoreCore& core(Store& of) { return store::Access::core(of); }

}  // namespace

TEST_CASE("who asks for a number to be durable is told when it is, and does not wait", "[watch]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  options.sync_interval = std::chrono::seconds(60);
  Store store = must(Store::open(options));
  Space space = must(store.space("s"));
  std::atomic<unsigned> told{0};
  REQUIRE(core(store).watch_durable([&] { ++told; }));
  const Seq seq = must(space.put("k", "v"));
  // The number that this write waits for would otherwise be a minute away.
  CHECK_FALSE(must(core(store).want_durable(seq)));
  until("the write is durable", [&] { return store.durable_seq() >= seq; });
  CHECK(must(core(store).want_durable(seq)));
  until("the watcher was told", [&] { return told != 0; });
  CHECK(outcome(core(store).want_durable(store.last_seq() + 1'000'000)) == "invalid_argument");
  must(store.close());
  CHECK(outcome(core(store).want_durable(seq)) == "closed");
  CHECK_FALSE(core(store).watch_durable([] {}));
}

TEST_CASE("a watcher that was taken away is not called", "[watch]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory / "store")));
  Space space = must(store.space("s"));
  std::atomic<unsigned> first{0};
  std::atomic<unsigned> second{0};
  REQUIRE(core(store).watch_durable([&] { ++first; }));
  REQUIRE(core(store).watch_durable([&] { ++second; }));
  REQUIRE(space.put("k", "v", k_sync));
  until("the second was told", [&] { return second != 0; });
  CHECK(first == 0);
  REQUIRE(core(store).watch_durable({}));
  const unsigned before = second;
  REQUIRE(space.put("k", "v", k_sync));
  must(store.close());
  CHECK(second == before);
}

TEST_CASE("each change calls the watcher once, whether anybody waits or not", "[watch]") {
  wal::Durable durable;
  unsigned told = 0;
  durable.raise(1);
  durable.watch([&] { ++told; });
  CHECK(told == 0);
  durable.raise(2);
  CHECK(told == 1);
  durable.refuse("no more");
  durable.refuse("again");
  CHECK(told == 2);
  CHECK_FALSE(durable.failed());
  CHECK(durable.refuses());
  durable.raise(3);
  CHECK(told == 3);
  durable.fail("broken");
  durable.fail("again");
  durable.refuse("too late");
  CHECK(told == 4);
  CHECK(durable.failed());
  CHECK(durable.reason() == "broken");
}

TEST_CASE("after a failure nothing is said to become durable", "[watch]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Store store = must(store::Access::open(small_store(directory / "store"), files));
  Space space = must(store.space("s"));
  files.fail_from(Call::sync, 1);
  CHECK(outcome(space.put("k", "w", k_sync)) == "indeterminate");
  CHECK(outcome(core(store).want_durable(store.last_seq())) == "indeterminate");
  CHECK(core(store).log_failed());
}

TEST_CASE("a thread for which the store has no place can refuse writes, and wait for those there are", "[watch]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory / "store")));
  Space space = must(store.space("s"));
  const Seq taken = must(space.put("k", "taken"));
  std::string got;
  std::string waited;
  Seq durable = 0;
  on_another_thread([&] {
    (void)space.get("k");
    at_the_very_end([&] {
      got = outcome(space.get("k"));
      core(store).refuse_writes("no more");
      waited = outcome(store.wait_durable(taken));
      durable = store.durable_seq();
    });
  });
  REQUIRE(got == "overloaded");
  CHECK(outcome(space.put("k", "refused")) == "read_only");
  CHECK(waited == "ok");
  CHECK(durable >= taken);
}

TEST_CASE("refusing writes keeps those that were taken, and reads", "[watch]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  Store store = must(Store::open(options));
  Space space = must(store.space("s"));
  Space memory = must(store.space("memory", {.logged = false}));
  const Seq taken = must(space.put("k", "taken"));
  std::atomic<unsigned> told{0};
  REQUIRE(core(store).watch_durable([&] { ++told; }));
  core(store).refuse_writes("an actor crashed too often");
  CHECK(told != 0);
  const Result<Seq> refused = space.put("k", "refused");
  CHECK(outcome(refused) == "read_only");
  CHECK_THAT(message(refused), ContainsSubstring("an actor crashed too often"));
  CHECK(store.stats().read_only);
  CHECK_FALSE(core(store).log_failed());
  CHECK(store.stats().read_only_reason == "an actor crashed too often");
  CHECK(must(space.get("k")) == "taken");
  CHECK(memory.put("k", "v").has_value());
  must(store.wait_durable(taken));
  must(store.close());
  Store reopened = must(Store::open(options));
  CHECK_FALSE(reopened.stats().read_only);
  CHECK(must(must(reopened.space("s")).get("k")) == "taken");
}

TEST_CASE("a write that may not wait is refused where it would, and taken when there is room", "[watch]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Options options = small_store(directory / "store");
  options.staging_bytes = std::size_t{1} << 20;
  options.write_deadline = std::chrono::seconds(60);
  Store store = must(store::Access::open(options, files));
  Space space = must(store.space("s"));
  must(store.sync());
  files.delay(Call::write, std::chrono::seconds(60));
  constexpr WriteOptions k_at_once{.no_wait = true};
  constexpr int k_more_than_fit = 200;
  const std::string value = sealed(1, 20'000);
  std::string single;
  for (int i = 0; i < k_more_than_fit && single != "overloaded"; ++i) {
    single = outcome(space.put(std::to_string(i), value, k_at_once));
  }
  CHECK(single == "overloaded");
  Batch batch;
  must(batch.put(space, "batch", value));
  CHECK(outcome(store.write(batch, k_at_once)) == "overloaded");
  CHECK(must(space.get("batch")) == std::nullopt);
  CHECK(store.stats().log.waits == 0);
  CHECK(store.stats().log.overloads >= 2);
  files.heal();
  until("there is room", [&] { return store.write(batch, k_at_once).has_value(); });
}
