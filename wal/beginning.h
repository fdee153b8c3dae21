#pragma once

#include "base/file.h"
#include "wal/segments.h"

#include <actable/options.h>
#include <actable/result.h>

#include <cstdint>
#include <filesystem>
#include <memory>

/// A log that begins anew, in the place of one that has failed.
///
/// Its first segment is written beside the old log: a new file, whose first frame is a
/// recovery frame. It counts from the moment at which a checkpoint's manifest names it
/// (checkpoint::Manifest::log_generation), and not before:
///
/// *Until then it is no part of the old log.* The old log had come to frame n at most,
/// the new one's first is n + 1; so what replay of the old log looks for next is never
/// the number of the new one's first frame, and it does not go over into it. The next
/// life of the old log is of an era above that of every header in the directory, so it
/// does not do so later either. Had the header been lost, with the era in it, that life's
/// generations are below those of the new log, whose generations begin in the middle of
/// its era's: so no frame that is left of the new log passes for one of that life.
///
/// *Nor does it speak against the old log.* What lies behind the end of a log is evidence
/// of damage if it shows a durable number above the end's cut, or a frame of a later era
/// that is not its recovery frame (wal/reader.h). The recovery frame here shows durable
/// number 0, and until the manifest names the segment nothing else is written to it.
///
/// *From then on the old log is gone.* Its generations are older than the log's first:
/// its segments are spare.
namespace actable::wal {

/// Thread safety: *confined*.
struct Beginning {
  /// With one segment, which has its first frame, on disk.
  std::unique_ptr<Segments> segments{};
  std::uint64_t era = 0;
  std::uint64_t generation = 0;
  std::uint64_t first_frame = 0;
  /// Its first frame's: all records to come are numbered from it on.
  Seq cut = 0;
};

/// What a new beginning is to be: above all that the old log has.
struct BeginningNumbers {
  std::uint64_t store_id;
  std::uint64_t era;
  std::uint64_t first_frame;
  Seq cut;
};

/// Writes and syncs the first segment, in a new file. Fails with io_error or no_memory;
/// the file is then removed, if that is possible. What has come of it is spare to the
/// next opening.
[[nodiscard]] Result<Beginning> write_beginning(base::FileSystem& files, const std::filesystem::path& directory,
                                                std::uint64_t segment_bytes, const BeginningNumbers& numbers);

}  // namespace actable::wal
