#pragma once

#include "base/file.h"
#include "checkpoint/manifest.h"
#include "shell/failure.h"
#include "wal/format.h"
#include "wal/identity.h"
#include "wal/reader.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Reading what is left of a store whose files are damaged. Nothing is taken but
/// from frames and blocks whose checksums hold. docs/repair.md says what counts.
namespace shell {

/// A part of the files that cannot be read.
struct Damage {
  /// Its name in the store's directory. Empty: it is not there, and its name is not known.
  std::string file{};
  std::uint64_t offset = 0;
  /// 0: not known.
  std::uint64_t bytes = 0;
  std::string what{};
  /// So many at most were in it, where that is known.
  std::optional<std::uint64_t> records{};
  /// What was lost is numbered from here on and below that; `to` 0: not known how far, both: not known at all.
  actable::Seq from = 0;
  actable::Seq to = 0;
  /// False: the store held nothing there that is not read from elsewhere.
  bool lost = true;
  /// What it was is in the checkpoint: lost where that is not whole.
  bool replaced = false;

  /// Whether any of these bytes of the file are in it; all may be where none are named.
  [[nodiscard]] bool covers(std::uint64_t begin, std::uint64_t end) const noexcept {
    return (offset == 0 && bytes == 0) || (offset < end && begin < offset + bytes);
  }
};

/// For a file that cannot be read at all; or it was interrupted.
[[nodiscard]] std::unexpected<Failure> cannot_read(const actable::Error& error);

/// The log, as far as whole frames of it are left.
///
/// Thread safety: *confined*.
class LogSalvage {
 public:
  LogSalvage(actable::base::FileSystem& files, std::filesystem::path directory)
      : files_(files), directory_(std::move(directory)) {}

  /// Reads the beginnings of all segments. Fails where a file cannot be read, or is
  /// of a newer version.
  [[nodiscard]] Got<void> list();
  /// The store that most segments say they are of; none where none does.
  [[nodiscard]] std::optional<std::uint64_t> store_id() const;
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  /// The size that segments were made with; 0 where nothing tells.
  [[nodiscard]] std::uint64_t segment_bytes() const noexcept;

  /// Looks for every whole frame of the store. Fails where a file cannot be read.
  [[nodiscard]] Got<void> scan(std::uint64_t store_id);

  /// Puts the frames into the order of the log. `identity` is what `STORE` says, where
  /// it can be read; `needed` is the first frame that the checkpoint does not replace.
  void follow(const std::optional<actable::wal::Identity>& identity, std::uint64_t needed);

  /// Whether the log may have gone on in that segment, before `end`, where it cannot be
  /// read: false for what is no segment.
  [[nodiscard]] bool may_go_on_in(const std::string& file, std::uint64_t end) const;

  /// Delivers every record that counts, in the log's order; as often as wanted.
  [[nodiscard]] Got<void> deliver(const actable::wal::TakeRecord& take);

  /// Every record that counts is numbered below it.
  [[nodiscard]] actable::Seq cut() const noexcept { return cut_; }
  /// Of what is numbered from here on nothing is missing, but for what lay in frames
  /// before `needed`.
  [[nodiscard]] actable::Seq settled() const noexcept { return settled_; }
  /// The same without that exception.
  [[nodiscard]] actable::Seq settled_in_all() const noexcept { return settled_in_all_; }
  /// True when every frame since the store was made is there.
  [[nodiscard]] bool from_the_first() const noexcept { return from_the_first_; }
  /// Whole records that do not count: no marker says that all before them had come.
  [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_; }
  /// In the order of the log. Those before `needed` lost nothing if the checkpoint is whole.
  [[nodiscard]] const std::vector<Damage>& damages() const noexcept { return damages_; }

