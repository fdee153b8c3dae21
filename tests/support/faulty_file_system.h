#pragma once

#include "base/file.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace actable::test {

/// The calls that can be counted, delayed and made to fail.
enum class Call { open, read, write, sync, allocate, rename, remove, sync_directory, list, size };
inline constexpr std::size_t k_calls = 10;

/// How a call fails. Nothing reaches the file system below, but for what
/// `short_write` says.
enum class Fault {
  /// What the system says when a disk fails (EIO).
  io_error,
  /// What the system says when a disk is full (ENOSPC).
  no_space,
  /// Half of the bytes are written, in whole blocks if the file is direct.
  /// Any other call than a write fails as with `io_error`.
  short_write,
};

/// Another file system that can be made to fail, to be slow, and to run full.
/// Its files have no descriptor, so that both kinds of queue run through it.
/// Without orders it only counts. Must outlive its files.
///
/// Thread safety: *synchronized*; orders hold for the calls that begin later.
class FaultyFileSystem final : public base::FileSystem {
 public:
  explicit FaultyFileSystem(base::FileSystem& below = base::posix_file_system()) : below_(below) {}

  /// Calls of the kind that have begun so far, those that failed included.
  [[nodiscard]] std::uint64_t calls(Call kind) const;

  /// Makes the `nth` call of the kind from now fail (1: the next), and only
  /// that. Replaces an earlier order for the kind.
  void fail_nth(Call kind, std::uint64_t nth, Fault fault = Fault::io_error);

  /// Makes every call of the kind fail, beginning with the `nth` from now.
  void fail_from(Call kind, std::uint64_t nth, Fault fault = Fault::io_error);

  /// Makes each call of the kind take this much longer, before it does
  /// anything. A shorter delay, and `heal`, also shorten the calls under way.
  void delay(Call kind, std::chrono::nanoseconds by);

  /// Returns when a call of the kind is being delayed; false if none is within
  /// `longest`.
  [[nodiscard]] bool wait_until_delayed(Call kind, std::chrono::nanoseconds longest = std::chrono::seconds(60));

  /// The disk is full after so many more bytes: the write that goes beyond is
  /// cut short there (in whole blocks if the file is direct) and fails, and
  /// later ones find what room that left.
  void cap_bytes_written(std::uint64_t bytes);

  /// The disk cannot be read there, from now on: every read of a file of that name that
  /// touches it fails as with `io_error`.
  void fail_reads(const std::string& name, std::uint64_t offset, std::uint64_t bytes);

  /// From now on files are opened as on a file system that has no `O_DIRECT`.
  void refuse_direct();

  /// Takes back all orders. The counts go on.
  void heal();

  Result<std::unique_ptr<base::File>> open(const std::filesystem::path& path, base::OpenMode mode) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_directory(const std::filesystem::path& directory) override;
  Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) override;
  Result<std::filesystem::path> resolve(const std::filesystem::path& path) override { return below_.resolve(path); }
  Result<std::unique_ptr<base::DirectoryLock>> lock(const std::filesystem::path& directory) override;
  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override;

 private:
  class FaultyFile;

  struct Orders {
    std::uint64_t begun = 0;
    // The calls that fail: from number `fail_first` to `fail_last`.
    std::uint64_t fail_first = 0;
    std::uint64_t fail_last = 0;
    Fault fault = Fault::io_error;
    std::chrono::nanoseconds delay{0};
    unsigned delayed_now = 0;
  };

  [[nodiscard]] Orders& orders(Call kind) { return orders_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] std::optional<Fault> begin(Call kind);
  [[nodiscard]] Result<void> pass_read(const std::filesystem::path& path, std::uint64_t offset, std::size_t bytes);
  [[nodiscard]] std::size_t take_room(std::size_t bytes, std::size_t unit);
  [[nodiscard]] Result<void> pass(Call kind, const char* what, const std::filesystem::path& path);

  base::FileSystem& below_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Orders, k_calls> orders_;
  std::optional<std::uint64_t> room_;
  struct Unreadable {
    std::string name;
    std::uint64_t begin;
    std::uint64_t end;
  };
  std::vector<Unreadable> unreadable_;
  bool direct_ = true;
};

/// Lets no call of a kind end, failed or not, as long as it lives. A log writes of
/// its own accord, too: a failure ordered meanwhile does not come before what a
/// test does meanwhile.
///
/// Thread safety: *confined*.
class HeldCalls {
 public:
  HeldCalls(FaultyFileSystem& files, Call kind) : files_(files), kind_(kind) {
    files_.delay(kind_, std::chrono::hours(1));
  }
  ~HeldCalls() { files_.delay(kind_, std::chrono::nanoseconds::zero()); }
  HeldCalls(const HeldCalls&) = delete;
  HeldCalls& operator=(const HeldCalls&) = delete;

 private:
  FaultyFileSystem& files_;
  Call kind_;
};

}  // namespace actable::test
