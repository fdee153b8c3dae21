#pragma once

#include "base/file.h"

#include <actable/result.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace actable::base {

/// Bytes of a file, and what keeps them where they are.
struct FileView {
  std::span<const std::byte> bytes{};
  std::shared_ptr<const std::byte> memory{};
};

/// Memory for reading past the system's cache, in pieces of one size that are used again.
///
/// Thread safety: *synchronized*; a piece may outlive it.
class WindowMemory {
 public:
  explicit WindowMemory(std::size_t bytes) : pool_(std::make_shared<Pool>(bytes)) {}

  /// Aligned to `k_block_bytes`. Null when memory is exhausted.
  [[nodiscard]] std::shared_ptr<std::byte> take();

 private:
  struct Pool {
    explicit Pool(std::size_t size) : bytes(size) {}
    ~Pool();
    void give_back(std::byte* piece) noexcept;
    const std::size_t bytes;
    std::mutex mutex;
    std::vector<std::byte*> free;
  };
  std::shared_ptr<Pool> pool_;
};

/// Reads files from one end to the other before somebody asks for it, with threads of
/// its own: the disk has always something to do, and who asks need not wait for it. What
/// failed to be read fails for the one who asks for it.
///
/// At most `k_windows` windows of `k_window_bytes` are read ahead; one more for each
/// that a view is kept of.
///
/// Thread safety: *confined* to the one who asks; views may be kept by anybody.
class ReadAhead {
 public:
  /// What disks read at their best.
  static constexpr std::size_t k_window_bytes = std::size_t{1} << 20;
  static constexpr std::size_t k_windows = 8;

  /// With as many of the threads as the system lets it start. Where there is none, all
  /// is read when it is asked for.
  explicit ReadAhead(unsigned threads);
  /// Waits for what is being read.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// Goes on, after what was added before, with the file from `begin`, a multiple of
  /// `k_block_bytes`, to `end`. The file stays open until it is dropped.
  void add(File& file, std::uint64_t begin, std::uint64_t end);

  /// Forgets what was added of the file, and does not read from it any more.
  void drop(const File& file);

  /// Up to `bytes` bytes of the file, fewer only at its end. Lets go of what lies before
  /// `offset`. Empty when it is not from a place that was added or was let go of. Fails
  /// with io_error or no_memory.
  [[nodiscard]] Result<std::optional<FileView>> view(const File& file, std::uint64_t offset, std::size_t bytes);

 private:
  enum class State : std::uint8_t { waiting, reading, read };
  struct Window {
    File* file;
    std::uint64_t offset;
    std::size_t wanted;
    State state = State::waiting;
    Result<std::size_t> found = std::size_t{0};
    std::shared_ptr<std::byte> memory{};
  };
  struct Source {
    File* file;
    std::uint64_t next;
    std::uint64_t end;
  };

  void run(std::stop_token stopped);
  /// Reads the window, without the lock meanwhile.
  void read(Window& window, std::unique_lock<std::mutex>& lock);
  /// Has windows for what comes next, as far as there may be.
  void plan();
  [[nodiscard]] bool reaches(const File& file, std::uint64_t offset, std::unique_lock<std::mutex>& lock);
  /// Waits for the window, or reads it.
  void finish(Window& window, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Result<std::optional<FileView>> gathered(std::uint64_t offset, std::size_t bytes,
                                                         std::unique_lock<std::mutex>& lock);

  WindowMemory memory_{k_window_bytes};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  // In the order of the files.
  std::deque<Source> sources_;
  // A list, for what is being read must stay where it is.
  std::list<Window> windows_;
  std::vector<std::jthread> threads_;
};

}  // namespace actable::base
