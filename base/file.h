#pragma once

#include <actable/options.h>
#include <actable/result.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// The one seam through which the store touches files, so that a test can put
/// a simulated disk underneath. `posix_file_system()` is the real one.
namespace actable::base {

/// Unit in which the log writes: the page size of storage and memory alike,
/// and what `O_DIRECT` asks buffers, offsets and lengths to be multiples of.
inline constexpr std::size_t k_block_bytes = 4096;

/// An open file. Closed by the destructor.
///
/// A failed `sync` means that what was written since the last good one may be
/// lost although later syncs succeed (the kernel drops the dirty mark), so a
/// caller must never retry it.
///
/// Thread safety: *synchronized*; overlapping writes leave either's bytes.
class File {
 public:
  virtual ~File() = default;

  /// Reads up to `into.size()` bytes; fewer only at the end of the file.
  /// Needs no alignment. Fails with io_error.
  [[nodiscard]] virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) = 0;

  /// As `read`, past the system's cache where the file was opened `direct` and the
  /// file system can: for much that is read once. Memory, offset and length are aligned
  /// to `k_block_bytes`.
  [[nodiscard]] virtual Result<std::size_t> read_direct(std::uint64_t offset, std::span<std::byte> into) {
    return read(offset, into);
  }

  /// Writes all bytes, or fails with io_error (message: path, offset, what the
  /// system said) having written any part of them. Writes to a file opened
  /// `direct` must be aligned to `k_block_bytes` in memory, offset and length.
  [[nodiscard]] virtual Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

  /// Puts on disk what was written before (`fdatasync`). Fails with io_error.
  [[nodiscard]] virtual Result<void> sync() = 0;

  /// Reserves disk space, so that later writes below `bytes` do not run out of
  /// it where the file system can promise that; the file reads as zeros there.
  [[nodiscard]] virtual Result<void> allocate(std::uint64_t bytes) = 0;

  [[nodiscard]] virtual Result<std::uint64_t> size() = 0;

  /// True when writes go past the system's cache.
  [[nodiscard]] virtual bool direct() const noexcept = 0;

  /// The descriptor for io_uring; -1 for a simulated file.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  [[nodiscard]] virtual const std::filesystem::path& path() const noexcept = 0;
};

/// How to open a file.
struct OpenMode {
  /// Create it, failing with io_error if it is there. New files are 0600.
  bool create = false;
  bool write = false;
  /// Bypass the system's cache for writes, and for `File::read_direct`, where the file
  /// system can; `File::read` goes through the cache in any case.
  bool direct = false;
};

/// Held while a store has the directory open; let go by the destructor, and by
/// the system when the process dies.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
  /// Of the file that is locked; -1 where there is none.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
};

/// What one request to a `WriteQueue` came to.
struct Completion {
  /// The value given at submission.
  std::uint64_t tag;
  /// Empty: done in full. A short write is a failure.
  std::optional<Error> error;
};

/// Writes and syncs that run beside their submitter.
///
/// Requests may be carried out in any order and at the same time; whoever needs
/// an order waits for completions. What failed is not retried; a write that the
/// system turned away before it transferred anything has not failed yet.
///
/// Where a call throws std::bad_alloc, what it was to submit is not in flight
/// and has no completion; a `wait` can be repeated, and needs no memory of its
/// own where `done` has room for all that is in flight.
///
/// Thread safety: *confined* to the log's thread, but for `wake`, which any
/// thread may call.
class WriteQueue {
 public:
  /// Waits for what is in flight.
  virtual ~WriteQueue() = default;

  /// Tells the queue of memory that writes will come from, so that it can be
  /// registered with the kernel. A hint: failing changes nothing but speed.
  /// The memory must outlive the queue.
  virtual void add_memory(std::span<std::byte> memory) = 0;

  /// Keeps the lock, should the process die, until nothing is in flight any
  /// more. Writes of a dead process that the kernel still carries out would
  /// otherwise fall upon its successor's. To be called once, before any request.
  virtual void hold(const DirectoryLock& lock) { static_cast<void>(lock); }

  /// Starts a write; `bytes` and `file` must stay until its completion. May
  /// wait while `in_flight_max` requests are in flight.
  virtual void submit_write(File& file, std::uint64_t offset, std::span<const std::byte> bytes, std::uint64_t tag) = 0;

  /// Starts a sync of what completed before this call.
  virtual void submit_sync(File& file, std::uint64_t tag) = 0;

  /// Appends what has completed to `done`. Waits for the first completion, a
  /// `wake`, or `timeout` (empty: for ever), unless something is there already.
  virtual void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<Completion>& done) = 0;

  /// Makes a present or the next `wait` return. Cheap when one is pending.
  virtual void wake() noexcept = 0;

  /// "io_uring" or "pwrite".
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual bool memory_registered() const noexcept = 0;
};

/// Thread safety: *synchronized*.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Fails with not_found when the file is missing and not to be created, else io_error.
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) = 0;

  /// Names (not paths) of what the directory holds, sorted. Fails, as the three
  /// below do, with not_found when what it names is missing, else io_error.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) = 0;

  /// Replaces `to` if it is there, atomically.
  [[nodiscard]] virtual Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  [[nodiscard]] virtual Result<void> remove(const std::filesystem::path& path) = 0;

  /// Puts creations, renames and removals in the directory on disk.
  [[nodiscard]] virtual Result<void> sync_directory(const std::filesystem::path& directory) = 0;

  /// Makes the directory (0700) if it is missing and checks it. Fails with
  ///   invalid_argument  it is not a directory, is not writable, or its
  ///                     permissions let others (not owner or group) write
  ///   not_found         it is missing and `create` is false, or its parent is
  ///   io_error
  /// True when it was made. A made directory is durable on return.
  [[nodiscard]] virtual Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) = 0;

  /// The path made absolute, without links, `.` and `..`: two names of one thing come to
  /// the same, where it is there. What of it is not there stays as it is. Fails with io_error.
  [[nodiscard]] virtual Result<std::filesystem::path> resolve(const std::filesystem::path& path) {
    return path.lexically_normal();
  }

  /// Takes the directory for this process, through a file `LOCK` in it that
  /// holds the process number. Waits a few seconds for the writes of a process
  /// that has died (`WriteQueue::hold`). Fails with `locked`, naming that
  /// number, when a live process (this one included) holds it.
  [[nodiscard]] virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::filesystem::path& directory) = 0;

  /// `automatic` and `pwrite` do not fail. io_uring fails with unsupported when
  /// the kernel has none for this process, with no_memory when the memory for
  /// it is not to be had, else io_error.
  [[nodiscard]] virtual Result<std::unique_ptr<WriteQueue>> make_queue(LogIo kind) = 0;
};

/// The operating system's files.
[[nodiscard]] FileSystem& posix_file_system();

}  // namespace actable::base
