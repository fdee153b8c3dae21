#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

namespace actable {

/// Position of a write in the order of all writes of a store. Higher is later
/// for one key. Unique over the store's whole life, restarts included;
/// increasing but not dense. 0 is never the number of a write. (Only writes to
/// memory-only spaces, hours after the log failed, may be given numbers that
/// come again after a restart.)
using Seq = std::uint64_t;

/// Limits of what a store takes. Beyond them an operation is refused with
/// `too_large` or `invalid_argument`.
inline constexpr std::size_t k_key_bytes_max = 65'535;
inline constexpr std::size_t k_value_bytes_max = std::size_t{4} << 20;
inline constexpr std::size_t k_space_name_bytes_max = 255;
/// Keys, values and 32 bytes a record, all together, in one batch.
inline constexpr std::size_t k_batch_bytes_max = std::size_t{32} << 20;
/// Threads that have touched a store and have not ended, process-wide.
inline constexpr unsigned k_threads_max = 4'096;
inline constexpr unsigned k_shards_max = 4'096;

enum class LogLevel { debug, info, warning, error };

/// When a write is on disk.
enum class Durability {
  /// On disk within `Options::sync_interval`, or `Options::write_interval` and
  /// one sync of the disk where they take longer, plus one sync. The call
  /// returns at memory speed.
  async,
  /// On disk when the call returns. Callers that wait at the same time share
  /// one sync.
  sync,
};

/// How the log reaches the disk.
enum class LogIo {
  /// io_uring where the kernel offers it, else `pwrite`.
  automatic,
  /// io_uring or refuse to open with `unsupported`.
  io_uring,
  /// `pwrite` and `fdatasync` from the log's thread.
  pwrite,
};

/// What a checkpoint's files look like.
enum class CheckpointCompression {
  /// Records as they are.
  none,
  /// Compressed by zstd, where that makes a file shorter.
  zstd,
};

/// How far the opening of a store has come.
struct RecoveryProgress {
  /// Of the checkpoint's and the log's files. Grows from one report to the next.
  std::uint64_t bytes_read = 0;
  /// The same in every report of one opening. The last of the log's files may end
  /// before its end, so that the rest is then read at once.
  std::uint64_t bytes_total = 0;
  /// What the rest will take, judged by what came before; empty before anything was
  /// read.
  std::optional<std::chrono::milliseconds> left{};
};

/// What a store is opened with. Every field has a default that suits a service
/// with a few gigabytes of data.
///
/// Thread safety: *confined* to whoever fills it in; the store keeps a copy.
struct Options {
  /// Where the log lives. Created when missing (its parent must exist). Empty:
  /// pure memory, no log, nothing survives the process.
  std::filesystem::path directory{};

  /// Parts that each space is divided into for maintenance and statistics; a
  /// power of two up to `k_shards_max`. More parts mean shorter maintenance
  /// steps and finer statistics. 0: four for each core, rounded up.
  unsigned shards = 0;

  /// How long the log gathers writes before it hands them to the disk (1 ms to
  /// 10 s). Shorter loses less in a crash of the process; longer writes fewer
  /// and fuller blocks.
  std::chrono::milliseconds write_interval{10};

  /// How long a write may stay unsynced (`write_interval` to 60 s). Shorter
  /// loses less in a crash of the machine; each sync costs the disk a flush.
  /// Under steady writing there is one in each `sync_interval` less the
  /// `write_interval` that a write may have been gathered for: with both alike
  /// one for each round.
  std::chrono::milliseconds sync_interval{100};

  /// Size of a log file (1 MiB to 4 GiB, a multiple of 4 KiB). Larger files
  /// are changed less often; smaller ones give disk space back sooner.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;

  /// Memory that may hold writes on their way to the disk, beyond one
  /// buffer for each writing thread (1 MiB to 4 GiB). More rides out longer
  /// stalls of the disk before writers wait. A buffer has 256 KiB if nothing is set:
  /// the largest power of two that is at most a 256th of this and a 16th of
  /// `segment_bytes`, within 64 and 256 KiB.
  std::size_t staging_bytes = std::size_t{64} << 20;

