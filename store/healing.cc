#include "store/healing.h"

#include "base/failure.h"
#include "base/fence.h"
#include "base/park.h"
#include "base/signals.h"
#include "store/checkpointer.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include <sched.h>

namespace actable::store {
namespace {

using checkpoint::k_groups;

// So that the files are read by several threads.
constexpr std::size_t k_file_bytes = std::size_t{16} << 20;

}  // namespace

Healing::Healing(StoreCore& store, base::FileSystem& files, wal::Log& log, ThreadContext& context)
    : store_(store), checkpointer_(store.checkpointer()), files_(files), log_(log), context_(context) {}

Healing::~Healing() {
  if (!kept_) {
    file_.reset();
    for (const std::uint64_t number : made_) {
      (void)guarded("removing a file", [&]() -> Result<void> {
        return files_.remove(store_.options().directory / checkpoint::file_name(number));
      });
    }
    if (beginning_.segments != nullptr) wal::Log::forget(std::move(beginning_));
  }
  if (holds_) checkpointer_.let_steps_go();
}

Result<Healed> Healing::run() {
  // Beyond the process's limit on files a write fails, and ends nothing.
  const base::FileSizeSignalBlocked blocked;
  holds_ = checkpointer_.hold_steps();
  if (!holds_) return store_.closed_error();
  Healed healed{.began_anew = true, .open_from = log_.durable()};
  if (auto quiet = become_quiet(); !quiet) return std::unexpected(std::move(quiet.error()));
  if (auto written = write_files(); !written) return std::unexpected(std::move(written.error()));
  auto beginning = log_.prepare_anew(cut_);
  if (!beginning) return std::unexpected(std::move(beginning.error()));
  beginning_ = *std::move(beginning);
  // All is there, and nothing names it.
  ACTABLE_FAIL_POINT("heal.prepared");
  if (auto published = publish(); !published) return std::unexpected(std::move(published.error()));
  healed.durable = cut_ - 1;
  healed.records = manifest_.records();
  healed.bytes = manifest_.bytes();
  go_on();
  return healed;
}

Result<void> Healing::check_open() const {
  if (checkpointer_.stopped() || !store_.is_open()) return store_.closed_error();
  return {};
}

/// Until nobody is left who has pinned in an epoch before.
void Healing::wait_for_writers(Seq bumped) {
  ACTABLE_PARK("heal.bumped");
  base::heavy_fence();
  const auto quiet = [&] { return !store_.epochs().writers_before(base::epoch_of(bumped)); };
  ACTABLE_AWAIT("heal.quiet", quiet);
  while (!quiet()) sched_yield();
}

Result<void> Healing::become_quiet() {
  // Twice: who was pinned before the first may have drawn a number behind it.
  wait_for_writers(store_.epochs().bump());
  cut_ = store_.epochs().bump();
  wait_for_writers(cut_);
  while (true) {
    if (auto open = check_open(); !open) return open;
    if (auto now = store_.unchanging_spaces()) {
      spaces_ = std::move(now->spaces);
      manifest_ = checkpointer_.manifest();
      manifest_.next_space_id = now->next_space_id;
      break;
    }
    // Spaces are being made or dropped.
    ACTABLE_YIELD("store.yield");
    sched_yield();
  }
  if (checkpointer_.forbidden()) {
    return base::failure(ErrorCode::no_memory,
                         "memory ran out while a batch was applied, and the tables lack a part of what the log has; "
                         "mend the disk and open the store again");
  }
  std::erase_if(spaces_, [](const auto& space) { return !space->logged(); });
  return {};
}

Result<void> Healing::write_files() {
  ++manifest_.serial;
  manifest_.files.clear();
  manifest_.spaces.clear();
  std::size_t payload_bytes = 0;
  for (const auto& space : spaces_) {
    manifest_.spaces.push_back({space->id(), space->name(), space->keys()});
    payload_bytes += space->stats().payload_bytes;
  }
  const auto files = std::bit_ceil(std::min<std::size_t>(k_groups, 1 + payload_bytes / k_file_bytes));
  const unsigned groups = k_groups / static_cast<unsigned>(files);
  for (unsigned group = 0; group < k_groups; group += groups) {
    if (auto written = write_file(group, groups); !written) return written;
  }
  return {};
}

Result<void> Healing::write_file(unsigned group, unsigned groups) {
  for (const auto& space : spaces_) {
    if (auto written = write_space(*space, group, groups); !written) return written;
  }
  std::uint64_t number = 0;
  if (file_ != nullptr) {
    auto entry = file_->finish();
    if (!entry) return std::unexpected(std::move(entry.error()));
    manifest_.files.push_back(*entry);
    number = entry->number;
    file_.reset();
  }
  for (unsigned i = group; i < group + groups; ++i) manifest_.groups[i] = {number, cut_, 0};
  return {};
}

Result<void> Healing::write_space(SpaceCore& space, unsigned group, unsigned groups) {
  table::ScanPosition at{.first = checkpoint::first_hash_of(group), .limit = checkpoint::first_hash_of(group + groups)};
  while (!at.done) {
    if (auto open = check_open(); !open) return open;
    {
      const base::ReadPin pin(store_.epochs(), context_.slot);
      // It cannot have been dropped: that would have been a write.
      if (space.state() != SpaceCore::State::open) return store_.closed_error();
      gathered_.gather(space, at);
    }
    if (auto appended = append_gathered(); !appended) return appended;
  }
  return {};
}

Result<void> Healing::append_gathered() {
  if (gathered_.empty()) return {};
  if (file_ == nullptr) {
    const std::uint64_t number = checkpointer_.take_file_number();
    made_.reserve(made_.size() + 1);
    auto file = checkpoint::FileWriter::create(files_, store_.options().directory, number, manifest_.store_id,
                                               checkpoint::Compression::of(store_.options()));
    if (!file) return std::unexpected(std::move(file.error()));
    file_ = *std::move(file);
    made_.push_back(number);
  }
  return gathered_.append_to(*file_);
}

/// Either all of the old or all of the new counts, from the renaming in it on.
Result<void> Healing::publish() {
  if (auto open = check_open(); !open) return open;
  for (checkpoint::Group& group : manifest_.groups) group.first_frame = beginning_.first_frame;
  manifest_.log_generation = beginning_.generation;
  manifest_.log_first_frame = beginning_.first_frame;
  checkpoint::Published published = checkpoint::write_manifest(files_, store_.options().directory, manifest_);
  if (!published.error) {
    kept_ = true;
    return {};
  }
  if (published.either) {
    // Whichever counts after a crash, its files are there.
    kept_ = true;
    checkpointer_.leave_undecided(published.error->message);
  }
  return std::unexpected(*std::move(published.error));
}

void Healing::go_on() {
  // The new log counts, and the old one goes on to be the one that has failed.
  ACTABLE_FAIL_POINT("heal.published");
  log_.begin_anew(std::move(beginning_));
  // Writes are taken, and what the manifest does not name is there.
  ACTABLE_FAIL_POINT("heal.begun");
  checkpointer_.replace(std::move(manifest_));
}

Result<Healed> StoreCore::heal() {
  if (options_.directory.empty()) {
    return base::failure(ErrorCode::unsupported,
                         "this store is pure memory (Options::directory is empty): it has no log that could fail");
  }
  if (inside_visitor()) {
    return base::failure(ErrorCode::invalid_argument,
                         "heal was called from inside a visitor or an update's function; return from it first");
  }
  if (!is_open()) return closed_error();
  auto own = context();
  if (!own) return std::unexpected(std::move(own.error()));
  // Alone: backups copy files that go.
  const std::lock_guard one(healing_mutex_);
  const std::shared_ptr<wal::Log> log = find_log();
  if (log == nullptr) return closed_error();
  if (log->refused()) {
    return base::failure(ErrorCode::read_only, [&] {
      return "the store takes no more writes for another reason than its disk (" + log->failure() +
             "), which healing does not change; open the store again";
    });
  }
  if (!log->failed()) return Healed{.durable = durable_seq()};
  const std::string why = log->failure();
  Result<Healed> healed = Healing(*this, files_, *log, **own).run();
  if (!healed) return healed;
  heals_.fetch_add(1, std::memory_order_relaxed);
  // It is done, whether or not there is memory to say so.
  (void)guarded("telling of it", [&]() -> Result<void> {
    report(LogLevel::info, "the store takes writes again, with a new log; it was read-only because of this: " + why +
                               "; all writes up to number " + std::to_string(healed->durable) +
                               " are on disk, those from " + std::to_string(healed->open_from) +
                               " on, of which that was open, among them (" + std::to_string(healed->records) +
                               " records in a new checkpoint)");
    return {};
  });
  return healed;
}

}  // namespace actable::store
