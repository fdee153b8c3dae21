#pragma once

#include "base/file.h"
#include "wal/format.h"
#include "wal/identity.h"

#include <actable/result.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace actable::wal {

/// A file of the log, named by a number that its header repeats and that says
/// nothing of its place in the log.
///
/// It is open only while it is used: a log may have more segments than a
/// process may have descriptors.
///
/// Thread safety: *confined*.
struct SegmentFile {
  std::uint64_t file_number = 0;
  std::filesystem::path path;
  SegmentHeader header{};
  /// What the header was when the file was found.
  HeaderState state = HeaderState::broken;
  std::uint64_t bytes = 0;
  /// False for a file that bears a segment's name and holds something else: it
  /// is read when damage is looked for, and never written.
  bool ours = true;
  base::FileSystem* files = nullptr;
  std::unique_ptr<base::File> file{};

  /// Opens the file unless it is open. Fails with io_error.
  [[nodiscard]] Result<base::File*> opened();
  void close() noexcept { file.reset(); }
};

[[nodiscard]] std::string segment_file_name(std::uint64_t file_number);

/// Reads the headers of all segment files of the directory. Other files are
/// left alone. Fails with io_error, or unsupported for a segment of a newer
/// version, corrupt for one of another store or with another file's header.
[[nodiscard]] Result<std::vector<SegmentFile>> list_segments(base::FileSystem& files,
                                                             const std::filesystem::path& directory,
                                                             std::uint64_t store_id);

/// Where frames go: the segment being written, those before it, and spare ones
/// to be used again.
///
/// A frame never goes into a block that an earlier frame of the same generation
/// used, but for void ones: after a crash the next era's frames take the place
/// of those behind the last marker.
///
/// Blocks are zero-filled ahead of their use where there is time: on ext4 a
/// sync after writing a fresh block took 1.6 to 2.7 ms at the 99th percentile,
/// after writing a pre-written one 0.22 ms.
///
/// Thread safety: *confined* to the opening thread, then to the log's.
class Segments {
 public:
  struct Place {
    base::File* file;
    std::uint64_t offset;
    std::uint64_t generation;
  };

  Segments(base::FileSystem& files, std::filesystem::path directory, std::uint64_t store_id,
           std::uint64_t segment_bytes);

  /// Takes over what recovery found: `live` in the order of generations, the
  /// last of which is open and goes on at `offset`; `spare` to be used again, as
  /// far as the files are ours. The segments begun from now on are of `era`.
  void take_over(std::vector<SegmentFile> live, std::uint64_t offset, std::vector<SegmentFile> spare,
                 std::uint64_t era);

  /// Begins beside what the directory holds, of which no file is used: the next segment
  /// is a new file, of a generation in the middle of those of `era`. Fails with io_error.
  [[nodiscard]] Result<void> begin_beside(std::uint64_t era);

  /// Removes all files, the spare ones and one that could not be made whole too. What
  /// cannot be removed stays; nothing is done with this object any more.
  void remove_all() noexcept;

  /// A place for a frame of `bytes` (a multiple of the block), in the next
  /// segment if this one has no room. Fails with io_error.
  [[nodiscard]] Result<Place> place(std::uint64_t bytes, std::uint64_t frame_number, std::uint64_t era);

  /// Zero-fills a piece of the blocks to come, unless enough are; once a frame
  /// has a place. True when it did.
  [[nodiscard]] Result<bool> prewrite();

  /// Files that hold unsynced bytes, for a sync that begins now. Those whose
  /// frames, all up to `completed_through`, are written are forgotten.
  [[nodiscard]] std::vector<base::File*> take_dirty(std::uint64_t completed_through);

  /// Closes the files of segments that are full and have nothing unsynced. No
  /// sync is in flight.
  void close_full();

  /// Generation and first frame of the segment that the log would begin with after
  /// `release_before`.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> beginning_at(std::uint64_t frame_number) const;

  /// Segments that begin before the frame and whose successor begins at or before
  /// it become spare, but never the one being written.
  void release_before(std::uint64_t frame_number);

  /// Removes a spare file, where they are more than `bytes_max` together. True when
  /// there may be another. One that cannot be removed is left, and not used again
  /// before the next opening.
  [[nodiscard]] bool remove_surplus(std::uint64_t bytes_max) noexcept;

  [[nodiscard]] std::size_t live_count() const noexcept { return live_.size(); }
  [[nodiscard]] std::size_t spare_count() const noexcept { return spare_.size(); }
  /// From the log's beginning to the end of its last frame.
  [[nodiscard]] std::uint64_t live_bytes() const noexcept;
  [[nodiscard]] std::uint64_t spare_bytes() const noexcept;
  /// Once a frame has a place.
  [[nodiscard]] bool direct() const noexcept { return live_.back().file->direct(); }

 private:
  [[nodiscard]] Result<void> begin_segment(std::uint64_t frame_number, std::uint64_t era, std::uint64_t bytes_min);
  [[nodiscard]] Result<SegmentFile> create_file(std::uint64_t bytes);
  void mark_dirty(base::File* file, std::uint64_t frame_number);

  base::FileSystem& files_;
  const std::filesystem::path directory_;
  const std::uint64_t store_id_;
  const std::uint64_t segment_bytes_;
  std::deque<SegmentFile> live_;
  std::vector<SegmentFile> spare_;
  // A file that was created and is not a segment yet; closed, number 0 for none.
  SegmentFile unfinished_;
  struct Dirty {
    base::File* file;
    std::uint64_t last_frame;
  };
  std::vector<Dirty> dirty_;
  std::uint64_t offset_ = 0;
  std::uint64_t prewritten_ = 0;
  std::uint64_t generation_last_ = 0;
  std::uint64_t file_number_tried_ = 0;
  // Numbers of files found, ours or not.
  std::set<std::uint64_t> taken_numbers_;
};

}  // namespace actable::wal
