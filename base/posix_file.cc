#include "base/assert.h"
#include "base/descriptor.h"
#include "base/file.h"
#include "base/file_error.h"
#include "base/process.h"
#include "base/pwrite_queue.h"
#include "base/uring_queue.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace actable::base {
namespace {

namespace fs = std::filesystem;

constexpr mode_t k_file_mode = 0600;
constexpr mode_t k_directory_mode = 0700;
constexpr std::string_view k_lock_name = "LOCK";

Descriptor open_descriptor(const fs::path& name, int flags) {
  return Descriptor(uninterrupted([&] { return open(name.c_str(), flags | O_CLOEXEC, k_file_mode); }));
}

Error io_error(std::string_view what, const fs::path& name, int system_error) {
  return file_error(ErrorCode::io_error, what, name, system_error);
}

/// `not_found` where that is the reason, else `io_error`.
Error path_error(std::string_view what, const fs::path& name, int system_error) {
  return file_error(system_error == ENOENT ? ErrorCode::not_found : ErrorCode::io_error, what, name, system_error);
}

Result<void> sync_directory_at(const fs::path& directory) {
  const Descriptor opened = open_descriptor(directory, O_RDONLY | O_DIRECTORY);
  if (!opened.valid()) return std::unexpected(path_error("open directory", directory, errno));
  if (fsync(opened.number()) != 0) return std::unexpected(io_error("sync directory", directory, errno));
  return {};
}

/// `cached` reads, and writes unless there is `direct`, which goes past the
/// cache; the kernel drops from the cache what a direct write replaces, and writes
/// what is only there before a direct read.
///
/// Thread safety: *synchronized*.
class PosixFile final : public File {
 public:
  PosixFile(fs::path name, Descriptor cached, Descriptor direct)
      : path_(std::move(name)), cached_(std::move(cached)), direct_(std::move(direct)) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    return read_from(cached_, 1, offset, into);
  }

