#pragma once

#include <actable/result.h>

#include <sys/types.h>

#include <string>
#include <vector>

namespace packages {

/// Makes Ctrl-C (and SIGTERM) kill the running child, say what is left, and end
/// the program with 128 + the signal's number. Call once, before any child.
void handle_interrupts();

/// A process running this same program, killed at the latest when this object
/// goes, and by the kernel when this process goes first.
///
/// Thread safety: *confined* to the thread that started it, which must be the
/// main thread: the kernel kills the child when the thread ends. One at a time.
class Child {
 public:
  /// Starts the program with these arguments. Fails with io_error.
  [[nodiscard]] static actable::Result<Child> start(const std::vector<std::string>& arguments);

  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// True while it runs; never again after it was false.
  [[nodiscard]] bool running();

  /// SIGKILL, and waits until it is dead. False when it had ended by itself.
  bool kill();

 private:
  explicit Child(pid_t process) : process_(process) {}
  void forget();

  // 0 when it is dead and waited for.
  pid_t process_;
};

}  // namespace packages
