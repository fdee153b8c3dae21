#pragma once

#include "checkpoint/manifest.h"
#include "shell/read_only_files.h"
#include "shell/source.h"
#include "wal/format.h"
#include "wal/identity.h"
#include "wal/reader.h"
#include "wal/segments.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shell {

/// A store's closed files. Each answer reads the log from its beginning, as
/// opening the store would, and keeps of it what was asked for; nothing is
/// written and nothing is locked.
///
/// Thread safety: *confined*.
class StoreFiles final : public Source {
 public:
  /// Fails where the directory holds no store that can be read: it is missing, is
  /// none, is of a newer version, may not be read, or a live process has it open.
  /// Where only the file `STORE` is damaged or missing, `readable` says so.
  [[nodiscard]] static Got<std::unique_ptr<StoreFiles>> open(const std::filesystem::path& directory);

  /// Fails where nothing but what is left of the store can be read, with why.
  [[nodiscard]] Got<void> readable() const;

  /// `stats`, `spaces`, `get`, `scan`, `count` and `big` of the protocol, each
  /// walk in one step.
  [[nodiscard]] Got<actable::debug::Document> ask(const std::string& command,
                                                  actable::debug::Document::Map arguments) override;

  /// Shows every key and value of the space, in no order; ends early where it
  /// returns false. Keeps the keys in memory, and of the values one at a time: the
  /// log is read once for which record is the newest of its key, and once more for
  /// these. Fails also where the files changed in between.
  using SeeEntry = std::function<bool(std::string_view key, std::string_view value)>;
  [[nodiscard]] Got<void> each(const std::string& space, const SeeEntry& see);

  /// The size that the store's segments were made with; 0 where there are none.
  [[nodiscard]] Got<std::uint64_t> segment_bytes();

  /// A process has had the files open: what is known of them is forgotten. Fails
  /// as `open`.
  [[nodiscard]] Got<void> read_again();

  /// For who reads the files himself.
  [[nodiscard]] actable::base::FileSystem& file_system() noexcept { return files_; }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  /// What `STORE` says, where it can be read.
  [[nodiscard]] std::optional<actable::wal::Identity> identity() const;
  /// So many bytes are about to be read, for who is shown how far that has come.
  void begin_reading(std::uint64_t bytes) noexcept;
  /// Fails where a process has taken the directory meanwhile.
  [[nodiscard]] Got<void> expect_closed() const;

  /// Shown while much is read; empty when that is over.
  void show_progress(std::function<void(const std::string&)> show) { show_ = std::move(show); }

  /// Reads everything and tells what the log holds behind the checkpoint; fails where
  /// either is damaged.
  [[nodiscard]] Got<actable::wal::LogEnd> verify();
  /// That `verify` has read; without files where there is none.
  [[nodiscard]] const actable::checkpoint::Manifest& checkpoint() const noexcept { return checkpoint_; }

  /// A segment as it lies there, whatever recovery makes of it.
  struct Segment {
    std::string name;
    actable::wal::HeaderState state;
    actable::wal::SegmentHeader header;
    std::uint64_t bytes;
  };
  using SeeSegment = std::function<bool(const Segment&)>;
  using SeeFrame =
      std::function<bool(std::uint64_t offset, const actable::wal::FrameHeader&, std::span<const std::byte> payload)>;
  /// Shows every segment, and after each its whole frames of the segment's own
  /// generation, in the order of generations; ends early where one returns false.
  [[nodiscard]] Got<void> walk_frames(const SeeSegment& see_segment, const SeeFrame& see_frame);

  /// The space's name by its number, as the catalog has it; empty if it is in none.
  [[nodiscard]] Got<std::string> space_name(std::uint32_t id);
  /// The other way round. Fails where there is no such space.
  [[nodiscard]] Got<std::uint32_t> space_id(const std::string& space);

 private:
  /// The newest version of a key below the cut.
  struct Version {
    actable::Seq seq = 0;
    bool tombstone = false;
    std::string value{};
  };
  using Content = std::map<std::string, Version>;

  explicit StoreFiles(std::filesystem::path directory)
      : directory_(std::move(directory)), files_([this](std::size_t bytes) {
          if (reads_count_) progressed(bytes);
        }) {}

  [[nodiscard]] Got<std::vector<actable::wal::SegmentFile>> segments();
  /// All records of the checkpoint and of the log behind it.
  [[nodiscard]] Got<actable::wal::LogEnd> replay(const actable::wal::TakeRecord& take_record);
  [[nodiscard]] Got<void> read_checkpoint(const actable::checkpoint::Manifest& manifest,
                                          const actable::wal::TakeRecord& take);
  /// The first reading: the spaces, and the end of the log.
  [[nodiscard]] Got<void> know();
  /// The live keys of the space that begin with the prefix. Their values where wanted.
  [[nodiscard]] Got<Content> content(const std::string& space, std::string_view prefix, bool with_values);
  void progressed(std::uint64_t bytes);
  [[nodiscard]] Got<void> expect_no_unfinished_backup();

  [[nodiscard]] Got<void> read_identity();
  [[nodiscard]] bool damaged_only();

  [[nodiscard]] Got<actable::debug::Document> stats();
  [[nodiscard]] Got<actable::debug::Document> spaces();
  [[nodiscard]] Got<actable::debug::Document> get(const actable::debug::Document& arguments);
  [[nodiscard]] Got<actable::debug::Document> scan(const actable::debug::Document& arguments);
  [[nodiscard]] Got<actable::debug::Document> count(const actable::debug::Document& arguments);
  [[nodiscard]] Got<actable::debug::Document> big(const actable::debug::Document& arguments);

  const std::filesystem::path directory_;
  ReadOnlyFiles files_;
  // False while what is passed over counts.
  bool reads_count_ = true;
  actable::wal::Identity identity_{};
  // Why there is none.
  std::optional<Failure> no_identity_;
  std::function<void(const std::string&)> show_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t bytes_in_all_ = 0;
  std::chrono::steady_clock::time_point shown_at_{};

  bool known_ = false;
  actable::wal::LogEnd end_;
  actable::checkpoint::Manifest checkpoint_;
  std::chrono::microseconds duration_{0};
  std::map<std::string, std::uint32_t> ids_;
  // Closed files do not change.
  std::optional<actable::debug::Document> spaces_;
};

}  // namespace shell
