#include "base/signals.h"

#include <ctime>

namespace actable::base {
namespace {

sigset_t file_size_signal() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  return set;
}

bool file_size_signal_pending() noexcept {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
}

}  // namespace

AllSignalsBlocked::AllSignalsBlocked() noexcept {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

AllSignalsBlocked::~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

FileSizeSignalBlocked::FileSizeSignalBlocked() noexcept : was_pending_(file_size_signal_pending()) {
  const sigset_t set = file_size_signal();
  pthread_sigmask(SIG_BLOCK, &set, &before_);
}

FileSizeSignalBlocked::~FileSizeSignalBlocked() {
  if (!was_pending_ && file_size_signal_pending()) {
    const sigset_t set = file_size_signal();
    const timespec at_once{};
    sigtimedwait(&set, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace actable::base
