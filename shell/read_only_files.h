#pragma once

#include "shell/unchangeable.h"

#include <functional>

namespace shell {

/// The operating system's files, of which nothing can be changed: not by a
/// mistake either, for every file is opened for reading only. Waits for nobody,
/// and takes regular files only, of a size that a store's files may have: `open`
/// fails with io_error and corrupt for others. Tells how much was read, for who
/// shows progress.
///
/// Thread safety: *confined*.
class ReadOnlyFiles final : public UnchangeableFiles {
 public:
  using Read = std::function<void(std::size_t bytes)>;
  explicit ReadOnlyFiles(Read read) : read_(std::move(read)) {}

  actable::Result<std::unique_ptr<actable::base::File>> open(const std::filesystem::path& path,
                                                             actable::base::OpenMode mode) override;
  actable::Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;

 private:
  const Read read_;
};

/// The process that has the directory locked, by the system's list of locks and
/// by what the lock's file says: without taking the lock, which would keep its
/// owner out. None where nobody has.
[[nodiscard]] std::optional<pid_t> lock_holder(const std::filesystem::path& directory);

}  // namespace shell
