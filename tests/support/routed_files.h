#pragma once

#include "base/file.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace actable::test {

/// Several directories, each on a file system of its own. All are there.
///
/// Thread safety: *immutable*.
class RoutedFiles final : public base::FileSystem {
 public:
  using Routes = std::map<std::filesystem::path, base::FileSystem*>;

  /// By the directory's path. They outlive this.
  explicit RoutedFiles(Routes routes) : routes_(std::move(routes)), queues_(*routes_.begin()->second) {}
  /// `queues`: the one that queues are asked of, where it matters.
  RoutedFiles(Routes routes, base::FileSystem& queues) : routes_(std::move(routes)), queues_(queues) {}

  Result<std::unique_ptr<base::File>> open(const std::filesystem::path& path, base::OpenMode mode) override {
    return of(path.parent_path()).open(path, mode);
  }
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override {
    return of(directory).list(directory);
  }
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return of(to.parent_path()).rename(from, to);
  }
  Result<void> remove(const std::filesystem::path& path) override { return of(path.parent_path()).remove(path); }
  Result<void> sync_directory(const std::filesystem::path& directory) override {
    return of(directory).sync_directory(directory);
  }
  Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) override {
    return of(directory).prepare_directory(directory, create);
  }
  Result<std::filesystem::path> resolve(const std::filesystem::path& path) override {
    return routes_.begin()->second->resolve(path);
  }
  Result<std::unique_ptr<base::DirectoryLock>> lock(const std::filesystem::path& directory) override {
    return of(directory).lock(directory);
  }
  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override { return queues_.make_queue(kind); }

 private:
  base::FileSystem& of(const std::filesystem::path& directory) const { return *routes_.at(directory); }

  const Routes routes_;
  base::FileSystem& queues_;
};

}  // namespace actable::test
