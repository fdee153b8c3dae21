#include "tests/lab/environment/wall_clock.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

namespace {

std::atomic<time_t> seconds_off{0};

bool shows_wall_time(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

}  // namespace

// These take the place of the C library's for the whole program.
extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto failed = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
  if (failed == 0 && shows_wall_time(clock)) now->tv_sec += seconds_off.load(std::memory_order_relaxed);
  return failed;
}

int gettimeofday(timeval* __restrict now, void* __restrict) noexcept {
  timespec exact{};
  const int failed = clock_gettime(CLOCK_REALTIME, &exact);
  *now = {exact.tv_sec, exact.tv_nsec / 1'000};
  return failed;
}

time_t time(time_t* into) noexcept {
  timespec exact{};
  (void)clock_gettime(CLOCK_REALTIME, &exact);
  if (into != nullptr) *into = exact.tv_sec;
  return exact.tv_sec;
}
}

namespace actable::lab::environment {

void set_wall_clock_off(std::chrono::seconds by) noexcept {
  seconds_off.store(static_cast<time_t>(by.count()), std::memory_order_relaxed);
}

}  // namespace actable::lab::environment
