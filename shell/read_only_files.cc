#include "shell/read_only_files.h"

#include "base/descriptor.h"
#include "base/file_error.h"
#include "shell/text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace shell {
namespace {

namespace base = actable::base;
namespace fs = std::filesystem;
using actable::Error;
using actable::ErrorCode;
using actable::Result;

/// As large as a segment may be (`Options::segment_bytes`), and nothing of a
/// store's is larger. A file that is sparse could be made to take for ever.
constexpr std::uint64_t k_file_bytes_max = std::uint64_t{4} << 30;

/// Opens what is there without waiting for anybody: a FIFO would wait for a
/// writer. Invalid, with the reason in errno, where it cannot be had.
[[nodiscard]] base::Descriptor open_at_once(const fs::path& path) {
  return base::Descriptor(
      base::uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
}

/// Thread safety: *synchronized*, as far as who counts is.
class ReadOnlyFile final : public UnchangeableFile {
 public:
  ReadOnlyFile(fs::path path, base::Descriptor descriptor, const ReadOnlyFiles::Read& read)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), read_(read) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    auto done = read_direct(offset, into);
    if (done) read_(*done);
    return done;
  }
  /// By threads that read ahead: it is not counted.
  Result<std::size_t> read_direct(std::uint64_t offset, std::span<std::byte> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = base::uninterrupted([&] {
        return pread(descriptor(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      });
      if (got < 0) return cannot("read");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  Result<std::uint64_t> size() override {
    struct stat status {};
    if (fstat(descriptor(), &status) != 0) return cannot("ask the size of");
    return static_cast<std::uint64_t>(status.st_size);
  }
  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.number(); }
  [[nodiscard]] const fs::path& path() const noexcept override { return path_; }

 private:
  [[nodiscard]] std::unexpected<Error> cannot(std::string_view what) const {
    return std::unexpected(base::file_error(ErrorCode::io_error, what, path_, errno));
  }

  const fs::path path_;
  const base::Descriptor descriptor_;
  const ReadOnlyFiles::Read& read_;
};

}  // namespace

Result<std::unique_ptr<base::File>> ReadOnlyFiles::open(const fs::path& path, base::OpenMode mode) {
  // Who opens a segment means to write it later: that is not held against him.
  if (mode.create) return refused();
  base::Descriptor opened = open_at_once(path);
  struct stat status {};
  if (!opened.valid() || fstat(opened.number(), &status) != 0) {
    const auto code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::io_error;
    return std::unexpected(base::file_error(code, "open", path, errno));
  }
  if (!S_ISREG(status.st_mode)) {
    return actable::fail(ErrorCode::io_error, path.string() + " is no regular file, as a store's are: move it away");
  }
  if (static_cast<std::uint64_t>(status.st_size) > k_file_bytes_max) {
    return actable::fail(ErrorCode::corrupt, path.string() + " is " + bytes_text(static_cast<double>(status.st_size)) +
                                                 " long, and a store's files have 4 GiB at most: restore the "
                                                 "directory from a copy");
  }
  return std::make_unique<ReadOnlyFile>(path, std::move(opened), read_);
}

Result<std::vector<std::string>> ReadOnlyFiles::list(const fs::path& directory) {
  return base::posix_file_system().list(directory);
}

std::optional<pid_t> lock_holder(const fs::path& directory) {
  const fs::path file = directory / "LOCK";
  const base::Descriptor opened = open_at_once(file);
  struct stat status {};
  if (!opened.valid() || fstat(opened.number(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t got = pread(opened.number(), text.data(), text.size(), 0);
  pid_t named = 0;
  (void)std::from_chars(text.data(), text.data() + std::max<ssize_t>(0, got), named);
  std::array<char, 32> device{};
  std::snprintf(device.data(), device.size(), "%02x:%02x", major(status.st_dev), minor(status.st_dev));
  const std::string inode = ":" + std::to_string(status.st_ino);
  // "12: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"; a line with "->" waits.
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, access, place;
    pid_t process = 0;
    words >> number >> kind >> advisory >> access >> process >> place;
    if (kind != "FLOCK" || !place.ends_with(inode)) continue;
    // Some file systems (overlays) tell the kernel another device than us.
    if (place != device.data() + inode && (process != named || named == 0)) continue;
    // A process of another container has no number here.
    return process > 0 ? process : named;
  }
  return std::nullopt;
}

}  // namespace shell