 private:
  struct Segment {
    std::string name;
    std::uint64_t bytes = 0;
    std::optional<std::uint64_t> store_id;
    actable::wal::HeaderState state = actable::wal::HeaderState::broken;
    actable::wal::SegmentHeader header{};
    bool used = false;
  };
  /// Frames that lie one behind the other, with numbers without gaps, of one era.
  struct Run {
    std::size_t segment;
    std::uint64_t generation;
    std::uint64_t era;
    std::uint64_t first;
    std::uint64_t frames;
    std::uint64_t begin;
    std::uint64_t end;
    /// The first of them is an era's first.
    bool recovery;
    actable::Seq durable;
    /// The cut of its first marker, the first other one, the last; 0: none.
    actable::Seq first_cut;
    actable::Seq second_cut;
    actable::Seq last_cut;
    [[nodiscard]] std::uint64_t last() const noexcept { return first + frames - 1; }
  };
  /// A run as a part of the log: what is numbered below the cut counts.
  struct Part {
    Run run;
    actable::Seq cut = 0;
  };
  /// Where following the log has come to.
  struct At;

  [[nodiscard]] Got<void> scan(std::size_t segment, std::uint64_t store_id);
  void add(std::size_t segment, std::uint64_t offset, const actable::wal::FrameHeader& header);
  [[nodiscard]] const Run* next(const At& at) const;
  [[nodiscard]] const Run* behind(const At& at) const;
  void note_gap(const At& at, const Run& to, std::uint64_t needed);
  void take(At& at, const Run& run, bool gap);
  void end_era(At& at, bool gap);
  [[nodiscard]] Got<void> read_frames(const Run& run,
                                      const std::function<actable::Result<void>(const actable::wal::LogRecord&)>& take);

  actable::base::FileSystem& files_;
  const std::filesystem::path directory_;
  std::uint64_t store_id_ = 0;
  std::vector<Segment> segments_;
  std::vector<Run> runs_;
  std::vector<Part> log_;
  std::vector<Damage> damages_;
  actable::Seq cut_ = 0;
  actable::Seq settled_ = 0;
  actable::Seq settled_in_all_ = 0;
  bool from_the_first_ = false;
  std::uint64_t discarded_ = 0;
};

/// A checkpoint's files, as far as whole blocks of them are left.
///
/// Thread safety: *confined*.
class CheckpointSalvage {
 public:
  CheckpointSalvage(actable::base::FileSystem& files, std::filesystem::path directory)
      : files_(files), directory_(std::move(directory)) {}

  /// The store that a file says it is of; none where there is none that does.
  [[nodiscard]] Got<std::optional<std::uint64_t>> store_id();
  /// Looks for the manifest and the files. Fails where one is of a newer version.
  [[nodiscard]] Got<void> find(std::uint64_t store_id, const std::optional<actable::wal::Identity>& identity);

  /// None where there is none, or it is damaged: then all files there are count.
  [[nodiscard]] const std::optional<actable::checkpoint::Manifest>& manifest() const noexcept { return manifest_; }
  /// There is none, and there should be.
  [[nodiscard]] bool manifest_lost() const noexcept { return manifest_lost_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept;

  /// Shows every record of a whole block that counts; as often as wanted.
  using Take = std::function<actable::Result<void>(const actable::checkpoint::Record&)>;
  [[nodiscard]] Got<void> deliver(const Take& take);

  /// Once all was delivered: whether all that a group had was.
  [[nodiscard]] bool whole(unsigned group) const noexcept;
  [[nodiscard]] const std::vector<Damage>& damages() const noexcept { return damages_; }

 private:
  class Blocks;
  class Pieces;
  [[nodiscard]] Got<void> read(const actable::checkpoint::FileEntry& entry, bool named, const Take& take);
  [[nodiscard]] Got<std::uint64_t> read(Blocks& blocks, const actable::checkpoint::FileEntry& entry,
                                        std::vector<Damage>& found, const Take& take);
  [[nodiscard]] bool counts(const actable::checkpoint::Record& record,
                            const actable::checkpoint::FileEntry& entry) const;
  void broken(const actable::checkpoint::FileEntry& entry, std::vector<Damage> found,
              std::optional<std::uint64_t> records);
  void note(Damage damage);

  actable::base::FileSystem& files_;
  const std::filesystem::path directory_;
  std::uint64_t store_id_ = 0;
  std::optional<actable::checkpoint::Manifest> manifest_;
  std::set<std::uint64_t> files_there_;
  std::set<std::uint64_t> broken_files_;
  std::vector<Damage> damages_;
  bool manifest_lost_ = false;
  bool told_ = false;
};

}  // namespace shell
