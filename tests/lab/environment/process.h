#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>

namespace actable::lab::environment {

/// A forked child, for what a process gives up for good or is killed over. To
/// be made while the calling process has one thread. Killed by the destructor.
///
/// Thread safety: *confined* to one thread.
class Process {
 public:
  /// The child leads a process group of its own, so that `kill` reaches what it
  /// forked; or is in its parent's.
  enum class Group { own, of_parent };

  /// Runs `work` in the child, which ends with the status that it returns; with
  /// 255 when it throws, having printed what. Throws std::system_error.
  explicit Process(const std::function<int()>& work, Group group = Group::of_parent);
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Its exit status, or minus the signal that ended it; empty when it has not
  /// ended within `longest`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds longest);

  /// Sends a signal.
  void signal(int number) const;

  /// SIGKILL to it, or to its group, and waits until it is gone.
  void kill();

 private:
  [[nodiscard]] std::optional<int> look(int flags);

  pid_t pid_ = -1;
  bool leads_ = false;
  std::optional<int> ended_;
};

}  // namespace actable::lab::environment
