// Checkpoints that the options ask for: when they are due, how much of the disk they
// take, and what they leave of it.

#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/wait.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace actable;
using namespace actable::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t k_mib = std::uint64_t{1} << 20;

Options small_store() {
  Options options;
  options.directory = "/simulated";
  options.shards = 2;
  options.segment_bytes = k_mib;
  options.checkpoint_interval = 0ms;
  options.checkpoint_log_bytes_min = k_mib;
  return options;
}

/// Writes about so many bytes to a hundred keys.
void overwrite(Space space, std::uint64_t bytes) {
  const std::string value(10'000, 'v');
  for (std::uint64_t i = 0; i * value.size() < bytes; ++i) must(space.put("k" + std::to_string(i % 100), value));
}

Store open_on(base::FileSystem& files, const Options& options) { return must(store::Access::open(options, files)); }

}  // namespace

TEST_CASE("a checkpoint that the log's length asks for is written when it is due, and not before", "[checkpoint]") {
  SimulatedDisk disk;
  Store store = open_on(disk, small_store());
  Space space = must(store.space("s"));
  CHECK_FALSE(must(store.checkpoint_if_due()));
  overwrite(space, k_mib / 2);
  must(store.sync());
  CHECK_FALSE(must(store.checkpoint_if_due()));
  overwrite(space, 2 * k_mib);
  must(store.sync());
  CHECK(must(store.checkpoint_if_due()));
  CHECK(store.stats().checkpoint.passes == 1);
  // Nothing was written since.
  CHECK_FALSE(must(store.checkpoint_if_due()));
}

TEST_CASE("a checkpoint that the interval asks for is written when it is over", "[checkpoint]") {
  Options options = small_store();
  options.checkpoint_interval = 1s;
  options.checkpoint_log_percent = 0;
  SimulatedDisk disk;
  Store store = open_on(disk, options);
  Space space = must(store.space("s"));
  must(space.put("k", "v", {Durability::sync}));
  until("a checkpoint is due", [&] { return must(store.checkpoint_if_due()); });
  CHECK(store.stats().checkpoint.passes == 1);
  CHECK_FALSE(must(store.checkpoint_if_due()));
}

TEST_CASE("what a log held before the opening makes a checkpoint due, what a checkpoint held does not",
          "[checkpoint]") {
  SimulatedDisk disk;
  {
    Store store = open_on(disk, small_store());
    overwrite(must(store.space("s")), 3 * k_mib);
  }
  {
    Store store = open_on(disk, small_store());
    CHECK(must(store.checkpoint_if_due()));
    CHECK_FALSE(must(store.checkpoint_if_due()));
  }
  Store store = open_on(disk, small_store());
  CHECK_FALSE(must(store.checkpoint_if_due()));
}

TEST_CASE("a checkpoint that fails leaves the store at work, says so, and is written later", "[checkpoint]") {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Store store = open_on(files, small_store());
  Space space = must(store.space("s"));
  overwrite(space, 3 * k_mib);
  must(store.sync());
  files.fail_from(Call::open, 1);
  CHECK(outcome(store.checkpoint_if_due()) == "io_error");
  CHECK(store.stats().checkpoint.failures == 1);
  CHECK(store.stats().checkpoint.failure != "");
  CHECK_FALSE(must(store.checkpoint_if_due()));
  must(space.put("goes on", "v", {Durability::sync}));
  files.heal();
  until("it is tried again", [&] { return must(store.checkpoint_if_due()); });
  CHECK(store.stats().checkpoint.passes == 1);
  CHECK(store.stats().checkpoint.failure == "");
}

