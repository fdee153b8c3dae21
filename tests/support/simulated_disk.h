#pragma once

#include "base/file.h"
#include "tests/support/seed.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace actable::test {

/// What a disk that loses its power keeps of the writes that were not synced.
enum class Survival {
  none,
  /// As after the death of the process alone.
  all,
  /// What came first, up to some write.
  prefix,
  /// Each sector of 512 bytes, or each block, and each change of a name, for
  /// itself.
  some,
  /// As `some`; and sectors that were being written are torn in their middle or
  /// hold rubbish.
  torn,
};

/// One change of a disk, for those who watch it.
struct DiskChange {
  std::string_view what;
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// A disk in memory, of one directory, that can lose its power.
///
/// What was written to a file and not synced may or may not survive, each block
/// for itself and in any order; and so may each creation, renaming and removal.
/// Its files have no descriptor, so that both kinds of queue
/// run through it. Must outlive its files.
///
/// Thread safety: *synchronized*, but for `bytes`.
class SimulatedDisk : public base::FileSystem {
 public:
  /// Names and contents of all files.
  using Image = std::map<std::string, std::vector<std::byte>>;

  SimulatedDisk() = default;
  /// A disk that holds this, synced.
  explicit SimulatedDisk(const Image& image);
  SimulatedDisk(const SimulatedDisk&) = delete;
  SimulatedDisk& operator=(const SimulatedDisk&) = delete;

  /// What would be on this disk had the power been cut now.
  [[nodiscard]] Image image(Survival survival, Random& random) const;

  /// Called after each change, in the thread that made it. Set before the disk is used.
  void watch(std::function<void(const DiskChange&)> watcher) { watcher_ = std::move(watcher); }

  /// Syncs what the file was told up to the disk's change `through`, and not
  /// what came later: no more than a sync promises that began then. The file is
  /// one of this disk's.
  [[nodiscard]] Result<void> sync_through(base::File& file, std::uint64_t through);

  /// A disk with what would be on this one had the power been cut now.
  [[nodiscard]] std::unique_ptr<SimulatedDisk> power_cut(Random& random) const;

  /// A disk with all that the system was told: what a killed process leaves.
  [[nodiscard]] std::unique_ptr<SimulatedDisk> killed() const;

  /// Lets that many more calls change the disk; from then on every call fails.
  void stop_after(std::uint64_t changes);

  /// Calls that changed the disk, or tried to.
  [[nodiscard]] std::uint64_t changes() const;

  [[nodiscard]] std::vector<std::string> names() const;
  /// How long all files are together, at one moment: a store may make and remove some meanwhile.
  [[nodiscard]] std::uint64_t total_bytes() const;

  /// A file's bytes, for damage that readers of this disk see. Nobody uses the
  /// disk meanwhile. To go on with it, take what `killed` returns.
  [[nodiscard]] std::vector<std::byte>& bytes(const std::string& name);
  void put(const std::string& name, std::vector<std::byte> bytes);
  void drop(const std::string& name);

  Result<std::unique_ptr<base::File>> open(const std::filesystem::path& path, base::OpenMode mode) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_directory(const std::filesystem::path& directory) override;
  Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) override;
  Result<std::unique_ptr<base::DirectoryLock>> lock(const std::filesystem::path& directory) override;
  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override;

 private:
  class DiskFile;

  struct Write {
    std::uint64_t number;
    std::uint64_t offset;
    std::vector<std::byte> bytes;
    /// The file is at least as long afterwards.
    std::uint64_t size;
  };
  struct Inode {
    std::vector<std::byte> now;
    std::vector<std::byte> synced;
    std::vector<Write> unsynced;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  static void apply(const Write& write, std::vector<std::byte>& to);
  static void apply_some(const Write& write, std::vector<std::byte>& to, Random& random);
  static void apply_torn(const Write& write, std::vector<std::byte>& to, Random& random);
  void tell(const DiskChange& change) const {
    if (watcher_) watcher_(change);
  }
  /// The names, had the power been cut now.
  [[nodiscard]] Names names_left(Survival survival, Random& random) const;
  [[nodiscard]] Result<std::unique_ptr<base::File>> open_or_create(const std::filesystem::path& path,
                                                                   base::OpenMode mode);
  [[nodiscard]] Result<void> change(const std::filesystem::path& path);
  [[nodiscard]] Result<void> check(const std::filesystem::path& path) const;

  mutable std::mutex mutex_;
  Names names_;
  /// The names as they were synced, and after each change since.
  std::vector<Names> names_since_sync_{Names{}};
  std::uint64_t changes_ = 0;
  std::uint64_t changes_max_ = ~std::uint64_t{0};
  std::function<void(const DiskChange&)> watcher_;
};

}  // namespace actable::test
