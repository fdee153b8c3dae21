#pragma once

#include <actable/options.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace actable {

/// What opening the store found. Zero in a new or a pure-memory store.
struct RecoveryStats {
  /// Every write numbered below it was recovered, none at or above it.
  Seq cut = 0;
  std::uint64_t records_applied = 0;
  /// Records that were in the log but not below the cut: writes that no sync
  /// had been promised for.
  std::uint64_t records_discarded = 0;
  std::uint64_t log_bytes = 0;
  /// Of the checkpoint that the log went on from; 0 without one. Records of the log that
  /// it held already do not count as applied.
  std::uint64_t checkpoint_records = 0;
  std::uint64_t checkpoint_bytes = 0;
  std::chrono::microseconds duration{0};
  /// True when the store before had been closed, not killed.
  bool clean = false;
};

struct LogStats {
  /// Empty in a pure-memory store, else "io_uring" or "pwrite".
  std::string io{};
  /// True when the ring knows the staging buffers in advance, which saves
  /// pinning them for each write.
  bool registered_buffers = false;
  /// True when the file system takes writes past its cache (`O_DIRECT`).
  bool direct_io = false;
  std::uint64_t rounds = 0;
  std::uint64_t syncs = 0;
  std::uint64_t frames = 0;
  std::uint64_t written_bytes = 0;
  /// Files that the log consists of, and their bytes up to its end: what recovery would
  /// read. A checkpoint lets go of those before it; they are spare until they are used
  /// again, or removed.
  std::uint64_t segments = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t segments_spare = 0;
  std::uint64_t spare_bytes = 0;
  /// Memory for writes on their way to the log, taken 1 MiB at a time.
  std::size_t staging_bytes = 0;
  /// Writers that had to wait for room, and those that gave up.
  std::uint64_t waits = 0;
  std::uint64_t overloads = 0;
  /// Priority of the log's thread: see `Options::log_nice`.
  int nice = 0;
  std::chrono::microseconds sync_duration_last{0};
  std::chrono::microseconds sync_duration_max{0};
  /// Syncs by how long they took: element i counts those of less than 2^i
  /// microseconds and not less than half of it, the last one all longer ones too.
  std::vector<std::uint64_t> sync_durations{};
};

/// See `Store::checkpoint`.
struct CheckpointStats {
  /// True while one is being written, and how much has been so far.
  bool running = false;
  std::uint64_t written_bytes = 0;
  /// How many this opening of the store has written, and how many it began and could not
  /// finish.
  std::uint64_t passes = 0;
  std::uint64_t failures = 0;
  /// Why the last one was not finished; empty when it was.
  std::string failure{};
  /// How long the last one took.
  std::chrono::microseconds duration{0};
  /// What is on disk, 0 without a checkpoint: how often a part of it was replaced in the
  /// life of the store, the highest number below which a part has every write, and its
  /// records and bytes.
  std::uint64_t serial = 0;
  Seq cut = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

/// What `Store::backup` has made.
struct BackupStats {
  /// Every write numbered below it is in the backup, none at or above it. Opened as a store
  /// the backup has it as `RecoveryStats::cut`.
  Seq cut = 0;
  /// Written now, and there already from an older backup.
  std::uint64_t copied_bytes = 0;
  std::uint64_t present_bytes = 0;
  std::chrono::microseconds duration{0};
};

struct MemoryStats {
  /// Taken from the operating system for records and tables.
  std::size_t reserved_bytes = 0;
  /// Part of it in use or in free lists; the rest was never touched.
  std::size_t carved_bytes = 0;
  /// Replaced records that a reader might still see.
  std::size_t retired_bytes = 0;
  /// How often live records were moved together, so that the rest could go back to
  /// the operating system, and how much has gone back so. Done by maintenance, which
  /// the store's actors drive (`actors.h`), when less than half of what is carved is
  /// live, and either the live bytes have fallen by half or twice as much is carved
  /// as when the last one ended (32 MiB at least); and for less once live bytes that
  /// have fallen by a fourth stand still, where that takes little memory.
  std::uint64_t compactions = 0;
  std::size_t returned_bytes = 0;
  /// True while that is under way: up to twice the live records are there then.
  bool compacting = false;
};

/// A snapshot of counters, each exact by itself; two of them may be of
/// slightly different moments.
/// What `Store::heal` did.
struct Healed {
  /// False: the log had not failed, and nothing was done.
  bool began_anew = false;
  /// As `Store::durable_seq`, at the end.
  Seq durable = 0;
  /// Of the writes numbered from it on, which had been made when the log failed, it was
  /// open whether they were on disk. All of them are now. 0 if nothing was done.
  Seq open_from = 0;
  /// In the new checkpoint: records of all logged spaces, the list of the spaces
  /// included, and the bytes of its files.
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

struct StoreStats {
  Seq last_seq = 0;
  Seq durable_seq = 0;
  /// Since the log's thread took up the oldest write that is not yet on disk, or,
  /// held up by a slow disk, last looked for writes; 0 when all are on disk.
  std::chrono::microseconds durable_lag{0};
  /// True after a failed write or sync of the log, until `Store::heal`, and after too
  /// many crashes of an actor; `read_only_reason` says which.
  bool read_only = false;
  std::string read_only_reason{};
  /// How often `Store::heal` gave this opening of the store another log.
  std::uint64_t heals = 0;
  RecoveryStats recovery{};
  LogStats log{};
  CheckpointStats checkpoint{};
  MemoryStats memory{};
  /// Places of threads that have used this store and are taken by a live
  /// thread, at most `k_threads_max`; ended threads leave theirs to new ones.
  unsigned threads = 0;
  std::uint64_t epoch = 0;
  /// Oldest epoch that a thread inside an operation announces; equals `epoch`
  /// when none lags.
  std::uint64_t epoch_pinned_oldest = 0;
  /// Operations that two calls of `stats`, a second or more apart, both found
  /// inside the store.
  std::uint64_t pins_long = 0;
  /// False where `membarrier` is missing: every operation then pays a fence.
  bool membarrier = false;
  std::size_t spaces = 0;
};

struct ShardStats {
  std::size_t keys = 0;
  std::size_t payload_bytes = 0;
};

struct SpaceStats {
  std::size_t keys = 0;
  /// Keys and values as the caller gave them.
  std::size_t payload_bytes = 0;
  /// Records, with their headers and rounding.
  std::size_t record_bytes = 0;
  /// Directory and segments.
  std::size_t table_bytes = 0;
  std::size_t segments = 0;
  std::uint64_t splits = 0;
  std::uint64_t rebuilds = 0;
  /// Segments that maintenance made of two that erasures had left nearly empty.
  std::uint64_t merges = 0;
  /// Erased keys whose place in the table is still kept, for the number of the
  /// erasure; maintenance drops them when no write can be numbered below it.
  std::size_t tombstones = 0;
  /// How evenly the keys lie on the shards. The entropy of their shares, over that
  /// of equal shares: 1 when all have as many, 0 when one has all. And the keys of
  /// the fullest shard over the mean: 1 when all have as many. Both 1 without keys.
  double shard_entropy = 1;
  double shard_max_over_mean = 1;
  bool logged = true;
  /// One for each of `Options::shards`.
  std::vector<ShardStats> shards{};
};

}  // namespace actable
