#include "shell/dump_file.h"

#include "shell/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

namespace shell {
namespace {

namespace base = actable::base;
namespace fs = std::filesystem;

constexpr std::size_t k_piece_bytes = std::size_t{64} << 10;

/// Waits until the descriptor is ready. False: interrupted.
[[nodiscard]] bool ready(int descriptor, short events) {
  while (!interrupted) {
    // A signal between the look at the flag and poll is noticed a moment later.
    constexpr int k_look_ms = 100;
    pollfd polled{descriptor, events, 0};
    if (poll(&polled, 1, k_look_ms) > 0) return true;
  }
  return false;
}

[[nodiscard]] bool try_again(int error) noexcept { return error == EINTR || error == EAGAIN || error == EWOULDBLOCK; }

[[nodiscard]] std::unexpected<Failure> there_already(const fs::path& path) {
  return failed(path.string() + " is there already, and nothing is overwritten: give another name, or remove it",
                k_status_not_asked);
}

[[nodiscard]] std::unexpected<Failure> interrupted_by_user() { return failed("interrupted", k_status_interrupted); }

}  // namespace

std::unique_ptr<DumpOutput> DumpOutput::standard_output() {
  return std::unique_ptr<DumpOutput>(new DumpOutput({}, {}, base::Descriptor(), STDOUT_FILENO));
}

Got<std::unique_ptr<DumpOutput>> DumpOutput::new_file(const fs::path& path) {
  // A link that leads nowhere is there, too.
  std::error_code error;
  if (fs::exists(fs::symlink_status(path, error))) return there_already(path);
  std::string beside = path.string() + ".part-XXXXXX";
  base::Descriptor file(mkostemp(beside.data(), O_CLOEXEC));
  if (!file.valid()) return failed("cannot make " + path.string() + ": " + std::strerror(errno), k_status_not_asked);
  const int descriptor = file.number();
  return std::unique_ptr<DumpOutput>(new DumpOutput(path, beside, std::move(file), descriptor));
}

DumpOutput::~DumpOutput() {
  std::error_code gone;
  if (!present_.empty()) fs::remove(present_, gone);
}

std::unexpected<Failure> DumpOutput::cannot() const {
  return failed("cannot write " + (path_.empty() ? "the dump" : path_.string()) + ": " + std::strerror(errno));
}

Got<bool> DumpOutput::write(std::string_view bytes) {
  buffer_.append(bytes);
  bytes_ += bytes.size();
  return buffer_.size() < k_piece_bytes ? Got<bool>(wanted_) : flush();
}

Got<bool> DumpOutput::flush() {
  std::string_view left = buffer_;
  while (wanted_ && !left.empty()) {
    if (!ready(descriptor_, POLLOUT)) return interrupted_by_user();
    const ssize_t done = ::write(descriptor_, left.data(), left.size());
    if (done >= 0) {
      left.remove_prefix(static_cast<std::size_t>(done));
    } else if (errno == EPIPE) {
      wanted_ = false;
    } else if (!try_again(errno)) {
      return cannot();
    }
  }
  buffer_.clear();
  return wanted_;
}

Got<void> DumpOutput::finish() {
  auto flushed = flush();
  if (!flushed) return std::unexpected(std::move(flushed.error()));
  if (!file_.valid()) return {};
  if (fsync(descriptor_) != 0) return cannot();
  if (auto named = take_name(); !named) return named;
  if (auto synced = sync_directory(); !synced) return synced;
  present_.clear();
  return {};
}

/// In one step, which does not replace anything.
Got<void> DumpOutput::take_name() {
  int done = renameat2(AT_FDCWD, present_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
  // Not every file system has that; links they have, where they have not that.
  const bool linked = done != 0 && (errno == EINVAL || errno == ENOSYS);
  if (linked) done = link(present_.c_str(), path_.c_str());
  if (done != 0 && errno == EEXIST) return there_already(path_);
  if (done != 0) return failed("cannot give " + path_.string() + " its name: " + std::strerror(errno));
  std::error_code gone;
  if (linked) fs::remove(present_, gone);
  present_ = path_;
  return {};
}

Got<void> DumpOutput::sync_directory() const {
  const fs::path directory = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  const base::Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.valid() && fsync(opened.number()) == 0) return {};
  return failed("cannot sync the directory " + directory.string() + ": " + std::strerror(errno));
}

Got<DumpInput> DumpInput::open(const fs::path& path) {
  if (path.empty()) return DumpInput("standard input", base::Descriptor(), STDIN_FILENO);
  // Who opens a pipe does not wait here for its writer, but where Ctrl-C ends that.
  base::Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file.valid() || fstat(file.number(), &status) != 0) {
    return failed("cannot open " + path.string() + ": " + std::strerror(errno), k_status_not_asked);
  }
  if (S_ISDIR(status.st_mode)) return failed(path.string() + " is a directory: give a file", k_status_not_asked);
  const int descriptor = file.number();
  DumpInput input(path.string(), std::move(file), descriptor);
  if (S_ISREG(status.st_mode)) input.bytes_in_all_ = static_cast<std::uint64_t>(status.st_size);
  return input;
}

Got<std::string_view> DumpInput::read() {
  buffer_.resize(k_piece_bytes);
  while (ready(descriptor_, POLLIN)) {
    const ssize_t got = ::read(descriptor_, buffer_.data(), buffer_.size());
    if (got >= 0) {
      bytes_read_ += static_cast<std::uint64_t>(got);
      return std::string_view(buffer_).substr(0, static_cast<std::size_t>(got));
    }
    if (!try_again(errno)) return failed("cannot read " + name_ + ": " + std::strerror(errno));
  }
  return interrupted_by_user();
}

}  // namespace shell