TEST_CASE("a store that was closed with a checkpoint opens without reading the log", "[checkpoint]") {
  Options options = small_store();
  options.checkpoint_at_close = true;
  SimulatedDisk disk;
  Content before;
  std::uint64_t serial = 0;
  {
    Store store = open_on(disk, options);
    Space space = must(store.space("s"));
    overwrite(space, 3 * k_mib);
    before = content(space);
    must(store.close());
  }
  {
    Store store = open_on(disk, options);
    const RecoveryStats found = store.stats().recovery;
    CHECK(found.checkpoint_records == 101);
    CHECK(found.records_applied == 0);
    CHECK(found.clean);
    CHECK(difference(content(must(store.space("s"))), before) == "");
    serial = store.stats().checkpoint.serial;
    CHECK(serial != 0);
  }
  // Nothing was written, so none was when it was closed.
  Store store = open_on(disk, options);
  CHECK(store.stats().checkpoint.serial == serial);
}

TEST_CASE("a checkpoint at closing that cannot be written is told of, and keeps nothing from being closed",
          "[checkpoint]") {
  Options options = small_store();
  options.checkpoint_at_close = true;
  std::vector<std::string> told;
  options.log = [&told](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) told.emplace_back(message);
  };
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Content before;
  {
    Store store = open_on(files, options);
    Space space = must(store.space("s"));
    overwrite(space, k_mib / 2);
    before = content(space);
    files.fail_from(Call::open, 1);
    must(store.close());
    files.heal();
  }
  REQUIRE(told.size() == 1);
  CHECK_THAT(told.front(), ContainsSubstring("no checkpoint was written at closing"));
  Store store = open_on(files, options);
  CHECK(store.stats().recovery.checkpoint_records == 0);
  CHECK(difference(content(must(store.space("s"))), before) == "");
}

TEST_CASE("a checkpoint keeps to its bytes per second, and can be cancelled while it waits for them", "[checkpoint]") {
  Options options = small_store();
  options.checkpoint_bytes_per_second = 8 * k_mib;
  SimulatedDisk disk;
  Store store = open_on(disk, options);
  Space space = must(store.space("s"));
  const std::string value(100'000, 'v');
  for (int i = 0; i < 80; ++i) must(space.put("k" + std::to_string(i), value));
  must(store.sync());
  const auto began = std::chrono::steady_clock::now();
  must(store.checkpoint());
  const auto took = std::chrono::steady_clock::now() - began;
  // 8 MB; the last pieces, and a burst, need not be waited for.
  CHECK(took >= 600ms);

  store::Access::core(store).checkpointer().set_bytes_per_second(1'000);
  std::string ended;
  std::jthread other([&] { ended = outcome(store.checkpoint()); });
  until("it waits", [&] { return store::Access::core(store).checkpointer().pause() > 10s; });
  store.cancel_checkpoint();
  other.join();
  CHECK(ended == "closed");
}

TEST_CASE("a store that is overwritten for long takes no more of the disk than it has to", "[checkpoint]") {
  SimulatedDisk disk;
  const Options options = small_store();
  Store store = open_on(disk, options);
  Space space = must(store.space("s"));
  std::uint64_t most = 0;
  std::uint64_t passes = 0;
  for (int turn = 0; turn < 60; ++turn) {
    overwrite(space, k_mib / 2);
    must(store.sync());
    passes += must(store.checkpoint_if_due()) ? 1 : 0;
    most = std::max(most, disk.total_bytes());
  }
  CHECK(passes >= 5);
  CHECK(passes <= 40);
  // Data, log of as much as one turn beyond its length, a segment begun, a block or so each.
  const std::uint64_t data = 100 * 10'000;
  CHECK(most <= 5 * data / 2 + 4 * options.segment_bytes);

  // A burst leaves a long log behind, whose files go with the passes that follow.
  overwrite(space, 20 * k_mib);
  must(store.sync());
  CHECK(disk.total_bytes() >= 20 * k_mib);
  must(store.checkpoint());
  const auto back = [&] { return disk.total_bytes() <= 5 * data / 2 + 4 * options.segment_bytes; };
  until("the surplus is gone", [&] {
    must(space.put("k0", "v", {Durability::sync}));
    return back();
  });
}
