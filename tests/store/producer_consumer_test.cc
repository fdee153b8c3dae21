// One thread inserts and another erases: memory must follow what is live, not
// what was ever written.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

constexpr unsigned k_pairs = 2;
/// Keys that a producer may be ahead of its consumer.
constexpr std::uint64_t k_window = 20'000;
constexpr std::size_t k_value_bytes = 40;
/// What a key costs at most: key, value, record header and slot, with rounding.
constexpr std::size_t k_live_bytes_max = k_pairs * k_window * (20 + k_value_bytes + 60);
constexpr std::size_t k_slack_bytes = std::size_t{64} << 20;

std::string key_of(unsigned pair, std::uint64_t i) { return std::to_string(pair) + ":" + std::to_string(i); }

/// How far a pair has come. On lines of their own: both are written all the time.
struct Progress {
  alignas(64) std::atomic<std::uint64_t> put{0};
  alignas(64) std::atomic<std::uint64_t> erased{0};
};

/// Half of the operations are puts and half are erasures.
void produce_and_consume(Store& store, std::uint64_t operations) {
  Space space = must(store.space("s"));
  std::array<Progress, k_pairs> progress;
  std::atomic<bool> failed{false};
  const std::uint64_t keys = operations / 2 / k_pairs;
  together(2 * k_pairs, [&](unsigned thread) {
    const unsigned pair = thread / 2;
    auto& [put, erased] = progress.at(pair);
    Space mine = space;
    for (std::uint64_t i = 0; i < keys && !failed; ++i) {
      if (thread % 2 == 0) {
        // acquire: pairs with the consumer's release; bounds what is live
        while (i - erased.load(std::memory_order_acquire) >= k_window && !failed) std::this_thread::yield();
        const auto done = mine.put(key_of(pair, i), sealed(i, k_value_bytes));
        if (!done) failed = true;
        put.store(i + 1, std::memory_order_release);  // pairs with the consumer's acquire
      } else {
        while (put.load(std::memory_order_acquire) <= i && !failed) std::this_thread::yield();
        const auto taken = mine.erase(key_of(pair, i));
        if (!taken || !*taken) failed = true;
        erased.store(i + 1, std::memory_order_release);
      }
    }
  });
  REQUIRE_FALSE(failed);
  CHECK(space.size() == 0);
}

void check_memory(Store& store, std::uint64_t operations) {
  produce_and_consume(store, operations / 20);  // whatever is set up once
  const std::size_t resident = resident_bytes();
  const std::size_t carved = store.stats().memory.carved_bytes;
  produce_and_consume(store, operations);
  const std::size_t resident_after = resident_bytes();
  const std::size_t carved_after = store.stats().memory.carved_bytes;
  CAPTURE(resident, resident_after, carved, carved_after);
  CHECK(carved_after <= 2 * k_live_bytes_max + k_slack_bytes);
  // The sanitizers' own memory grows with every allocation.
  if (k_slowness == 1) CHECK(resident_after <= resident + 2 * k_live_bytes_max + k_slack_bytes);
  CHECK(store.stats().memory.retired_bytes <= k_slack_bytes);
}

}  // namespace

TEST_CASE("memory follows what is live when one thread puts and another erases", "[producer_consumer]") {
  Store store = must(Store::open({}));
  check_memory(store, scaled(10'000'000));
}

TEST_CASE("memory follows what is live with a log too", "[producer_consumer]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  options.segment_bytes = std::uint64_t{64} << 20;
  options.staging_bytes = std::size_t{8} << 20;  // part of the slack
  options.write_deadline = std::chrono::minutes(5);
  Store store = must(Store::open(options));
  check_memory(store, scaled(3'000'000));
}
