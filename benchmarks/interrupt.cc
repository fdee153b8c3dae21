#include "benchmarks/interrupt.h"

#include <csignal>

#include <atomic>
#include <initializer_list>

namespace bench {

namespace {

std::atomic<bool> interrupt_came{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch nothing else");

// relaxed, here and below: a flag alone, nothing is read because of it.
void note_interrupt(int) { interrupt_came.store(true, std::memory_order_relaxed); }

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  // Each line to a reader that has gone sends one more of these.
  action.sa_flags = static_cast<int>(SA_RESTART);
  ::sigaction(SIGPIPE, &action, nullptr);
}

bool interrupted() noexcept { return interrupt_came.load(std::memory_order_relaxed); }

}  // namespace bench
