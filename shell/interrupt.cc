#include "shell/interrupt.h"

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <cstdint>

namespace shell {

void catch_interrupts() {
  struct sigaction action {};
  // Without SA_RESTART: who reads from the terminal is to notice.
  action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
  sigaction(SIGINT, &action, nullptr);
  // A reader that went away is an error of the write.
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

bool wait_for(std::chrono::milliseconds time, int descriptor) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!interrupted.load(std::memory_order_relaxed)) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    if (left <= 0) return true;
    // A signal between the look at the flag and poll is noticed a moment later.
    constexpr std::int64_t k_look_ms = 100;
    pollfd polled{descriptor, POLLIN, 0};
    if (poll(&polled, 1, static_cast<int>(std::min(left, k_look_ms))) > 0) return false;
  }
  return false;
}

}  // namespace shell
