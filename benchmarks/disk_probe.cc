#include "benchmarks/disk_probe.h"

#include "benchmarks/clock.h"
#include "benchmarks/engine.h"
#include "benchmarks/interrupt.h"
#include "benchmarks/random.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace bench {

namespace {

/// Writing it once takes about as long as a probe does; more would say no more.
constexpr std::uint64_t k_file_bytes_max = std::uint64_t{512} << 20;
/// For the file of small blocks, where each block costs a sync.
constexpr std::uint64_t k_sync_file_bytes_max = std::uint64_t{16} << 20;
/// Blocks on their way at the same time, so that the disk always has the next.
constexpr unsigned k_movers = 4;
/// Probes of this duration get the whole file.
constexpr double k_whole_file_s = 2;
/// What `O_DIRECT` wants of memory on any disk.
constexpr std::size_t k_alignment = 4096;

struct Free {
  void operator()(void* memory) const noexcept { std::free(memory); }
};

/// Memory that the disk can read from and write to, with noise in it: some disks
/// are quick with zeros.
class Block {
 public:
  explicit Block(std::size_t bytes) : bytes_(bytes), memory_(std::aligned_alloc(k_alignment, bytes)) {
    if (memory_ == nullptr) throw Failure("no memory to probe the disk with");
    Random random(bytes);
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= bytes; at += sizeof(std::uint64_t)) {
      const std::uint64_t noise = random.next();
      std::memcpy(static_cast<char*>(memory_.get()) + at, &noise, sizeof noise);
    }
  }

  [[nodiscard]] void* data() noexcept { return memory_.get(); }
  [[nodiscard]] const void* data() const noexcept { return memory_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

 private:
  std::size_t bytes_;
  std::unique_ptr<void, Free> memory_;
};

/// Closes a file when it goes.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// A file of blocks, written once.
class ProbeFile {
 public:
  ProbeFile(const std::filesystem::path& directory, std::size_t block_bytes, std::uint64_t blocks)
      : path_(directory / "diskprobe"),
        block_bytes_(block_bytes),
        blocks_(blocks),
        file_(::open(path_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_DIRECT | O_CLOEXEC, 0600)) {
    if (file_.get() < 0 && errno == EINVAL) {
      ::unlink(path_.c_str());
      throw Failure("diskprobe: the file system of " + directory.string() +
                    " does not take O_DIRECT; choose one on a disk with --dir");
    }
    if (file_.get() < 0) fail("open");
    // Without a name it goes with the process, whatever ends that.
    ::unlink(path_.c_str());
    const Block block(block_bytes);
    for (std::uint64_t n = 0; n < blocks_ && !interrupted(); ++n) write(n, block);
    sync();
  }

  /// Writes the n-th block, counted round and round.
  void write(std::uint64_t n, const Block& block) const {
    const auto offset = static_cast<off_t>(n % blocks_ * block_bytes_);
    const ssize_t written = ::pwrite(file_.get(), block.data(), block.size(), offset);
    if (written != static_cast<ssize_t>(block.size())) {
      if (written >= 0) errno = ENOSPC;
      fail("write");
    }
  }

  /// Reads it.
  void read(std::uint64_t n, Block& block) const {
    const auto offset = static_cast<off_t>(n % blocks_ * block_bytes_);
    const ssize_t found = ::pread(file_.get(), block.data(), block.size(), offset);
    if (found != static_cast<ssize_t>(block.size())) {
      if (found >= 0) errno = EIO;
      fail("read");
    }
  }

  void sync() const {
    if (::fdatasync(file_.get()) != 0) fail("fdatasync");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw Failure("diskprobe: cannot " + std::string(what) + " " + path_.string() + ": " + std::strerror(errno));
  }

