#include "tests/lab/rot/last_words.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>

#include <unistd.h>

namespace actable::lab::rot {
namespace {

constexpr unsigned k_hang_s = 30;
constexpr std::array k_signals{SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

// Read by the signal handler, which may not take memory.
std::array<char, 512> words{};

void say(const char* text) { (void)!write(STDOUT_FILENO, text, std::strlen(text)); }

void on_signal(int number) {
  say(number == SIGALRM ? "rot: FOUND: a hang: " : "rot: FOUND: a crash: ");
  say(words.data());
  say("\n");
  std::signal(number, SIG_DFL);
  std::raise(number);
}

}  // namespace

LastWords::LastWords() {
  for (const int number : k_signals) std::signal(number, on_signal);
}

LastWords::~LastWords() {
  alarm(0);
  for (const int number : k_signals) std::signal(number, SIG_DFL);
}

void LastWords::now(std::string_view what) noexcept {
  const std::size_t bytes = std::min(what.size(), words.size() - 1);
  std::copy_n(what.begin(), bytes, words.begin());
  words[bytes] = '\0';
  alarm(k_hang_s);
}

}  // namespace actable::lab::rot
