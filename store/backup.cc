#include "store/backup.h"

#include "base/failure.h"
#include "base/signals.h"
#include "base/simulation.h"
#include "checkpoint/file_copy.h"
#include "checkpoint/format.h"
#include "store/log_beginning.h"
#include "store/store_core.h"
#include "wal/log.h"
#include "wal/log_copy.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <shared_mutex>
#include <utility>

namespace actable::store {
namespace {

// In a directory that holds nothing yet: the lock, and the first record, if a crash came
// before it had its name.
constexpr std::array<std::string_view, 2> k_names_of_nothing{"LOCK", "BACKUP.new"};

template <class Range, class Value>
bool is_in(const Range& range, const Value& value) {
  return std::ranges::find(range, value) != std::ranges::end(range);
}

bool is_segment_name(std::string_view name) {
  constexpr std::string_view k_prefix = "log-";
  return name.starts_with(k_prefix) &&
         std::ranges::all_of(name.substr(k_prefix.size()), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<BackupStats> StoreCore::backup(const std::filesystem::path& directory) {
  auto log = log_for(0);
  if (!log) return std::unexpected(std::move(log.error()));
  if (directory.empty()) {
    return base::failure(ErrorCode::invalid_argument, "the path is empty: give that of the backup's directory");
  }
  // Not while another log is begun.
  const std::shared_lock beside_others(healing_mutex_);
  return Backup(*this, files_, **log, directory).run();
}

Backup::Backup(StoreCore& store, base::FileSystem& files, wal::Log& log, const std::filesystem::path& to)
    : store_(store), files_(files), log_(log), from_(store.options().directory), to_(to) {}

Backup::~Backup() {
  if (holds_checkpoint_) store_.checkpointer().end_hold();
  if (holds_log_) log_.end_hold();
}

Result<BackupStats> Backup::run() {
  const auto began_at = base::Clock::now();
  // Beyond the process's limit on files a write fails, and ends nothing.
  const base::FileSizeSignalBlocked blocked;
  if (auto apart = check_apart(); !apart) return std::unexpected(std::move(apart.error()));
  if (auto held = hold(); !held) return std::unexpected(std::move(held.error()));
  if (auto prepared = prepare(); !prepared) return std::unexpected(std::move(prepared.error()));
  if (auto copied = copy(); !copied) {
    Error error = std::move(copied.error());
    error.message += "; the backup in " + to_.string() + " is not finished: call Store::backup with it again";
    return std::unexpected(std::move(error));
  }
  stats_.cut = record_.cut;
  stats_.duration = std::chrono::duration_cast<std::chrono::microseconds>(base::Clock::now() - began_at);
  return stats_;
}

std::unexpected<Error> Backup::bad_directory(std::string_view why) const {
  return fail(ErrorCode::invalid_argument, to_.string() + " " + std::string(why));
}

Result<void> Backup::check_apart() const {
  auto from = files_.resolve(from_);
  if (!from) return std::unexpected(std::move(from.error()));
  auto to = files_.resolve(to_);
  if (!to) return std::unexpected(std::move(to.error()));
  const auto [in_from, in_to] = std::ranges::mismatch(*from, *to);
  if (in_from != from->end() && in_to != to->end()) return {};
  if (in_from == from->end() && in_to == to->end()) {
    return bad_directory("is the store's own directory: give another one for the backup");
  }
  return bad_directory(in_from == from->end() ? "lies in the store's own directory: give one outside of it"
                                              : "has the store's own directory inside: give one beside it");
}

/// From here on nothing goes that a backup needs.
Result<void> Backup::hold() {
  log_.hold_segments();
  holds_log_ = true;
  manifest_ = store_.checkpointer().hold();
  holds_checkpoint_ = true;
  return look();
}

/// In the order in which a refusal leaves the least behind: of a directory that is not for
/// us not even a lock's file.
Result<void> Backup::prepare() {
  if (auto prepared = files_.prepare_directory(to_, true); !prepared) {
    return std::unexpected(std::move(prepared.error()));
  }
  if (auto usable = examine(); !usable) return usable;
  auto locked = files_.lock(to_);
  if (!locked) return std::unexpected(std::move(locked.error()));
  lock_ = std::move(*locked);
  return examine();
}

Result<void> Backup::examine() {
  auto found = read_backup_record(files_, to_);
  if (!found) return std::unexpected(std::move(found.error()));
  if (!*found) return check_empty();
  before_ = **std::move(found);
  if (before_.store_id == manifest_.store_id) return {};
  return bad_directory("holds a backup of another store: give an empty directory, or one with a backup of this store");
}

Result<void> Backup::check_empty() const {
  auto found = files_.list(to_);
  if (!found) return std::unexpected(std::move(found.error()));
  const auto is_ours = [](const std::string& name) { return is_in(k_names_of_nothing, name); };
  if (std::ranges::all_of(*found, is_ours)) return {};
  if (is_in(*found, wal::k_identity_file)) {
    return bad_directory(
        "holds a store; a backup that was opened is a store of its own. Give an empty directory, or one with a backup "
        "of this store");
  }
  return bad_directory(
      "is not empty, and holds no backup: give an empty directory, or one with a backup of this store");
}

/// The store is open: what is copied is its own.
Result<void> Backup::look() const {
  if (!store_.is_open()) return store_.closed_error();
  return {};
}

Result<void> Backup::copy() {
  // Where the log has failed, what is on disk is all that there is to be had.
  auto synced = store_.wait_durable(store_.last_seq());
  if (!synced && !log_.failed()) return std::unexpected(std::move(synced.error()));
  // Behind the manifest and the durable number.
  marker_ = log_.marker_on_disk();
  auto identity = wal::read_identity(files_, from_);
  if (!identity) return std::unexpected(std::move(identity.error()));
  if (!*identity) {
    return fail(ErrorCode::corrupt, (from_ / wal::k_identity_file).string() +
                                        ": offset 0: the file is missing: the store would not open again. Its content "
                                        "is in memory still: save it with `dump` of actable-shell");
  }
  identity_ = with_beginning(**identity, manifest_);
  record_ = {.store_id = manifest_.store_id, .files = before_.files, .segments = before_.segments};
  if (auto begun = write_backup_record(files_, to_, record_); !begun) return begun;
  if (auto copied = copy_checkpoint(); !copied) return copied;
  if (auto copied = copy_log(); !copied) return copied;
  if (auto removed = remove_unnamed(); !removed) return removed;
  return publish();
}

Result<void> Backup::copy_checkpoint() {
  for (const checkpoint::FileEntry& file : manifest_.files) {
    auto there = is_there(file);
    if (!there) return std::unexpected(std::move(there.error()));
    if (*there) {
      stats_.present_bytes += file.bytes;
      continue;
    }
    // What is said of a file of that number does not hold from here on.
    const auto of_that_number = [&](const checkpoint::FileEntry& other) { return other.number == file.number; };
    if (std::erase_if(record_.files, of_that_number) != 0) {
      if (auto told = write_backup_record(files_, to_, record_); !told) return told;
    }
    auto copied = checkpoint::copy_file(files_, {from_, to_}, file, manifest_.store_id, [this] { return look(); });
    if (!copied) return copied;
    stats_.copied_bytes += file.bytes;
    record_.files.push_back(file);
    if (auto told = write_backup_record(files_, to_, record_); !told) return told;
  }
  return {};
}

/// As the record says; of the file its length is looked at.
Result<bool> Backup::is_there(const checkpoint::FileEntry& entry) const {
  if (!is_in(record_.files, entry)) return false;
  auto file = files_.open(to_ / checkpoint::file_name(entry.number), {});
  if (!file && file.error().code == ErrorCode::not_found) return false;
  if (!file) return std::unexpected(std::move(file.error()));
  auto size = (*file)->size();
  if (!size) return std::unexpected(std::move(size.error()));
  return *size == entry.bytes;
}

Result<void> Backup::copy_log() {
  const auto forget = [this](std::uint64_t generation) {
    return std::erase_if(record_.segments, [generation](const wal::CopiedSegment& segment) {
             return segment.generation == generation;
           }) != 0;
  };
  const wal::LogCopy::Events events{.look = [this] { return look(); },
                                    .replacing = [&](std::uint64_t generation) -> Result<void> {
                                      return forget(generation) ? write_backup_record(files_, to_, record_)
                                                                : Result<void>{};
                                    },
                                    .copied = [&](const wal::CopiedSegment& segment) -> Result<void> {
                                      if (is_in(record_.segments, segment)) return {};
                                      (void)forget(segment.generation);
                                      record_.segments.push_back(segment);
                                      return write_backup_record(files_, to_, record_);
                                    }};
  wal::LogCopy log(files_, {from_, to_}, identity_, marker_, events);
  if (auto copied = log.run(before_.segments); !copied) return copied;
  stats_.copied_bytes += log.copied_bytes();
  stats_.present_bytes += log.present_bytes();
  record_.segments = log.segments();
  record_.cut = log.cut();
  return {};
}

/// Before the backup is complete: a segment of another life of the store could be taken
/// for a part of the log that is damaged.
Result<void> Backup::remove_unnamed() {
  auto names = files_.list(to_);
  if (!names) return std::unexpected(std::move(names.error()));
  for (const std::string& name : *names) {
    const auto number = checkpoint::file_number_of(name);
    const bool named_file = number && manifest_.file(*number) != nullptr;
    const bool named_segment = std::ranges::any_of(record_.segments, [&name](const wal::CopiedSegment& segment) {
      return wal::copied_segment_name(segment.generation) == name;
    });
    const bool old_manifest = name == checkpoint::k_manifest_file && manifest_.serial == 0;
    const bool left_over = (number && !named_file) || (is_segment_name(name) && !named_segment) || old_manifest;
    if (!left_over) continue;
    if (auto removed = files_.remove(to_ / name); !removed) return removed;
  }
  return {};
}

Result<void> Backup::publish() {
  if (manifest_.serial != 0) {
    auto published = checkpoint::write_manifest(files_, to_, manifest_);
    if (published.error) return std::unexpected(*std::move(published.error));
  }
  // With the names of all files.
  if (auto written = wal::write_identity(files_, to_, identity_); !written) return written;
  record_.files = manifest_.files;
  record_.complete = true;
  return write_backup_record(files_, to_, record_);
}

}  // namespace actable::store
