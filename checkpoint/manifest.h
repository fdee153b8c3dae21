#pragma once

#include "base/file.h"
#include "checkpoint/format.h"

#include <actable/result.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace actable::checkpoint {

inline constexpr std::uint32_t k_format_version = 1;
inline constexpr const char* k_manifest_file = "CHECKPOINT";

/// A file of records, as it was when its writer had synced it.
struct FileEntry {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  std::uint64_t blocks = 0;
  std::uint64_t records = 0;
  /// Above every number in it.
  Seq seq_end = 0;
  /// Of the checksums of its blocks.
  std::uint64_t checksum = 0;

  bool operator==(const FileEntry&) const = default;
};

/// What a group of keys is to be restored from: the file's records of the group's
/// hashes, and of the log the writes numbered from `cut` on, all of which are in
/// frames from `first_frame` on.
struct Group {
  /// 0: there was nothing in the group.
  std::uint64_t file = 0;
  Seq cut = 0;
  std::uint64_t first_frame = 1;

  bool operator==(const Group&) const = default;
};

/// A logged space as it was; `keys` is for people.
struct SpaceEntry {
  std::uint32_t id = 0;
  std::string name;
  std::uint64_t keys = 0;

  bool operator==(const SpaceEntry&) const = default;
};

/// What the file `CHECKPOINT` says. It is written aside and renamed, so that it
/// is there whole or not at all: that publishes the files that it names.
///
/// Thread safety: *confined*.
struct Manifest {
  std::uint32_t format_version = k_format_version;
  std::uint64_t store_id = 0;
  std::uint64_t hash_seed = 0;
  /// How many were written before it.
  std::uint64_t serial = 0;
  /// Numbers of spaces from here on have not been used.
  std::uint32_t next_space_id = 1;
  std::array<Group, k_groups> groups{};
  /// In the order of their numbers; each has a group.
  std::vector<FileEntry> files{};
  std::vector<SpaceEntry> spaces{};
  /// Where the log begins: the generation of its first segment and the number of its first
  /// frame, if that is later than what `STORE` says. 0: as that says. So a log that takes
  /// the place of another counts from the same moment as the checkpoint before it.
  std::uint64_t log_generation = 0;
  std::uint64_t log_first_frame = 0;

  /// Above every number in its files: the log must have come so far.
  [[nodiscard]] Seq seq_end() const noexcept;
  /// The highest cut.
  [[nodiscard]] Seq cut_max() const noexcept;
  /// The log is needed from this frame on.
  [[nodiscard]] std::uint64_t first_frame() const noexcept;
  [[nodiscard]] std::uint64_t records() const noexcept;
  [[nodiscard]] std::uint64_t bytes() const noexcept;
  /// Null when there is none of that number.
  [[nodiscard]] const FileEntry* file(std::uint64_t number) const noexcept;

  bool operator==(const Manifest&) const = default;
};

/// How publishing a manifest ended.
struct Published {
  std::optional<Error> error{};
  /// With an error: the new manifest may be there or the one before.
  bool either = false;
};

/// Publishes the manifest in the place of the one before.
[[nodiscard]] Published write_manifest(base::FileSystem& files, const std::filesystem::path& directory,
                                       const Manifest& manifest);

/// Empty when the directory has none. Fails with
///   corrupt      it is damaged, or of another store than `store_id`
///   unsupported  it was written by a newer version
///   io_error
[[nodiscard]] Result<std::optional<Manifest>> read_manifest(base::FileSystem& files,
                                                            const std::filesystem::path& directory,
                                                            std::uint64_t store_id);

/// What the store's identity says that a checkpoint must fit.
struct LogBeginning {
  std::uint64_t store_id;
  std::uint64_t hash_seed;
  /// The log's frames before it are gone.
  std::uint64_t first_frame;
};

/// The manifest that the log goes on from; one without files where there is none and
/// needs be none. Fails as `read_manifest`, and with
///   corrupt  there is none, or one that is older than the log
[[nodiscard]] Result<Manifest> manifest_before(base::FileSystem& files, const std::filesystem::path& directory,
                                               const LogBeginning& log);

}  // namespace actable::checkpoint
