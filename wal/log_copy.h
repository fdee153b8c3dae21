#pragma once

#include "base/block_appender.h"
#include "base/file.h"
#include "wal/format.h"
#include "wal/frame_reader.h"
#include "wal/identity.h"

#include <actable/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace actable::wal {

/// What there is of a segment in a copy.
///
/// Thread safety: *confined*.
struct CopiedSegment {
  std::uint64_t generation = 0;
  /// Header and frames; the file ends there.
  std::uint64_t bytes = 0;
  /// Of the checksums of its frames, each salted with that of those before it.
  std::uint64_t checksum = 0;

  bool operator==(const CopiedSegment&) const = default;
};

/// Of a segment in a copy: by its generation, so that no two uses of a file have one name.
[[nodiscard]] std::string copied_segment_name(std::uint64_t generation);

/// Copies the log of a store that may be open, from its beginning up to a marker. Each
/// frame is held to its checksum, number, generation and era, as recovery holds it. A
/// prefix that ends with a marker is a log that opens: no frame in it says "durable" of
/// more than that marker's cut, for a frame is numbered after the marker that it speaks of.
///
/// What lies behind the marker, in files that the log's thread goes on writing, is not
/// looked at but for headers; those of the segments that are needed do not change as long
/// as the log is held (`Log::hold_segments`).
///
/// Thread safety: *confined*; used once.
class LogCopy {
 public:
  struct Directories {
    const std::filesystem::path& from;
    const std::filesystem::path& to;
  };
  /// What is told on the way. Each may fail, to end the copying with that error.
  struct Events {
    /// Before each frame.
    std::function<Result<void>()> look;
    /// Before a segment that was said to be there is copied anew.
    std::function<Result<void>(std::uint64_t generation)> replacing;
    /// A segment is in the copy as far as it is needed: synced, its name perhaps not.
    std::function<Result<void>(const CopiedSegment&)> copied;
  };

  /// `marker`: the number of a frame that is on disk with all before it.
  LogCopy(base::FileSystem& files, Directories directories, const Identity& identity, std::uint64_t marker,
          const Events& events);

  /// Copies what is not in the copy yet. `there`: what a call before said of it, and what
  /// is synced; it is read here too, to see that it is how this log begins, and not written. Fails with
  ///   corrupt   a frame that is on disk is damaged, or missing: names file and offset
  ///   io_error, no_memory
  ///   or what was told failed with
  [[nodiscard]] Result<void> run(std::span<const CopiedSegment> there);

  /// Of the marker: every write numbered below it is in the copy, and none other is said to be.
  [[nodiscard]] Seq cut() const noexcept { return cut_; }
  [[nodiscard]] const std::vector<CopiedSegment>& segments() const noexcept { return segments_; }
  [[nodiscard]] std::uint64_t copied_bytes() const noexcept { return copied_bytes_; }
  [[nodiscard]] std::uint64_t present_bytes() const noexcept { return present_bytes_; }

 private:
  struct Source {
    std::filesystem::path path;
    SegmentHeader header;
  };
  /// Where the reading has come to.
  struct Place {
    std::size_t source = 0;
    std::uint64_t offset = 0;
    std::uint64_t next_frame = 0;
    std::uint64_t era = 0;
  };

  [[nodiscard]] Result<void> find_sources();
  [[nodiscard]] std::optional<std::size_t> first() const;
  [[nodiscard]] std::optional<std::size_t> successor() const;
  [[nodiscard]] Result<void> enter(std::size_t source, std::span<const CopiedSegment> there);
  [[nodiscard]] Result<bool> pass_over(const CopiedSegment& there);
  [[nodiscard]] Result<bool> is_there(const CopiedSegment& there) const;
  [[nodiscard]] Result<void> begin_anew();
  [[nodiscard]] Result<std::optional<ReadFrame>> next_frame();
  void went_over(const ReadFrame& frame);
  [[nodiscard]] Result<void> append(const ReadFrame& frame);
  [[nodiscard]] Result<void> finish_segment();
  [[nodiscard]] std::unexpected<Error> missing_frame() const;

  base::FileSystem& files_;
  const std::filesystem::path from_;
  const std::filesystem::path to_;
  const Identity identity_;
  const std::uint64_t marker_;
  const Events& events_;
  std::vector<Source> sources_;
  std::unique_ptr<base::File> file_;
  std::unique_ptr<FrameReader> reader_;
  Place at_;
  CopiedSegment segment_;
  // Null while nothing of the segment has to be written.
  std::unique_ptr<base::BlockAppender> writer_;
  std::vector<CopiedSegment> segments_;
  Seq cut_ = 0;
  std::uint64_t copied_bytes_ = 0;
  std::uint64_t present_bytes_ = 0;
};

}  // namespace actable::wal
