#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace actable::test {

/// Where the build put a program that tests start: beside the running test.
[[nodiscard]] std::filesystem::path program_beside(std::string_view name);

/// A program running as a child process. Started with fork and exec, so it is
/// safe in a test that has threads. Killed and waited for by the destructor.
///
/// Thread safety: *confined* to one thread.
class Child {
 public:
  /// Throws std::system_error when it cannot be started.
  Child(const std::filesystem::path& program, const std::vector<std::string>& arguments);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Waits for the next line of its standard output and returns it without the
  /// newline; empty when the child ended or closed its output.
  [[nodiscard]] std::string line();

  /// Closes its standard input: how a polite child is told to end.
  void close_input();

  /// SIGKILL, then waits until it is gone. False if it had ended by itself.
  bool kill();

  /// Waits until it ends. Its exit status, or minus the signal that ended it.
  int wait();

  [[nodiscard]] bool ended();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  bool reaped_ = false;
  int status_ = 0;
};

}  // namespace actable::test
