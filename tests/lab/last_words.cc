#include "tests/lab/last_words.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>

#include <unistd.h>

namespace actable::lab {
namespace {

// A case takes some milliseconds of its own; the rest is for a machine that is busy.
constexpr unsigned k_hang_seconds = 60;
constexpr std::array k_signals{SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};

// Read by the signal handler, which may not take memory.
using Words = std::array<char, 1'024>;
Words leg_words{};
Words case_words{};

void keep(std::string_view text, Words& words) noexcept {
  const std::size_t bytes = std::min(text.size(), words.size() - 1);
  std::copy_n(text.begin(), bytes, words.begin());
  words[bytes] = '\0';
}

void say(const char* text) noexcept { (void)!write(STDOUT_FILENO, text, std::strlen(text)); }

extern "C" void on_signal(int number) {
  say("\n");
  say(leg_words.data());
  say(number == SIGALRM ? ": FOUND: no end within a minute: " : ": FOUND: the program crashed: ");
  say(case_words.data());
  say("\n");
  _exit(1);
}

}  // namespace

LastWords::LastWords(std::string_view leg) noexcept {
  keep(leg, leg_words);
  for (const int number : k_signals) (void)std::signal(number, on_signal);
}

LastWords::~LastWords() {
  (void)alarm(0);
  for (const int number : k_signals) (void)std::signal(number, SIG_DFL);
}

void LastWords::now(std::string_view what) noexcept {
  keep(what, case_words);
  (void)alarm(k_hang_seconds);
}

}  // namespace actable::lab