  Result<std::size_t> read_direct(std::uint64_t offset, std::span<std::byte> into) override {
    if (!direct()) return read(offset, into);
    ACTABLE_ASSERT(offset % k_block_bytes == 0 && into.size() % k_block_bytes == 0);
    ACTABLE_ASSERT(reinterpret_cast<std::uintptr_t>(into.data()) % k_block_bytes == 0);
    return read_from(direct_, k_block_bytes, offset, into);
  }

  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (direct()) {
      ACTABLE_ASSERT(offset % k_block_bytes == 0 && bytes.size() % k_block_bytes == 0);
      ACTABLE_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % k_block_bytes == 0);
    }
    const ssize_t written =
        uninterrupted([&] { return pwrite(descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (written < 0) return std::unexpected(write_error(path_, offset, bytes, errno));
    const auto done = static_cast<std::size_t>(written);
    if (done != bytes.size()) return std::unexpected(short_write_error(path_, offset, bytes, done));
    return {};
  }

  Result<void> sync() override {
    if (fdatasync(descriptor()) != 0) return std::unexpected(io_error("sync", path_, errno));
    return {};
  }

  Result<void> allocate(std::uint64_t bytes) override {
    // Refused by the system as an invalid argument.
    if (bytes == 0) return {};
    const auto length = static_cast<off_t>(bytes);
    if (uninterrupted([&] { return fallocate(cached_.number(), 0, 0, length); }) == 0) return {};
    if (errno == EOPNOTSUPP || errno == ENOSYS) return extend(bytes);
    return std::unexpected(allocate_error(bytes, errno));
  }

  Result<std::uint64_t> size() override {
    struct stat status {};
    if (fstat(cached_.number(), &status) != 0) return std::unexpected(io_error("ask the size of", path_, errno));
    return static_cast<std::uint64_t>(status.st_size);
  }

  [[nodiscard]] bool direct() const noexcept override { return direct_.valid(); }
  [[nodiscard]] int descriptor() const noexcept override { return direct() ? direct_.number() : cached_.number(); }
  [[nodiscard]] const fs::path& path() const noexcept override { return path_; }

 private:
  /// Parts of `unit` bytes but for the last one of the file.
  Result<std::size_t> read_from(const Descriptor& file, std::size_t unit, std::uint64_t offset,
                                std::span<std::byte> into) const {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = uninterrupted([&] {
        return pread(file.number(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      });
      // Of the end of a file, or of a file system that takes such a file and not such a read.
      const bool not_direct = got < 0 ? errno == EINVAL : (done + static_cast<std::size_t>(got)) % unit != 0;
      if (unit != 1 && not_direct) {
        done += got < 0 ? 0 : static_cast<std::size_t>(got);
        auto rest = read_from(cached_, 1, offset + done, into.subspan(done));
        if (rest) *rest += done;
        return rest;
      }
      if (got < 0) {
        const int reason = errno;
        return std::unexpected(io_error(
            "read " + std::to_string(into.size() - done) + " bytes at offset " + std::to_string(offset + done) + " of",
            path_, reason));
      }
      done += static_cast<std::size_t>(got);
      if (got == 0) break;
    }
    return done;
  }

  /// The size without the space, where the file system cannot reserve it.
  Result<void> extend(std::uint64_t bytes) {
    const Result<std::uint64_t> now = size();
    if (!now) return std::unexpected(now.error());
    if (*now >= bytes) return {};
    if (uninterrupted([&] { return ftruncate(cached_.number(), static_cast<off_t>(bytes)); }) == 0) return {};
    return std::unexpected(allocate_error(bytes, errno));
  }

  Error allocate_error(std::uint64_t bytes, int system_error) const {
    return io_error("reserve " + std::to_string(bytes) + " bytes for", path_, system_error);
  }

  fs::path path_;
  Descriptor cached_;
  Descriptor direct_;
};

/// The lock belongs to the open file, not to the process: a second open is
/// refused in the same process too, and a forked child holds it along.
///
/// Thread safety: *confined* to its owner.
class PosixDirectoryLock final : public DirectoryLock {
 public:
  explicit PosixDirectoryLock(Descriptor file) noexcept : file_(std::move(file)) {}
  ~PosixDirectoryLock() override {
    // Closing would leave the lock with children forked meanwhile; and such a
    // child must not let go of it for us.
    if (getpid() == owner_) flock(file_.number(), LOCK_UN);
  }
  [[nodiscard]] int descriptor() const noexcept override { return file_.number(); }

 private:
  Descriptor file_;
  pid_t owner_ = getpid();
};

/// The process that the file names; 0 when it names none.
pid_t holder_of(int lock_file) {
  std::array<char, 16> text{};
  const ssize_t got = uninterrupted([&] { return pread(lock_file, text.data(), text.size(), 0); });
  pid_t holder = 0;
  if (got > 0) std::from_chars(text.data(), text.data() + got, holder);
  return std::max(holder, 0);
}

std::string name_of(pid_t holder) {
  if (holder == 0) return "another process";
  return "process " + std::to_string(holder) + (holder == getpid() ? " (this one)" : "");
}

/// Takes the lock. A process that was killed may leave writes in flight, which
/// hold it for as long as the disk needs for them: some stop for seconds.
bool take_lock(int file) {
  constexpr auto k_patience = std::chrono::seconds(30);
  const auto give_up_at = std::chrono::steady_clock::now() + k_patience;
  while (uninterrupted([&] { return flock(file, LOCK_EX | LOCK_NB); }) != 0) {
    const int reason = errno;
    const bool dead = reason == EWOULDBLOCK && has_died(holder_of(file));
    errno = reason;
    if (!dead || std::chrono::steady_clock::now() > give_up_at) return false;
    std::this_thread::yield();  // A lock cannot be waited for with a limit.
  }
  return true;
}

/// Thread safety: *synchronized*; it has no state.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const fs::path& name, OpenMode mode) override {
    const int access = mode.write ? O_RDWR : O_RDONLY;
    // Created by the cached descriptor: an open for direct writing can make the
    // file and then fail.
    Descriptor cached = open_descriptor(name, access | (mode.create ? O_CREAT | O_EXCL : 0));
    if (!cached.valid()) {
      if (mode.create) return std::unexpected(io_error("create", name, errno));
      return std::unexpected(path_error("open", name, errno));
    }
    Descriptor direct;
    if (mode.direct) {
      direct = open_descriptor(name, access | O_DIRECT);
      // EINVAL: this file system cannot.
      if (!direct.valid() && errno != EINVAL) {
        return std::unexpected(io_error("open past the cache", name, errno));
      }
    }
    return std::make_unique<PosixFile>(name, std::move(cached), std::move(direct));
  }

  Result<std::vector<std::string>> list(const fs::path& directory) override {
    // Not std::filesystem's iterator: libstdc++ ends the process where that runs
    // out of memory.
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
    if (stream == nullptr) return std::unexpected(path_error("list", directory, errno));
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* const entry = readdir(stream.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return std::unexpected(path_error("list", directory, errno));
    std::ranges::sort(names);
    return names;
  }

  Result<void> rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    const int reason = errno;
    return std::unexpected(path_error("rename " + from.string() + " to", to, reason));
  }

  Result<void> remove(const fs::path& name) override {
    if (unlink(name.c_str()) == 0) return {};
    return std::unexpected(path_error("remove", name, errno));
  }

  Result<void> sync_directory(const fs::path& directory) override { return sync_directory_at(directory); }

  Result<fs::path> resolve(const fs::path& path) override {
    std::error_code reason;
    // Of a relative path the part that is there may be none.
    const fs::path whole = fs::absolute(path, reason);
    fs::path resolved = reason ? fs::path{} : fs::weakly_canonical(whole, reason);
    if (reason) return std::unexpected(io_error("find out what is", path, reason.value()));
    // "store/" names the directory "store".
    return resolved.has_filename() ? resolved : resolved.parent_path();
  }

  Result<bool> prepare_directory(const fs::path& directory, bool create) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const fs::path& directory) override;
  Result<std::unique_ptr<WriteQueue>> make_queue(LogIo kind) override;
};

