#include "benchmarks/engines/child.h"

#include "benchmarks/engine.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

namespace bench {

namespace {

using SteadyClock = std::chrono::steady_clock;

/// A server may have its last gigabyte to write.
constexpr auto k_patience = std::chrono::minutes(1);
constexpr auto k_look_again = std::chrono::milliseconds(2);
/// As shells have it, for a program that cannot be started.
constexpr int k_status_not_started = 127;

/// In the child, between fork and exec: nothing but what a signal handler may.
[[noreturn]] void become(char* const* arguments, Child::Files files, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have gone before the kernel was told.
  if (::getppid() == parent && ::dup2(files.input, STDIN_FILENO) >= 0 && ::dup2(files.output, STDOUT_FILENO) >= 0 &&
      ::dup2(files.output, STDERR_FILENO) >= 0) {
    ::execv(arguments[0], arguments);
  }
  ::_exit(k_status_not_started);
}

}  // namespace

std::optional<std::filesystem::path> find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path candidate = std::filesystem::path(folder) / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

Child::Child(const std::vector<std::string>& arguments, Files files) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw Failure("cannot start " + arguments.front() + ": " + std::strerror(errno));
  if (pid_ == 0) become(pointers.data(), files, parent);
}

Child::~Child() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  while (!ends_within(k_patience)) ::kill(pid_, SIGKILL);
}

bool Child::ends_within(std::chrono::milliseconds time) {
  const auto until = SteadyClock::now() + time;
  while (running()) {
    if (SteadyClock::now() >= until) return false;
    std::this_thread::sleep_for(k_look_again);
  }
  return true;
}

bool Child::running() {
  if (pid_ <= 0) return false;
  if (::waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

}  // namespace bench