  std::filesystem::path path_;
  std::size_t block_bytes_;
  std::uint64_t blocks_;
  Descriptor file_;
};

/// No more than are written, and fewer for a probe that is soon over, so that
/// making the file does not take longer than what is measured on it.
std::uint64_t blocks_for(const ProbeOptions& options, std::size_t block_bytes, std::uint64_t file_bytes_max) {
  const std::uint64_t most = file_bytes_max / block_bytes;
  std::uint64_t blocks = most;
  if (options.ops_max != 0) blocks = std::min(blocks, options.ops_max);
  if (options.duration_s > 0 && options.duration_s < k_whole_file_s) {
    const double part = options.duration_s / k_whole_file_s;
    blocks = std::min(blocks,
                      std::max<std::uint64_t>(static_cast<std::uint64_t>(part * static_cast<double>(most)), k_movers));
  }
  return blocks;
}

/// When a probe is over, for all who write.
class End {
 public:
  explicit End(const ProbeOptions& options)
      : clock_(Clock::get()),
        ops_max_(options.ops_max == 0 ? std::numeric_limits<std::uint64_t>::max() : options.ops_max),
        began_(clock_.ticks()),
        until_(options.duration_s > 0
                   ? began_ + static_cast<std::uint64_t>(options.duration_s * clock_.ticks_per_second())
                   : std::numeric_limits<std::uint64_t>::max()) {}

  [[nodiscard]] bool reached(std::uint64_t n) const noexcept {
    return n >= ops_max_ || clock_.ticks() >= until_ || interrupted();
  }

  [[nodiscard]] double seconds() const noexcept { return clock_.ns(clock_.ticks() - began_) / 1e9; }

 private:
  const Clock& clock_;
  std::uint64_t ops_max_;
  std::uint64_t began_;
  std::uint64_t until_;
};

/// One of those that write or read at the same time.
struct Mover {
  Histogram latency{};
  std::exception_ptr failure{};
};

enum class Direction { in, out };

void move_blocks(const ProbeFile& file, Direction direction, const End& end, std::atomic<std::uint64_t>& next,
                 Mover& mover) try {
  Block block(k_disk_write_bytes);
  const Clock& clock = Clock::get();
  // relaxed: a number alone; the threads are joined before anything else is read.
  for (std::uint64_t n = next.fetch_add(1, std::memory_order_relaxed); !end.reached(n);
       n = next.fetch_add(1, std::memory_order_relaxed)) {
    const std::uint64_t start = clock.ticks();
    if (direction == Direction::in) {
      file.read(n, block);
    } else {
      file.write(n, block);
    }
    mover.latency.record(clock.ticks() - start);
  }
} catch (...) {
  mover.failure = std::current_exception();
}

Outcome probe_blocks(const std::filesystem::path& directory, Direction direction, const ProbeOptions& options) {
  const ProbeFile file(directory, k_disk_write_bytes, blocks_for(options, k_disk_write_bytes, k_file_bytes_max));
  std::vector<Mover> movers(k_movers);
  std::atomic<std::uint64_t> next{0};
  Outcome outcome;
  const End end(options);
  {
    std::vector<std::jthread> threads;
    for (Mover& mover : movers) threads.emplace_back([&] { move_blocks(file, direction, end, next, mover); });
  }
  if (direction == Direction::out) file.sync();
  outcome.seconds = end.seconds();
  for (const Mover& mover : movers) {
    if (mover.failure) std::rethrow_exception(mover.failure);
    outcome.ops += mover.latency.count();
    outcome.latency.merge(mover.latency);
  }
  if (interrupted()) throw Interrupted{};
  return outcome;
}

}  // namespace

Outcome probe_disk_writes(const std::filesystem::path& directory, const ProbeOptions& options) {
  return probe_blocks(directory, Direction::out, options);
}

Outcome probe_disk_reads(const std::filesystem::path& directory, const ProbeOptions& options) {
  return probe_blocks(directory, Direction::in, options);
}

Outcome probe_disk_syncs(const std::filesystem::path& directory, const ProbeOptions& options) {
  const ProbeFile file(directory, k_disk_sync_bytes, blocks_for(options, k_disk_sync_bytes, k_sync_file_bytes_max));
  const Block block(k_disk_sync_bytes);
  const Clock& clock = Clock::get();
  Outcome outcome;
  const End end(options);
  for (; !end.reached(outcome.ops); ++outcome.ops) {
    const std::uint64_t start = clock.ticks();
    file.write(outcome.ops, block);
    file.sync();
    outcome.latency.record(clock.ticks() - start);
  }
  outcome.seconds = end.seconds();
  if (interrupted()) throw Interrupted{};
  return outcome;
}

}  // namespace bench
