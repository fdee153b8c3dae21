#pragma once

#include "base/file.h"
#include "checkpoint/manifest.h"
#include "wal/log_copy.h"

#include <actable/options.h>
#include <actable/result.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace actable::store {

/// What the file `BACKUP` says of the directory that it is in: that it holds a backup and
/// is no store that anybody writes to. It is written aside and renamed, so that it is there
/// whole or not at all.
///
/// Thread safety: *confined*.
struct BackupRecord {
  std::uint32_t format_version = 1;
  std::uint64_t store_id = 0;
  /// False from before the first change of the directory until all is on disk: the
  /// directory cannot be opened then.
  bool complete = false;
  /// Every write numbered below it is in the backup, none at or above it; 0 while incomplete.
  Seq cut = 0;
  /// What is there, as far as it is synced.
  std::vector<checkpoint::FileEntry> files{};
  std::vector<wal::CopiedSegment> segments{};

  bool operator==(const BackupRecord&) const = default;
};

inline constexpr const char* k_backup_file = "BACKUP";
inline constexpr std::uint32_t k_backup_format_version = 1;

/// Fails with io_error; the record before or this one is there then.
[[nodiscard]] Result<void> write_backup_record(base::FileSystem& files, const std::filesystem::path& directory,
                                               const BackupRecord& record);

/// Empty when the directory has none. Fails with
///   corrupt      it is damaged
///   unsupported  it was written by a newer version
///   io_error
[[nodiscard]] Result<std::optional<BackupRecord>> read_backup_record(base::FileSystem& files,
                                                                     const std::filesystem::path& directory);

/// For who opens the directory as a store: whether it holds a backup. Fails as
/// `read_backup_record`, and with corrupt where the backup is incomplete.
[[nodiscard]] Result<bool> holds_backup(base::FileSystem& files, const std::filesystem::path& directory);

/// From here on the directory holds a store and no backup: it is not to be taken for one
/// once it has writes of its own. Fails with io_error; then it may hold either.
[[nodiscard]] Result<void> forget_backup(base::FileSystem& files, const std::filesystem::path& directory);

}  // namespace actable::store
