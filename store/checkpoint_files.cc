#include "base/park.h"
#include "checkpoint/format.h"
#include "store/checkpointer.h"
#include "store/checks.h"
#include "store/store_core.h"
#include "wal/log.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

/// The checkpointer's part that publishes manifests, and has files go that none names.
namespace actable::store {

using checkpoint::k_groups;

checkpoint::Manifest Checkpointer::next_manifest() const {
  checkpoint::Manifest next = manifest_;
  ++next.serial;
  for (unsigned group = part_.group; group < part_.group + part_.groups; ++group) {
    next.groups[group] = {part_.entry.number, part_.cut, part_.first_frame};
  }
  std::erase_if(next.files, [&next](const checkpoint::FileEntry& file) {
    return std::ranges::find(next.groups, file.number, &checkpoint::Group::file) == next.groups.end();
  });
  if (part_.entry.number != 0) {
    next.files.push_back(part_.entry);
    std::ranges::sort(next.files, {}, &checkpoint::FileEntry::number);
  }
  std::map<std::uint32_t, checkpoint::SpaceEntry> spaces = spaces_;
  // Some files are still those of the pass before.
  if (part_.group + part_.groups < k_groups) {
    for (const checkpoint::SpaceEntry& space : manifest_.spaces) spaces.emplace(space.id, space);
  }
  next.spaces.clear();
  for (auto& [id, space] : spaces) next.spaces.push_back(std::move(space));
  next.next_space_id = part_.next_space_id;
  return next;
}

Result<void> Checkpointer::publish(wal::Log& log) {
  checkpoint::Manifest next = next_manifest();
  checkpoint::Published published = checkpoint::write_manifest(files_, store_.options().directory, next);
  if (published.error) {
    // Whichever counts after a crash, its files are there.
    if (published.either) {
      undecided_ = true;
      part_.file.reset();
      undecided_why_ = published.error->message;
    }
    return std::unexpected(*std::move(published.error));
  }
  // Both checkpoints are whole, and the new one counts.
  ACTABLE_FAIL_POINT("checkpoint.published");
  part_.file.reset();
  checkpoint::Manifest before;
  {
    const std::lock_guard lock(holds_mutex_);
    before = std::exchange(manifest_, std::move(next));
  }
  remove_unnamed(before);
  log.release_before(manifest_.first_frame(), spare_log_bytes());
  const std::lock_guard lock(told_mutex_);
  told_.serial = manifest_.serial;
  told_.cut = manifest_.cut_max();
  told_.records = manifest_.records();
  told_.bytes = manifest_.bytes();
  return {};
}

/// So much the log grows by until the next pass begins; what it grows by while one is
/// written, the log's thread sees.
std::uint64_t Checkpointer::spare_log_bytes() const {
  const std::lock_guard lock(told_mutex_);
  return schedule_.log_bytes_max(manifest_.bytes()) + store_.options().segment_bytes;
}

/// What cannot be removed is, when the store is opened the next time.
void Checkpointer::remove_unnamed(const checkpoint::Manifest& before) noexcept {
  for (const checkpoint::FileEntry& file : before.files) {
    if (manifest_.file(file.number) != nullptr) continue;
    (void)guarded("removing a file", [&]() -> Result<void> {
      if (!keep_for_holds(file.number)) remove_file(file.number);
      return {};
    });
    // Of several files some are gone.
    ACTABLE_FAIL_POINT("checkpoint.file.removed");
  }
}

bool Checkpointer::keep_for_holds(std::uint64_t file) {
  const std::lock_guard lock(holds_mutex_);
  if (holds_ != 0) kept_files_.push_back(file);
  return holds_ != 0;
}

void Checkpointer::remove_file(std::uint64_t number) noexcept {
  (void)guarded("removing a file", [&]() -> Result<void> {
    return files_.remove(store_.options().directory / checkpoint::file_name(number));
  });
}

checkpoint::Manifest Checkpointer::hold() {
  const std::lock_guard lock(holds_mutex_);
  checkpoint::Manifest held = manifest_;
  ++holds_;
  return held;
}

void Checkpointer::end_hold() noexcept {
  std::vector<std::uint64_t> files;
  {
    const std::lock_guard lock(holds_mutex_);
    if (--holds_ != 0) return;
    files.swap(kept_files_);
  }
  // A closed store's directory may be somebody else's by now, who removes them on opening.
  if (!store_.is_open()) return;
  for (const std::uint64_t file : files) remove_file(file);
}

void Checkpointer::replace(checkpoint::Manifest manifest) noexcept {
  checkpoint::Manifest before = std::move(manifest);
  {
    const std::lock_guard lock(holds_mutex_);
    std::swap(before, manifest_);
  }
  undecided_ = false;
  remove_unnamed(before);
  const std::lock_guard lock(told_mutex_);
  schedule_.replaced(base::Clock::now());
  told_.serial = manifest_.serial;
  told_.cut = manifest_.cut_max();
  told_.records = manifest_.records();
  told_.bytes = manifest_.bytes();
}

void Checkpointer::leave_undecided(const std::string& why) {
  undecided_ = true;
  undecided_why_ = why;
  // So that the one after it is told from both.
  ++manifest_.serial;
}

}  // namespace actable::store
