#pragma once

#include "tests/lab/crash/disk.h"
#include "tests/lab/failures/sites.h"
#include "tests/support/allocations.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace actable::lab {

/// Which call fails, and how.
struct Order {
  /// 1: the first. 0: none.
  std::uint64_t nth = 0;
  Fault fault = Fault::io_error;
  /// So do all calls after it that can fail like that, until the seam is healed.
  bool for_good = false;
};

/// A call that was made.
struct Call {
  Operation operation{};
  /// Empty: a rare one.
  std::optional<std::size_t> site;
};

/// Where backups go: a disk of its own.
inline constexpr const char* k_backup_directory = "/backup";

/// A simulated disk, and another for backups, whose n-th call fails. Counts calls by their sites, and
/// what of files, queues and locks the store has not let go of.
///
/// Thread safety: *confined* to whoever runs.
class Seam final : public base::FileSystem {
 public:
  Seam(test::Scheduler& scheduler, Disk& below, Disk& backup, Order order)
      : scheduler_(scheduler), below_(below), backup_(backup), order_(order) {}

  void enter(Phase phase) noexcept { phase_ = phase; }
  void heal() noexcept { order_.nth = 0; }
  /// Has the next write through the queue fail, which does not count, or no longer.
  void break_log(bool breaks) noexcept { breaks_ = breaks; }

  [[nodiscard]] const std::vector<Call>& calls() const noexcept { return calls_; }
  /// The sites of the calls that failed, each as often as it did.
  [[nodiscard]] const std::vector<std::optional<std::size_t>>& failed() const noexcept { return failed_; }
  /// A site that is not in the list of all; empty if there was none.
  [[nodiscard]] const std::string& stranger() const noexcept { return stranger_; }
  /// Files, queues and locks that the store holds.
  [[nodiscard]] int held() const noexcept { return held_; }

  Result<std::unique_ptr<base::File>> open(const std::filesystem::path& path, base::OpenMode mode) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_directory(const std::filesystem::path& directory) override;
  Result<bool> prepare_directory(const std::filesystem::path& directory, bool create) override;
  Result<std::unique_ptr<base::DirectoryLock>> lock(const std::filesystem::path& directory) override;
  Result<std::unique_ptr<base::WriteQueue>> make_queue(LogIo kind) override;

 private:
  class SeamFile;
  class SeamLock;
  class SeamQueue;

  /// What is being done, to what.
  struct About {
    Operation operation;
    std::string file;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };

  /// Counts the call. How it is to fail, if it is.
  [[nodiscard]] std::optional<Fault> begin(const About& about);
  void name_changed(const std::filesystem::path& path);
  [[nodiscard]] static Error error(const About& about, Fault fault);

  /// Has the disk do it, or fail.
  template <class F>
  auto pass(const About& about, F&& carry_out) -> decltype(carry_out()) {
    const test::allocations::Spared spared;
    const std::optional<Fault> fault = begin(about);
    if (!fault) return carry_out();
    if (*fault == Fault::done) (void)carry_out();
    return std::unexpected(error(about, *fault));
  }

  test::Scheduler& scheduler_;
  /// The disk that a path is on.
  [[nodiscard]] Disk& disk_of(const std::filesystem::path& path) noexcept;

  Disk& below_;
  Disk& backup_;
  /// The disk whose files the next queue is for.
  Disk* queued_ = &below_;
  Order order_;
  Phase phase_ = Phase::creating;
  std::vector<Call> calls_;
  std::vector<std::optional<std::size_t>> failed_;
  std::string stranger_;
  int held_ = 0;
  bool locked_ = false;
  bool breaks_ = false;
  /// The file that was created or renamed last, for which the directory is synced.
  std::string changed_;
};

}  // namespace actable::lab
