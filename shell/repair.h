#pragma once

#include "shell/passing_files.h"
#include "shell/salvage.h"
#include "shell/store_files.h"

#include <actable/store.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace shell {

/// Makes a new store of what is left of one whose files are damaged. For each key the
/// version of the highest number counts that can be read and is below the log's cut.
/// docs/repair.md says which records count, and why.
///
/// Keeps all keys in memory, beside the new store, and of the values one at a time.
///
/// Thread safety: *confined*.
class Repair {
 public:
  /// Nothing is written in the directory of `files`.
  Repair(StoreFiles& files, std::filesystem::path target) : Repair(files, std::move(target), files.file_system()) {}
  /// For tests: reads log and checkpoint through `below`.
  Repair(StoreFiles& files, std::filesystem::path target, actable::base::FileSystem& below)
      : source_(files),
        target_(std::move(target)),
        files_(below),
        log_(files_, files.directory()),
        checkpoint_(files_, files.directory()) {}
  ~Repair();
  Repair(const Repair&) = delete;
  Repair& operator=(const Repair&) = delete;

  /// The new store is there and closed, whole; or it fails, and nothing is there that
  /// was not before.
  [[nodiscard]] Got<void> run();

  /// A version whose overwriting or erasure may have been lost.
  struct Stale {
    std::string space;
    std::string key;
    actable::Seq seq;
  };
  struct Space {
    std::string name;
    /// False: made up, because the catalog's entry is lost.
    bool named = true;
    /// Its being dropped may have been lost.
    bool stale = false;
    std::uint64_t keys = 0;
  };

  // Once it is done.
  [[nodiscard]] const std::vector<Damage>& damages() const noexcept { return damages_; }
  [[nodiscard]] const std::vector<Stale>& stale() const noexcept { return stale_; }
  /// By their numbers in the store that was damaged.
  [[nodiscard]] const std::map<std::uint32_t, Space>& spaces() const noexcept { return spaces_; }
  [[nodiscard]] actable::Seq cut() const noexcept { return log_.cut(); }
  [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_; }
  /// Whether anything was or may have been.
  [[nodiscard]] bool lost() const noexcept;

 private:
  struct Version {
    actable::Seq seq = 0;
    /// Every write numbered below it is taken into account.
    actable::Seq as_of = 0;
    bool tombstone = false;
    bool written = false;
  };
  using See = std::function<actable::Result<void>(std::uint32_t space, std::string_view key, std::string_view value,
                                                  const Version&)>;

  [[nodiscard]] Got<void> make();
  void remove_part();
  [[nodiscard]] Got<void> check_target() const;
  [[nodiscard]] Got<void> find();
  [[nodiscard]] Got<void> each_record(const See& see);
  bool note_name(std::string_view value);
  [[nodiscard]] Got<void> choose();
  void judge();
  void note_holes();
  [[nodiscard]] Got<void> name_spaces();
  [[nodiscard]] std::string made_up_name(std::uint32_t id) const;
  void list_stale();
  [[nodiscard]] Got<void> write();
  [[nodiscard]] Got<void> put(actable::Space& space, std::string_view key, std::string_view value) const;
  [[nodiscard]] Got<void> publish();
  [[nodiscard]] bool whole(std::string_view key) const;
  [[nodiscard]] actable::Seq settled(std::string_view key) const;

  StoreFiles& source_;
  const std::filesystem::path target_;
  // What the disk refuses is as good as damaged.
  PassingFiles files_;
  LogSalvage log_;
  CheckpointSalvage checkpoint_;
  std::vector<Damage> damages_;
  // The log alone has all that the store held.
  bool log_has_all_ = false;
  // The log had gone on behind its end.
  bool tail_lost_ = false;
  // It may have gone on where the disk cannot be read.
  bool tail_unread_ = false;
  // Files that no manifest names have what is above the log's cut.
  bool beyond_ = false;
  std::map<std::uint32_t, std::unordered_map<std::string, Version>> newest_;
  std::map<std::string, std::string> catalog_;
  // Numbers that any entry of the catalog gave to a space.
  std::set<std::uint32_t> named_ids_;
  std::map<std::uint32_t, Space> spaces_;
  std::vector<Stale> stale_;
  std::uint64_t discarded_ = 0;
  // Where the new store is made. Empty: it has its name, or is none.
  std::filesystem::path part_;
};

}  // namespace shell
