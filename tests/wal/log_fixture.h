#pragma once

#include "base/epoch.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/threads.h"
#include "tests/support/wait.h"
#include "wal/log.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

/// What the log's tests are written in. No word of it asserts through Catch2:
/// failures are exceptions, so that any thread may use it.
namespace actable::test {

/// A record, as it was written or read back. By number, then by key.
struct Record {
  Seq seq = 0;
  std::string key{};
  std::string value{};
  std::uint32_t space = 1;
  bool tombstone = false;
  auto operator<=>(const Record&) const = default;
};
using Records = std::vector<Record>;

/// Those numbered below `cut`, in order.
[[nodiscard]] Records below(Seq cut, Records records);

/// How two contents differ, for people; empty if they do not.
[[nodiscard]] std::string difference(Records found, Records due);

/// Options for a log in small files, quick to write and never in a hurry to
/// sync by itself.
[[nodiscard]] Options log_options(LogIo io = LogIo::automatic);

/// The kinds of queue that this kernel has.
[[nodiscard]] std::vector<LogIo> every_log_io();

/// What replay finds on a disk that nobody writes to. Changes nothing.
struct Found {
  Records records;
  wal::LogEnd end;
};
[[nodiscard]] Result<Found> look(base::FileSystem& files, const Options& options);

/// A frame on a disk.
struct FrameOnDisk {
  std::string file;
  std::uint64_t offset;
  wal::FrameHeader header;
};

/// Every whole frame of the files' present generations, by generation and offset.
[[nodiscard]] std::vector<FrameOnDisk> frames_on(SimulatedDisk& disk, const Options& options);

/// A log from its opening to its end, and the threads' side of it.
///
/// Thread safety: *synchronized*, but for the construction and `close`.
class Life {
 public:
  /// Throws when the log does not open.
  Life(base::FileSystem& files, Options options);

  /// A `Life`, or why the log does not open.
  [[nodiscard]] static Result<std::unique_ptr<Life>> begin(base::FileSystem& files, const Options& options);

  /// What recovery delivered, by number.
  [[nodiscard]] const Records& recovered() const noexcept { return recovered_; }
  [[nodiscard]] Seq cut() const { return log_->recovery().cut; }
  [[nodiscard]] std::uint64_t hash_seed() const noexcept { return hash_seed_; }

  /// Stages the record; its number. `write` throws where `try_write` fails.
  Seq write(std::string key, std::string value);
  Seq erase(std::string key);
  [[nodiscard]] Result<Seq> try_write(std::string key, std::string value);

  /// Draws a number above `floor`.
  using Draw = std::function<Seq(Seq floor)>;

  /// Stages all under one number: the one that `number` returns, which is
  /// called pinned, draws as often as it needs to, and may publish.
  [[nodiscard]] Result<Seq> try_stage(Records records, const std::function<Seq(const Draw&)>& number = {});

  /// Waits until what is numbered up to `seq` is on disk.
  [[nodiscard]] Result<void> wait_durable(Seq seq) { return log_->wait_durable(seq + 1); }
  void write_durably(std::string key, std::string value) {
    must(wait_durable(write(std::move(key), std::move(value))));
  }

  /// Waits until what is staged is in the log's files, synced or not.
  void round();

  /// Everything written in this life, by number.
  [[nodiscard]] Records written() const;

  [[nodiscard]] wal::Log& log() noexcept { return *log_; }
  [[nodiscard]] bool idle() const noexcept { return log_->idle(); }
  [[nodiscard]] base::Epochs& epochs() noexcept { return epochs_; }
  [[nodiscard]] LogStats stats() const { return log_->stats(); }
  [[nodiscard]] Seq durable() const { return log_->durable(); }
  [[nodiscard]] Result<void> close() { return log_->close(); }

 private:
  Life() = default;
  [[nodiscard]] Result<void> open(base::FileSystem& files, const Options& options);

  base::Epochs epochs_;
  Records recovered_;
  std::uint64_t hash_seed_ = 0;
  std::unique_ptr<wal::Log> log_;
  mutable std::mutex mutex_;
  Records written_;
};

}  // namespace actable::test
