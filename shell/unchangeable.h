#pragma once

#include "base/file.h"

namespace shell {

/// A file of which nothing can be changed: whatever would fails with unsupported.
class UnchangeableFile : public actable::base::File {
 public:
  actable::Result<void> write(std::uint64_t offset, std::span<const std::byte> from) final;
  actable::Result<void> sync() final;
  actable::Result<void> allocate(std::uint64_t bytes) final;
  [[nodiscard]] bool direct() const noexcept final { return false; }
};

/// A file system of the same kind. How files are opened is left to who derives from it.
class UnchangeableFiles : public actable::base::FileSystem {
 public:
  actable::Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) final;
  actable::Result<void> remove(const std::filesystem::path& path) final;
  actable::Result<void> sync_directory(const std::filesystem::path& directory) final;
  actable::Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) final;
  actable::Result<std::unique_ptr<actable::base::DirectoryLock>> lock(const std::filesystem::path& directory) final;
  actable::Result<std::unique_ptr<actable::base::WriteQueue>> make_queue(actable::LogIo kind) final;

 protected:
  /// What all of these fail with.
  [[nodiscard]] static std::unexpected<actable::Error> refused();
};

}  // namespace shell
