#include "base/fence.h"
#include "tests/base/fence_kinds.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <array>
#include <thread>

namespace actable::base {
namespace {

using test::scaled;
using test::together;

/// Brings two threads together again and again, without the cost of a lock.
class Meeting {
 public:
  void meet() {
    const unsigned round = round_.load(std::memory_order_acquire);
    if (present_.fetch_add(1, std::memory_order_acq_rel) == 1) {
      present_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    while (round_.load(std::memory_order_acquire) == round) std::this_thread::yield();
  }

 private:
  std::atomic<unsigned> present_{0};
  std::atomic<unsigned> round_{0};
};

}  // namespace

TEST_CASE("of a light and a heavy fence one comes first") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  std::array<std::atomic<int>, 2> written{};
  std::array<int, 2> seen{};
  Meeting meeting;
  std::uint64_t both_missed = 0;
  std::uint64_t one_missed = 0;
  together(2, [&](unsigned thread) {
    for (std::uint64_t round = scaled(20'000); round-- != 0;) {
      meeting.meet();
      // relaxed: the fences are what is tested
      written[thread].store(1, std::memory_order_relaxed);
      if (thread == 0) {
        light_fence();
      } else {
        heavy_fence();
      }
      seen[thread] = written[1 - thread].load(std::memory_order_relaxed);
      meeting.meet();
      if (thread != 0) continue;
      both_missed += seen[0] == 0 && seen[1] == 0 ? 1 : 0;
      one_missed += seen[0] + seen[1] == 1 ? 1 : 0;
      written[0].store(0, std::memory_order_relaxed);
      written[1].store(0, std::memory_order_relaxed);
    }
  });
  INFO("in " << one_missed << " rounds one thread did not see the other's write");
  CHECK(both_missed == 0);
}

TEST_CASE("full fences can be forced and taken back") {
  prepare_fences();
  const bool found = membarrier_in_use();
  {
    const FencesInUse fences(FenceKind::full);
    CHECK_FALSE(membarrier_in_use());
    heavy_fence();
    light_fence();
  }
  CHECK(membarrier_in_use() == found);
  prepare_fences();
  CHECK(membarrier_in_use() == found);
}

}  // namespace actable::base
