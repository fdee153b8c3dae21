#pragma once

#include <csignal>

/// Signals of the host process that must not reach the store's work.
namespace actable::base {

/// Blocks all signals for the calling thread, and for threads that it starts
/// meanwhile, as long as it lives.
///
/// Thread safety: *confined*.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() noexcept;
  ~AllSignalsBlocked();
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

/// Keeps a write beyond the process's file size limit from ending it: the call
/// fails with EFBIG, and the SIGXFSZ that comes with it is taken back at the end.
///
/// Thread safety: *confined*.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() noexcept;
  ~FileSizeSignalBlocked();
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;

 private:
  sigset_t before_{};
  bool was_pending_ = false;
};

}  // namespace actable::base
