#pragma once

#include "benchmarks/runner.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>

/// What the disk itself can do, so that figures of engines can be told apart
/// from it. Neither probe knows of any engine.
namespace bench {

/// Of a sequential write or read: past it no disk gets faster.
inline constexpr std::size_t k_disk_write_bytes = std::size_t{1} << 20;
/// Of a write that is synced: the smallest that a log makes.
inline constexpr std::size_t k_disk_sync_bytes = std::size_t{4} << 10;

/// How long a probe goes on.
struct ProbeOptions {
  /// Blocks; 0: no end but the time.
  std::uint64_t ops_max = 0;
  /// 0: no end but the blocks.
  double duration_s = 0;
};

/// Writes blocks of `k_disk_write_bytes` one after the other, past the cache
/// (`O_DIRECT`), a few at a time so that the disk is never without work. They go
/// round in a file that was written once before, as a log's reused segments.
/// The time includes the sync at the end. Latency is that of a block among the
/// others.
///
/// Throws `Failure` where the file system takes no such writes or has no room,
/// and `Interrupted`. The file is gone afterwards.
[[nodiscard]] Outcome probe_disk_writes(const std::filesystem::path& directory, const ProbeOptions& options);

/// Reads such a file round and round, from its beginning, in blocks of the same size, as
/// many at a time. Otherwise as `probe_disk_writes`.
[[nodiscard]] Outcome probe_disk_reads(const std::filesystem::path& directory, const ProbeOptions& options);

/// Writes `k_disk_sync_bytes` and syncs, again and again: the least that a
/// synchronous write can take. Latency is that of both together. Otherwise as
/// `probe_disk_writes`.
[[nodiscard]] Outcome probe_disk_syncs(const std::filesystem::path& directory, const ProbeOptions& options);

}  // namespace bench
