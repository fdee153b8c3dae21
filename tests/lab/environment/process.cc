#include "tests/lab/environment/process.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>
#include <utility>

namespace actable::lab::environment {
namespace {

sigset_t child_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

[[noreturn]] void run_child(const std::function<int()>& work) {
  // Nothing outlives the leg.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int status = 255;
  try {
    status = work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  std::fflush(nullptr);
  ::_exit(status);
}

}  // namespace

Process::Process(const std::function<int()>& work, Group group) : leads_(group == Group::own) {
  // Blocked, so that `wait` can wait for it with a limit.
  const sigset_t set = child_signal();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  // Or the child would print it again.
  std::fflush(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    if (leads_) ::setpgid(0, 0);
    run_child(work);
  }
  if (leads_) ::setpgid(pid_, pid_);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), leads_(other.leads_), ended_(other.ended_) {}

Process::~Process() {
  if (pid_ > 0) kill();
}

std::optional<int> Process::look(int flags) {
  int status = 0;
  while (!ended_) {
    const pid_t found = ::waitpid(pid_, &status, flags);
    if (found == pid_) {
      ended_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    } else if (found == 0 || errno != EINTR) {
      break;
    }
  }
  return ended_;
}

std::optional<int> Process::wait(std::chrono::milliseconds longest) {
  const sigset_t set = child_signal();
  const auto end = std::chrono::steady_clock::now() + longest;
  while (!look(WNOHANG)) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) break;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{seconds.count(), (left - seconds).count()};
    // Another child's end may have come, and have taken this one's signal along.
    constexpr timespec k_look_again{0, 5'000'000};
    const bool is_long = limit.tv_sec > 0 || limit.tv_nsec > k_look_again.tv_nsec;
    ::sigtimedwait(&set, nullptr, is_long ? &k_look_again : &limit);
  }
  return ended_;
}

void Process::signal(int number) const {
  if (!ended_) ::kill(pid_, number);
}

void Process::kill() {
  // The group may outlive its leader.
  if (leads_) ::kill(-pid_, SIGKILL);
  signal(SIGKILL);
  (void)look(0);
}

}  // namespace actable::lab::environment
