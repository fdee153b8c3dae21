#include "tests/lab/failures/last_words.h"

#include <array>
#include <atomic>
#include <csignal>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace actable::lab {
namespace {

// A case takes some milliseconds of its own; the rest is for a machine that is busy.
constexpr unsigned k_hang_seconds = 60;
constexpr std::array k_crashes{SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};

// release when set: pairs with the acquire of the handler, on whatever thread.
constinit std::atomic<const std::string*> g_words{nullptr};

void say(std::string_view words) noexcept { (void)!write(STDOUT_FILENO, words.data(), words.size()); }

extern "C" void on_signal(int signal) {
  say("\nFOUND: ");
  say(signal == SIGALRM ? "no end within a minute: " : "the program crashed: ");
  if (const std::string* const words = g_words.load(std::memory_order_acquire)) say(*words);
  say("\n");
  _exit(1);
}

}  // namespace

LastWords::LastWords(std::string words) : words_(std::move(words)) {
  g_words.store(&words_, std::memory_order_release);
  for (const int signal : k_crashes) (void)std::signal(signal, on_signal);
  (void)std::signal(SIGALRM, on_signal);
  (void)alarm(k_hang_seconds);
}

LastWords::~LastWords() {
  (void)alarm(0);
  for (const int signal : k_crashes) (void)std::signal(signal, SIG_DFL);
  g_words.store(nullptr, std::memory_order_release);
}

}  // namespace actable::lab
