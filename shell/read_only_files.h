#pragma once

#include "base/file.h"

#include <functional>

namespace shell {

/// The operating system's files, of which nothing can be changed: not by a
/// mistake either, for every file is opened for reading only. Waits for nobody,
/// and takes regular files only, of a size that a store's files may have: `open`
/// fails with io_error and corrupt for others. Tells how much was read, for who
/// shows progress.
///
/// Thread safety: *confined*.
class ReadOnlyFiles final : public actable::base::FileSystem {
 public:
  using Read = std::function<void(std::size_t bytes)>;
  explicit ReadOnlyFiles(Read read) : read_(std::move(read)) {}

  actable::Result<std::unique_ptr<actable::base::File>> open(const std::filesystem::path& path,
                                                             actable::base::OpenMode mode) override;
  actable::Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;

  // All of these fail with unsupported.
  actable::Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  actable::Result<void> remove(const std::filesystem::path& path) override;
  actable::Result<void> sync_directory(const std::filesystem::path& directory) override;
  actable::Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) override;
  actable::Result<std::unique_ptr<actable::base::DirectoryLock>> lock(const std::filesystem::path& directory) override;
  actable::Result<std::unique_ptr<actable::base::WriteQueue>> make_queue(actable::LogIo kind) override;

 private:
  const Read read_;
};

/// The process that has the directory locked, by the system's list of locks and
/// by what the lock's file says: without taking the lock, which would keep its
/// owner out. None where nobody has.
[[nodiscard]] std::optional<pid_t> lock_holder(const std::filesystem::path& directory);

}  // namespace shell
