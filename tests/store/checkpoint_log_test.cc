// What a checkpoint means for the log: which of its segments go, and what an opening
// still reads.

#include "tests/store/lives.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/wait.h"

#include <algorithm>
#include <string>

using namespace actable;
using namespace actable::test;

TEST_CASE("a checkpoint lets the log's segments be used again", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  const std::string value(10'000, 'v');
  const auto write_some = [&] {
    // Five segments of a MiB.
    for (int i = 0; i < 500; ++i) must(space.put("key" + std::to_string(i % 50), value));
    must(store.sync());
  };
  for (int i = 0; i < 5; ++i) {
    write_some();
    must(store.checkpoint());
    // The log's thread lets go when it comes to it.
    until("the log has let go", [&] { return store.stats().log.segments <= 2; });
    CHECK(lives.files("ckpt-") == 1);
  }
  // Not the 25 that were written.
  CHECK(lives.files("log-") <= 9);
  write_some();
  Store& again = lives.kill();
  CHECK(must(again.space("s")).size() == 50);
}

TEST_CASE("after a checkpoint an opening reads nothing of the log before it", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  // Over the half of a segment.
  for (int i = 0; i < 60; ++i) must(space.put("key" + std::to_string(i), std::string(10'000, 'v')));
  must(store.checkpoint());
  must(space.put("later", "v"));
  Store& again = lives.reopen();
  CHECK(again.stats().recovery.checkpoint_records == 61);
  CHECK(again.stats().recovery.records_applied == 1);
  CHECK(again.stats().recovery.log_bytes < 64'000);
  CHECK(must(again.space("s")).size() == 61);
}

TEST_CASE("for little of the log a checkpoint begins no segment", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  for (int i = 0; i < 20; ++i) {
    must(space.put("key", "v" + std::to_string(i)));
    must(store.checkpoint());
  }
  must(space.put("key", "last"));
  must(store.sync());
  CHECK(store.stats().log.segments == 1);
  CHECK(lives.files("log-") == 1);
}

TEST_CASE("where a segment cannot be made a checkpoint is written all the same", "[checkpoint]") {
  const Call call = GENERATE(Call::open, Call::allocate);
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Store store = must(store::Access::open(simulated_options(), files));
  Space space = must(store.space("s"));
  for (int i = 0; i < 60; ++i) must(space.put("key" + std::to_string(i), std::string(10'000, 'v')));
  must(store.sync());
  const auto before = disk.names();
  // The pass's file comes after the log's.
  files.fail_nth(call, 1);
  must(store.checkpoint());
  must(space.put("later", "v", {.durability = Durability::sync}));
  CHECK(store.stats().log.segments == 1);
  CHECK(std::ranges::count_if(disk.names(), [](const std::string& name) { return name.starts_with("log-"); }) ==
        std::ranges::count_if(before, [](const std::string& name) { return name.starts_with("log-"); }));
  // The next one makes it.
  must(store.checkpoint());
  must(store.close());
  store = must(store::Access::open(simulated_options(), files));
  CHECK(store.stats().recovery.log_bytes < 64'000);
  CHECK(must(store.space("s")).size() == 61);
}

TEST_CASE("a directory that cannot be synced for a checkpoint's segment fails the log", "[checkpoint]") {
  SimulatedDisk disk;
  FaultyFileSystem files(disk);
  Store store = must(store::Access::open(simulated_options(), files));
  Space space = must(store.space("s"));
  for (int i = 0; i < 60; ++i) must(space.put("key" + std::to_string(i), std::string(10'000, 'v')));
  must(store.sync());
  files.fail_nth(Call::sync_directory, 1);
  CHECK_FALSE(store.checkpoint());
  CHECK(outcome(space.put("later", "v")) == "read_only");
}
