#include "examples/packages/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace packages {

using actable::Result;

namespace {

constexpr const char* k_this_program = "/proc/self/exe";

/// For the signal handler; 0: none.
std::atomic<pid_t> running_child{0};
static_assert(std::atomic<pid_t>::is_always_lock_free, "a signal handler reads it");

/// Does only what a signal handler may.
void on_interrupt(int signal) {
  // relaxed: one word; nothing hangs on it.
  const pid_t child = running_child.load(std::memory_order_relaxed);
  if (child > 0) ::kill(child, SIGKILL);
  constexpr std::string_view k_message =
      "\ninterrupted: the writer was stopped. The store is whole and opens again; its directory can be removed.\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, k_message.data(), k_message.size());
  ::_exit(128 + signal);
}

/// Between fork and exec; allocates nothing, for another thread may have held
/// the allocator's lock when this process was copied.
[[noreturn]] void become_writer(pid_t parent, char* const* arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) ::execv(k_this_program, arguments);
  ::_exit(127);
}

}  // namespace

void handle_interrupts() {
  struct sigaction action {};
  action.sa_handler = &on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

Result<Child> Child::start(const std::vector<std::string>& arguments) {
  std::string name = "packages-job";
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers{name.data()};
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process == 0) become_writer(parent, pointers.data());
  if (process < 0) {
    return actable::fail(actable::ErrorCode::io_error,
                         std::string("cannot start the writer process: ") + std::strerror(errno));
  }
  // relaxed: see on_interrupt().
  running_child.store(process, std::memory_order_relaxed);
  return Child(process);
}

Child::Child(Child&& other) noexcept : process_(std::exchange(other.process_, 0)) {}

Child::~Child() { kill(); }

void Child::forget() {
  process_ = 0;
  // relaxed: see on_interrupt().
  running_child.store(0, std::memory_order_relaxed);
}

bool Child::running() {
  if (process_ == 0) return false;
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) == 0) return true;
  forget();
  return false;
}

bool Child::kill() {
  if (process_ == 0) return false;
  ::kill(process_, SIGKILL);
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  forget();
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace packages
