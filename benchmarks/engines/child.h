#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// Where the shell would find a program; empty when it would not.
[[nodiscard]] std::optional<std::filesystem::path> find_program(std::string_view name);

/// A program that an engine runs in. It is in a process group of its own, so
/// that Ctrl-C comes to the benchmark alone, which then ends it; should the
/// benchmark be killed, the kernel kills the child.
///
/// Thread safety: *confined* to the thread that made it, which must outlive it.
class Child {
 public:
  /// What the program has for its input and output. Its errors go where the
  /// output goes.
  struct Files {
    int input;
    int output;
  };

  /// The first argument is the path of the program. Throws `Failure` when it
  /// cannot be started.
  Child(const std::vector<std::string>& arguments, Files files);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// Asks it to end with SIGTERM and waits; one that does not in a minute is
  /// killed.
  ~Child();

  /// False once it has ended.
  [[nodiscard]] bool running();

  /// Waits until it ends by itself. False: it did not in this time.
  bool ends_within(std::chrono::milliseconds time);

 private:
  pid_t pid_ = -1;
};

}  // namespace bench
