#include "tests/support/catch.h"
#include "tests/support/failing_memory.h"
#include "tests/support/temporary_directory.h"
#include "tests/wal/log_fixture.h"
#include "wal/staging.h"

#include <memory>
#include <optional>
#include <string>

// A log that runs out of memory.
namespace actable::wal {
namespace {

using test::FailingMemory;
using test::Life;
using test::must;

constexpr std::size_t k_pool_bytes = std::size_t{2} << 20;

TEST_CASE("a pool without memory for more buffers gives none, whichever request fails, and gives them when there is") {
  // Of the pool's own size, and larger than a buffer.
  const std::size_t bytes = k_buffer_bytes_min * GENERATE(std::size_t{1}, std::size_t{3});
  BufferPool pool(k_pool_bytes);
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    Buffer* buffer = nullptr;
    bool failed = false;
    {
      const FailingMemory failing(nth);
      buffer = pool.try_take(bytes);
      failed = failing.failed();
    }
    if (!failed) {
      REQUIRE(buffer != nullptr);
      CHECK(buffer->bytes == bytes);
      pool.give_back(buffer);
      break;
    }
    REQUIRE(buffer == nullptr);
    // What the failed attempt took is not counted, so that it takes no room from others.
    CHECK(pool.bytes() == 0);
    ++failures;
  }
  CHECK(failures >= 2);
}

TEST_CASE("a log of whose requests for memory one fails is not opened, and is as it was when it is") {
  const Options options = test::log_options(LogIo::pwrite);
  const test::TemporaryDirectory directory;
  Options real = options;
  real.directory = directory.path();
  test::Records due;
  {
    Life life(base::posix_file_system(), real);
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    due = life.written();
    must(life.close());
  }
  std::uint64_t failures = 0;
  for (std::uint64_t nth = 1;; nth += nth < 100 ? 1 : 7) {
    INFO("request " << nth);
    REQUIRE(nth < 20'000);
    bool failed = false;
    std::optional<Result<std::unique_ptr<Life>>> life;
    try {
      const FailingMemory failing(nth);
      life.emplace(Life::begin(base::posix_file_system(), real));
      failed = failing.failed();
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    if (life && *life) REQUIRE(test::difference((**life)->recovered(), due) == "");
    if (life && !*life) REQUIRE(test::outcome(*life) == "no_memory");
    if (life && *life && !failed) break;
  }
  CHECK(failures > 20);
}

}  // namespace
}  // namespace actable::wal
