#pragma once

#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/routed_files.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/wait.h"
#include "wal/identity.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of backups are written in.
namespace actable::test {

/// A write and its number; empty: erased.
struct Told {
  std::string key;
  std::optional<std::string> value;
  Seq seq = 0;
};

/// What writers were told, and so what a prefix of it holds.
///
/// Thread safety: *synchronized*.
class Telling {
 public:
  void tell(Told told) {
    const std::lock_guard lock(mutex_);
    told_.push_back(std::move(told));
  }
  /// The highest number told so far.
  [[nodiscard]] Seq last() const {
    const std::lock_guard lock(mutex_);
    Seq last = 0;
    for (const Told& told : told_) last = std::max(last, told.seq);
    return last;
  }
  /// What all writes below the cut leave.
  [[nodiscard]] Content below(Seq cut) const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, const Told*> latest;
    for (const Told& told : told_) {
      const Told*& now = latest[told.key];
      if (told.seq < cut && (now == nullptr || now->seq < told.seq)) now = &told;
    }
    Content content;
    for (const auto& [key, told] : latest) {
      if (told != nullptr && told->value) content[key] = {*told->value, told->seq};
    }
    return content;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Told> told_;
};

/// Puts and erases keys of its own, one or several at a time, and tells.
///
/// Thread safety: *confined*.
class Teller {
 public:
  Teller(Store& store, Telling& telling, std::uint64_t seed, std::string name)
      : store_(store), space_(must(store.space("s"))), telling_(telling), random_(seed), name_(std::move(name)) {}

  void write() {
    Batch batch;
    std::map<std::string, std::optional<std::string>> writes;
    for (std::uint64_t i = 0; i <= random_.below(3); ++i) {
      const std::string key = name_ + "." + std::to_string(random_.below(200));
      if (random_.one_in(4)) {
        writes[key] = std::nullopt;
      } else {
        writes[key] = sealed(random_(), 8 + random_.skewed(2'000));
      }
    }
    for (const auto& [key, value] : writes) must(value ? batch.put(space_, key, *value) : batch.erase(space_, key));
    const Seq seq = must(store_.write(batch));
    for (const auto& [key, value] : writes) telling_.tell({key, value, seq});
  }

 private:
  Store& store_;
  Space space_;
  Telling& telling_;
  Random random_;
  const std::string name_;
};

inline constexpr const char* k_store_path = "/simulated";
inline constexpr const char* k_backup_path = "/backup";
inline constexpr const char* k_other_path = "/other";

/// Options of a store on a simulated disk.
inline Options scene_options(const char* directory) {
  Options options;
  options.directory = directory;
  options.shards = 2;
  options.segment_bytes = std::uint64_t{1} << 17;
  return options;
}

/// A store on a disk of its own, and two disks for backups.
///
/// Thread safety: *confined*, but for the files.
struct Scene {
  SimulatedDisk disk;
  SimulatedDisk backup;
  SimulatedDisk other;
  RoutedFiles files{{{k_store_path, &disk}, {k_backup_path, &backup}, {k_other_path, &other}}};

  Result<Store> open(const char* directory) { return store::Access::open_unchecked(scene_options(directory), files); }
};

/// Waits until the log before a checkpoint is let go of, of which more than a segment was
/// on disk when the checkpoint began. Else it may be between two backups, the second of
/// which has less of it then.
inline void until_log_shortened(Scene& scene) {
  until("the log before the checkpoint is let go of",
        [&] { return must(wal::read_identity(scene.disk, k_store_path))->first_frame > 1; });
}

/// What a store that opens from this image holds in the space `s`, and its cut.
struct Opened {
  Content content;
  Seq cut = 0;
};
inline Result<Opened> opened(const SimulatedDisk::Image& image) {
  SimulatedDisk disk(image);
  RoutedFiles files{{{k_backup_path, &disk}}};
  auto store = store::Access::open_unchecked(scene_options(k_backup_path), files);
  if (!store) return std::unexpected(store.error());
  const auto names = store->spaces();
  Opened found{.content = {}, .cut = store->stats().recovery.cut};
  if (std::ranges::find(names, "s") != names.end()) found.content = content(must(store->space("s")));
  must(store->close());
  return found;
}

/// What readers of the disk see, damage included.
inline SimulatedDisk::Image image_of(const SimulatedDisk& disk) {
  Random random(0);
  return disk.killed()->image(Survival::all, random);
}

}  // namespace actable::test
