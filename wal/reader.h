#pragma once

#include "wal/delivery.h"
#include "wal/format.h"
#include "wal/identity.h"
#include "wal/segments.h"

#include <actable/result.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

/// Reading the log back.
///
/// Frames are read in the order of their numbers, from the segment that
/// `Identity` names, each segment up to the frame that the next one begins
/// with. Records wait until a marker says that they are below a cut; what still
/// waits at the end, or when a recovery frame is met, is void.
///
/// The first frame that is not whole ends the log. Whether that is a torn tail
/// or damage is decided by the highest durable number that any whole frame
/// carries, those behind the end included: if it is above the cut reached, a
/// frame is gone that had been synced. So it is if a frame behind the end is of
/// a later era than the end: its era's recovery frame had been synced.
namespace actable::wal {

/// What replay found, and where the log goes on.
struct LogEnd {
  /// Every record numbered below it was delivered, none at or above it.
  Seq cut = 0;
  /// Above every number in the log.
  Seq numbers_end = 0;
  std::uint64_t era = 0;
  std::uint64_t next_frame = 0;
  /// Index in the segments given of the one that the last marker lies in, and
  /// the offset behind that marker.
  std::size_t segment = 0;
  std::uint64_t offset = 0;
  bool clean = false;

  std::uint64_t records_applied = 0;
  std::uint64_t records_discarded = 0;
  std::uint64_t bytes = 0;
  /// Indices of the segments that the log goes through, in its order.
  std::vector<std::size_t> live;
};

/// Told of bytes of the log's files that were read, or need not be.
using Passed = std::function<void(std::uint64_t bytes)>;

/// Bytes of the files that a log may go through, at most.
[[nodiscard]] std::uint64_t log_bytes_max(const Identity& identity, std::span<const SegmentFile> segments) noexcept;

/// Delivers every record below the last cut, in the order of the log, which is
/// not that of the numbers; with `help` a long log's in any order, by several threads,
/// all of which have ended when it returns. A long log is read ahead. `directory` is
/// where the segments should be. Fails with
///   corrupt   naming file, offset and what to do; records may have been delivered
///   io_error
///   or what `apply` failed with
[[nodiscard]] Result<LogEnd> replay(const std::filesystem::path& directory, const Identity& identity,
                                    std::span<SegmentFile> segments, const Apply& apply, const Help& help = {},
                                    const Passed& passed = {});

}  // namespace actable::wal