/// The directory must be one, ours to write and nobody else's.
Result<void> check_directory(const fs::path& directory) {
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) return std::unexpected(path_error("open directory", directory, errno));
  if (!S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::invalid_argument, directory.string() + " is not a directory: give the path of one");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return fail(ErrorCode::invalid_argument, "any user may write in the directory " + directory.string() +
                                                 ", so anyone could replace what is stored: take that "
                                                 "permission away (chmod o-w)");
  }
  if (faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return std::unexpected(file_error(ErrorCode::invalid_argument, "write in directory", directory, errno));
  }
  return {};
}

Result<bool> PosixFileSystem::prepare_directory(const fs::path& directory, bool create) {
  // "store/" names the directory "store", whose parent is "." and not "store".
  const fs::path name = directory.has_filename() ? directory : directory.parent_path();
  bool made = false;
  if (create && mkdir(name.c_str(), k_directory_mode) == 0) {
    made = true;
  } else if (create && errno != EEXIST) {
    return std::unexpected(path_error("make directory", name, errno));
  }
  Result<void> usable = check_directory(name);
  if (usable && made) usable = sync_directory_at(name.has_parent_path() ? name.parent_path() : fs::path("."));
  if (!usable) {
    // Else the next call would find it and take it for durable.
    if (made) rmdir(name.c_str());
    return std::unexpected(std::move(usable).error());
  }
  return made;
}

Result<std::unique_ptr<DirectoryLock>> PosixFileSystem::lock(const fs::path& directory) {
  const fs::path name = directory / k_lock_name;
  Descriptor file = open_descriptor(name, O_RDWR | O_CREAT | O_NOFOLLOW);
  if (!file.valid()) return std::unexpected(io_error("open", name, errno));
  if (!take_lock(file.number())) {
    if (errno != EWOULDBLOCK) return std::unexpected(io_error("lock", name, errno));
    const pid_t holder = holder_of(file.number());
    if (has_died(holder)) {
      return fail(ErrorCode::locked, directory.string() + " is locked for " + name_of(holder) +
                                         ", which has ended: a child of it has it open, or the disk is still busy "
                                         "with its writes; end the child, or wait");
    }
    return fail(ErrorCode::locked, directory.string() + " is locked by " + name_of(holder) +
                                       ", which has it open: close the store there, or end that process");
  }
  // Emptied first, so that nobody reads a mixture of two numbers. The number is
  // for messages alone: on a full disk the lock holds without it. It need not
  // survive a crash of the machine, so it is not synced.
  const std::string process = std::to_string(getpid());
  if (ftruncate(file.number(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = pwrite(file.number(), process.data(), process.size(), 0);
  }
  return std::make_unique<PosixDirectoryLock>(std::move(file));
}

Result<std::unique_ptr<WriteQueue>> PosixFileSystem::make_queue(LogIo kind) {
  if (kind == LogIo::pwrite) return make_pwrite_queue();
  auto queue = make_uring_queue();
  if (!queue && kind == LogIo::automatic) return make_pwrite_queue();
  return queue;
}

}  // namespace

FileSystem& posix_file_system() {
  // Never destroyed: a store may be closed after the program's static objects.
  static FileSystem& instance = *new PosixFileSystem;
  return instance;
}

}  // namespace actable::base
