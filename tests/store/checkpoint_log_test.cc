// What a checkpoint means for the log: which of its segments are used again.

#include "tests/store/lives.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/wait.h"

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
