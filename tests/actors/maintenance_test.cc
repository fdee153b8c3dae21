// The shards' actors: they drive maintenance, sleep when there is none, and a
// crash of one loses nothing.

#include "store/access.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/wait.h"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>
#include <tuple>
#include <vector>

using namespace actable;
using namespace actable::test;
using std::chrono::milliseconds;

namespace {

std::string key_of(std::uint64_t i) { return "key" + std::to_string(i); }

void put_and_erase(Space& space, std::uint64_t keys) {
  for (std::uint64_t i = 0; i < keys; ++i) must(space.put(key_of(i), std::string(100, 'v')));
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i % 10 != 0) must(space.erase(key_of(i)));
  }
}

Options four_shards() {
  Options options;
  options.shards = 4;
  return options;
}

/// Memory of this process that is in use (RSS).
[[nodiscard]] std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("what shards and the log do without being asked is counted, and what they are told is traced",
          "[maintenance]") {
  Stage stage(four_shards());
  const auto trace = std::make_shared<actors::Trace>(10);
  must(stage.tree().trace("shard 1", trace));
  const ActorStats before = stage.stats_of("shard 1");
  stage.tree().tend_shards();
  stage.run();
  const ActorStats after = stage.stats_of("shard 1");
  CHECK(after.processed > before.processed);
  CHECK(after.waiting == 0);
  CHECK(trace->fetch().items == std::vector<std::string>{"one-way: actable::actors::Tend"});

  const std::uint64_t rounds = stage.stats_of("log").processed;
  stage.log_advances();
  CHECK(stage.stats_of("log").processed == rounds + 1);
  CHECK(stage.stats_of("log").waiting == 0);

  Space space = must(stage.store().space("s"));
  until("a shard's time is counted", [&] {
    put_and_erase(space, 10'000);
    stage.pass(milliseconds(250));
    return stage.stats_of("shard 0").busy.count() > 0;
  });
}

TEST_CASE("the actor of shard 0 looks four times a second at first, and has the others do their part",
          "[maintenance]") {
  Stage stage(four_shards());
  Space space = must(stage.store().space("s"));
  stage.run();
  put_and_erase(space, 20'000);
  REQUIRE(space.stats().tombstones >= 18'000);
  stage.run();
  stage.pass(milliseconds(249));
  CHECK(space.stats().tombstones >= 18'000);
  stage.pass(milliseconds(1));
  stage.pass(milliseconds(250));
  CHECK(space.stats().tombstones < 4'096 + 2'000);
  CHECK(space.size() == 2'000);
}

TEST_CASE("a compaction goes on after a crash of any shard's actor", "[maintenance]") {
  const std::string who = "shard " + std::to_string(GENERATE(0, 1, 3));
  const int at = GENERATE(0, 1, 2, 3, 5, 8);
  INFO(who << " after " << at << " messages");
  Stage stage(four_shards());
  Space space = must(stage.store().space("s"));
  put_and_erase(space, 20'000);
  stage.run();
  store::Access::core(stage.store()).ask_for_compaction();
  const auto step = [&stage] {
    stage.move_clock(milliseconds(5));
    stage.step();
  };
  const auto compacting = [&stage] { return stage.store().stats().memory.compacting; };
  for (int i = 0; i < 1'000 && !compacting(); ++i) step();
  REQUIRE(compacting());
  // How much is done in a message depends on the machine.
  for (int i = 0; i < at && compacting(); ++i) step();
  stage.crash(who);
  const auto done = [&] { return stage.store().stats().memory.compactions == 1 && stage.stats_of(who).restarts == 1; };
  for (int i = 0; i < 200 && !done(); ++i) stage.pass(milliseconds(10));
  CHECK(stage.store().stats().memory.compactions == 1);
  CHECK(stage.stats_of(who).restarts == 1);
  CHECK(space.size() == 2'000);
  for (std::uint64_t i = 0; i < 20'000; i += 10) {
    if (must(space.get(key_of(i))) != std::string(100, 'v')) FAIL(key_of(i));
  }
}

TEST_CASE("stopping ends the shards' actors in the middle of a compaction", "[maintenance]") {
  Stage stage(four_shards());
  Space space = must(stage.store().space("s"));
  put_and_erase(space, 10'000);
  stage.run();
  store::Access::core(stage.store()).ask_for_compaction();
  stage.pass(milliseconds(0));
  for (int i = 0; i < 5; ++i) stage.step();
  must(stage.tree().close());
  stage.run();
  CHECK(stage.stats_of("shard 0").state == ActorStats::State::stopped);
}

namespace {

/// What became of memory when nine of ten keys were erased.
struct Shrunk {
  std::size_t carved_before = 0;
  std::size_t resident_before = 0;
  /// The same when it was as small as asked for, or time was over.
  std::size_t carved = 0;
  std::size_t resident = 0;
  double seconds = 0;
  /// Reads and writes of another thread, from the first erasure on.
  std::uint64_t operations = 0;
  std::uint64_t wrong = 0;
  std::size_t keys = 0;
};

/// Another thread reads and writes the keys that stay all the while.
Shrunk shrink(const Options& options, std::uint64_t keys, std::size_t value_bytes, std::chrono::seconds limit,
              const std::function<bool(const Shrunk&)>& small_enough) {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 2);
  caf::actor_system system(config);
  StoreActors actors = must(start(system, options));
  Space space = must(actors.store().space("s"));
  const std::string value(value_bytes, 'v');
  for (std::uint64_t i = 0; i < keys; ++i) must(space.put(key_of(i), value));
  const auto weigh = [&actors] { return std::pair(actors.store().stats().memory.carved_bytes, resident_bytes()); };
  Shrunk shrunk;
  std::tie(shrunk.carved_before, shrunk.resident_before) = weigh();
  std::atomic<bool> end{false};
  std::jthread other([&] {
    for (std::uint64_t i = 0; !end.load(std::memory_order_acquire); i = (i + 10) % keys, ++shrunk.operations) {
      const auto found = space.get(key_of(i));
      if (!found || *found != value || !space.put(key_of(i), value)) ++shrunk.wrong;
    }
  });
  for (std::uint64_t i = 0; i < keys; ++i) {
    if (i % 10 != 0) must(space.erase(key_of(i)));
  }
  const auto began = std::chrono::steady_clock::now();
  (void)eventually(limit, [&] {
    std::tie(shrunk.carved, shrunk.resident) = weigh();
    return small_enough(shrunk) && !actors.store().stats().memory.compacting;
  });
  shrunk.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  end.store(true, std::memory_order_release);
  other.join();
  shrunk.keys = space.size();
  must(actors.stop());
  return shrunk;
}

}  // namespace

TEST_CASE("after nine of ten keys were erased, the actors give memory back while others read and write",
          "[maintenance]") {
  Options options = four_shards();
  options.retired_bytes = std::size_t{1} << 20;
  const std::uint64_t keys = 400'000;
  const Shrunk shrunk = shrink(options, keys, 100, std::chrono::seconds(60),
                               [](const Shrunk& now) { return now.carved <= now.carved_before / 3; });
  INFO(shrunk.carved_before << " bytes carved before, " << shrunk.carved << " after " << shrunk.seconds << " s");
  CHECK(shrunk.carved <= shrunk.carved_before / 3);
  CHECK(shrunk.operations > 0);
  CHECK(shrunk.wrong == 0);
  CHECK(shrunk.keys == keys / 10);
}

// Asked for by name only: it takes 2 GB.
TEST_CASE("of ten million keys", "[.figure]") {
  const std::uint64_t keys = 10'000'000;
  const std::size_t value_bytes = GENERATE(8, 100);
  const Shrunk shrunk = shrink({}, keys, value_bytes, std::chrono::seconds(10),
                               [](const Shrunk& now) { return now.resident <= now.resident_before / 4; });
  std::cout << keys << " keys with values of " << value_bytes
            << " bytes, nine of ten erased: " << shrunk.resident_before / 1'000'000 << " MB resident ("
            << shrunk.carved_before / 1'000'000 << " carved) before, " << shrunk.resident / 1'000'000 << " MB ("
            << shrunk.carved / 1'000'000 << ") " << shrunk.seconds << " s after the last erasure; " << shrunk.operations
            << " reads and writes meanwhile\n";
  CHECK(shrunk.resident <= shrunk.resident_before / 4);
  CHECK(shrunk.wrong == 0);
  CHECK(shrunk.keys == keys / 10);
}
