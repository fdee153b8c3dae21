#include "base/bell.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <atomic>
#include <thread>
#include <vector>

using namespace actable;
using namespace actable::test;

TEST_CASE("who heard a bell before it rang does not wait", "[bell]") {
  base::Bell bell;
  const std::uint32_t heard = bell.heard();
  bell.ring();
  bell.wait(heard);
  CHECK(bell.heard() != heard);
}

TEST_CASE("all who wait are woken each time, and see what it rang for", "[bell]") {
  constexpr unsigned k_threads = 8;
  const std::uint64_t rings = scaled(5'000);
  base::Bell bell;
  std::uint64_t rung_for[2] = {0, 0};
  std::atomic<std::uint64_t> number{0};
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<std::uint64_t> arrived{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < k_threads; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t next = 1; next <= rings; ++next) {
        while (true) {
          const std::uint32_t heard = bell.heard();
          if (number.load(std::memory_order_acquire) >= next) break;
          bell.wait(heard);
        }
        if (rung_for[next % 2] != next) ++wrong;
        arrived.fetch_add(1, std::memory_order_release);
      }
    });
  }
  for (std::uint64_t next = 1; next <= rings; ++next) {
    rung_for[next % 2] = next;
    number.store(next, std::memory_order_release);
    bell.ring();
    // One ahead at most, so that a wake-up that was lost is waited for for ever.
    while (arrived.load(std::memory_order_acquire) < next * k_threads) std::this_thread::yield();
  }
  threads.clear();
  CHECK(wrong == 0);
}
