#pragma once

#include "base/file.h"
#include "checkpoint/manifest.h"
#include "store/backup_record.h"
#include "wal/identity.h"

#include <actable/result.h>
#include <actable/stats.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

namespace actable::wal {
class Log;
}

namespace actable::store {

class StoreCore;

/// Copies a store that is in use to another directory.
///
/// What a store is on disk at a moment: the checkpoint, and the log behind it up to a
/// marker. The files of a checkpoint never change, and neither do the log's frames up to
/// a marker that is on disk; so all that is to be seen to is that they stay while they are
/// copied. The log is held first, then the checkpoint's manifest is taken: the log still
/// has that one's first frame. The marker is read last, so it is not before what the
/// checkpoint's files hold (rule 7 of docs/architecture.md).
///
/// The other directory's `BACKUP` says "incomplete" on disk before the first change there,
/// and "complete" when all is; what is synced on the way is entered, so that it is not
/// copied again after a crash.
///
/// Thread safety: *confined*; used once.
class Backup {
 public:
  /// `log`: of that store, which may have failed: what is on disk is copied.
  Backup(StoreCore& store, base::FileSystem& files, wal::Log& log, const std::filesystem::path& to);
  ~Backup();
  Backup(const Backup&) = delete;
  Backup& operator=(const Backup&) = delete;

  /// Fails as Store::backup.
  [[nodiscard]] Result<BackupStats> run();

 private:
  [[nodiscard]] Result<void> check_apart() const;
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> examine();
  [[nodiscard]] Result<void> check_empty() const;
  [[nodiscard]] Result<void> hold();
  [[nodiscard]] Result<void> copy();
  [[nodiscard]] Result<void> copy_checkpoint();
  [[nodiscard]] Result<void> copy_log();
  [[nodiscard]] Result<bool> is_there(const checkpoint::FileEntry& entry) const;
  [[nodiscard]] Result<void> remove_unnamed();
  [[nodiscard]] Result<void> publish();
  [[nodiscard]] Result<void> look() const;
  [[nodiscard]] std::unexpected<Error> bad_directory(std::string_view why) const;

  StoreCore& store_;
  base::FileSystem& files_;
  wal::Log& log_;
  const std::filesystem::path& from_;
  const std::filesystem::path to_;
  std::unique_ptr<base::DirectoryLock> lock_;
  bool holds_log_ = false;
  bool holds_checkpoint_ = false;
  wal::Identity identity_;
  checkpoint::Manifest manifest_;
  std::uint64_t marker_ = 0;
  // What the directory had, and what it has now.
  BackupRecord before_;
  BackupRecord record_;
  BackupStats stats_;
};

}  // namespace actable::store