  /// How long a writer waits for room while the disk is slower than the
  /// writers, before `overloaded` (0 to 1 h; 0 never waits).
  std::chrono::milliseconds write_deadline{5'000};

  /// Memory that overwritten records may hold while a stopped thread might
  /// still read them (1 MiB to 64 GiB). Past it writers yield the processor
  /// before they begin, so that the stopped thread gets to run.
  std::size_t retired_bytes = std::size_t{64} << 20;

  LogIo log_io = LogIo::automatic;

  /// Priority of the log's thread, a nice value (-20 to 0; 0: that of the thread
  /// that opens the store). The thread has its share of the processors and no
  /// more; among dozens of busy threads that is too little for what all of them
  /// write, and it takes longer until writes are on disk. A process without the
  /// right to it (CAP_SYS_NICE, or RLIMIT_NICE) goes on without;
  /// `LogStats::nice` says what came of it.
  int log_nice = -10;

  /// A checkpoint (`Store::checkpoint`) is *due* so long after the last one ended, or
  /// after opening, if anything was written meanwhile (1 s to 365 days; 0: never for
  /// that reason). Due ones are written by the store's actors (<actable/actors.h>), or
  /// by `Store::checkpoint_if_due`. A shorter interval has an opening read less of the
  /// log; each checkpoint reads all that the logged spaces hold and writes it to disk.
  std::chrono::milliseconds checkpoint_interval{300'000};

  /// And as soon as the log has so many hundredths of what a checkpoint of the data
  /// takes without compression (10 to 100'000; 0: never for that reason), but not below
  /// `checkpoint_log_bytes_min`. Data, log and what comes to the log while a checkpoint
  /// is written lie on disk together: with 50 that is 1.5 times the data and that third
  /// part. With more a store that is overwritten all the time writes less: of each byte
  /// that it logs, 100 / this many more for checkpoints.
  unsigned checkpoint_log_percent = 50;

  /// See above (1 MiB to 1 TiB). It is what a small store has on disk, and reads when
  /// it is opened.
  std::uint64_t checkpoint_log_bytes_min = std::uint64_t{128} << 20;

  /// How much of the disk a checkpoint may take, in bytes per second (1 MiB or more; 0:
  /// no limit). The log grows meanwhile, so a limit below what is being logged leads to
  /// a log, and to a checkpoint, without end.
  std::uint64_t checkpoint_bytes_per_second = 0;

  /// Priority of the thread that writes due checkpoints, a nice value (0 to 19; 0: that
  /// of the thread that starts the actors). With 5 it has a third of the share of
  /// each busy thread, and a whole processor where one is free. More takes less from the
  /// others, and longer.
  int checkpoint_nice = 5;

  /// Whether checkpoints are compressed, those of `Store::heal` too. It saves disk, and
  /// costs whoever writes a checkpoint processor time. Any store reads both kinds, whatever
  /// is said here; a checkpoint that is there stays as it was written.
  CheckpointCompression checkpoint_compression = CheckpointCompression::none;

  /// How much time zstd takes to save disk (1 to 19): more is shorter and slower.
  /// docs/measurements.md has figures.
  int checkpoint_compression_level = 1;

  /// Write a checkpoint when the store is closed, if anything was written since the last
  /// one: the next opening reads no log. Closing takes as long as that.
  bool checkpoint_at_close = false;

  /// Fail with `not_found` instead of creating a missing store.
  bool create_if_missing = true;

  /// Serve `actable-shell` on a socket `debug.sock` in the directory: the
  /// process's user and root can then look into the running store, and change
  /// what it holds. Costs a thread that sleeps while nobody asks. It is the
  /// store's actors that serve it: for `start` in <actable/actors.h>, while
  /// `Store::open` refuses it with `unsupported`, and a store without a directory
  /// with `invalid_argument`.
  bool debug_socket = false;

  /// Told how far the opening has come, some ten times a second at most, and once at its
  /// end, when all is read. Called from any thread, one at a time, while `open` has not
  /// returned; the opening waits for it, so it should be short. Must not call the store,
  /// and not throw. A store without a directory has nothing to read, and calls nothing.
  /// Empty: nothing is told.
  std::function<void(const RecoveryProgress&)> progress{};

  /// Called for what an operator should know: recovery, a failing disk. May be
  /// called from any thread, the log's own among them; must not call the store, and not throw.
  /// Empty: nothing is reported.
  std::function<void(LogLevel, std::string_view)> log{};
};

struct WriteOptions {
  Durability durability = Durability::async;
  /// True: where the write would have to wait for room, because the disk is
  /// slower than the writers, it is refused with `overloaded` at once. For
  /// callers that must not block; `Options::write_deadline` is for the others.
  bool no_wait = false;
};

struct SpaceOptions {
  /// False: the space lives in memory only, like an ETS table, even in a store
  /// with a directory. It is faster to write and is gone after a restart.
  bool logged = true;
};

}  // namespace actable
