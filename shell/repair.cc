#include "shell/repair.h"

#include "base/descriptor.h"
#include "base/hash.h"
#include "shell/interrupt.h"
#include "shell/words.h"
#include "store/catalog.h"
#include "store/log_beginning.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <tuple>
#include <utility>

namespace shell {

namespace base = actable::base;
namespace checkpoint = actable::checkpoint;
namespace fs = std::filesystem;
namespace store = actable::store;
namespace wal = actable::wal;
using actable::ErrorCode;
using actable::Result;
using actable::Seq;

namespace {

constexpr const char* k_interrupted = "interrupted";

/// The path without what names it twice; as far as it is there links are followed.
[[nodiscard]] fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) real = fs::absolute(path, error).lexically_normal();
  // "a/" is "a".
  return real.filename().empty() ? real.parent_path() : real;
}

}  // namespace

Repair::~Repair() { remove_part(); }

void Repair::remove_part() {
  std::error_code gone;
  if (!part_.empty()) fs::remove_all(part_, gone);
  part_.clear();
}

bool Repair::lost() const noexcept {
  const bool unnamed = std::ranges::any_of(spaces_, [](const auto& space) { return !space.second.named; });
  return !stale_.empty() || unnamed || std::ranges::any_of(damages_, &Damage::lost);
}

Got<void> Repair::run() {
  auto done = make();
  if (!done) remove_part();
  return done;
}

Got<void> Repair::make() {
  if (auto checked = check_target(); !checked) return checked;
  if (auto found = find(); !found) return found;
  if (auto chosen = choose(); !chosen) return chosen;
  judge();
  if (auto named = name_spaces(); !named) return named;
  list_stale();
  if (auto written = write(); !written) return written;
  return publish();
}

Got<void> Repair::check_target() const {
  const fs::path from = real_path(source_.directory()), to = real_path(target_);
  const auto [in_from, in_to] = std::ranges::mismatch(from, to);
  if (in_from == from.end()) {
    return failed("repair: " + target_.string() +
                      (in_to == to.end() ? " is the damaged store's directory" : " is inside the damaged store") +
                      ", in which nothing is changed: give another directory",
                  k_status_not_asked);
  }
  std::error_code error;
  const fs::file_status status = fs::symlink_status(target_, error);
  if (fs::exists(status)) {
    if (!fs::is_directory(status))
      return failed("repair: " + target_.string() + " is no directory", k_status_not_asked);
    const bool empty = fs::is_empty(target_, error);
    if (error) return failed("cannot look into " + target_.string() + ": " + error.message(), k_status_not_asked);
    if (!empty) {
      return failed("repair: " + target_.string() + " is not empty: give a directory that is not there, or is empty",
                    k_status_not_asked);
    }
  } else if (!fs::is_directory(to.parent_path(), error)) {
    return failed("repair: " + to.parent_path().string() + ", where the new directory is to be, is no directory",
                  k_status_not_asked);
  }
  return {};
}

/// What there is to read.
Got<void> Repair::find() {
  if (auto listed = log_.list(); !listed) return listed;
  auto identity = source_.identity();
  std::optional<std::uint64_t> id = identity ? std::optional(identity->store_id) : log_.store_id();
  if (!id) {
    auto of_checkpoint = checkpoint_.store_id();
    if (!of_checkpoint) return std::unexpected(std::move(of_checkpoint.error()));
    id = *of_checkpoint;
  }
  if (!id) {
    return failed(source_.directory().string() +
                  ": which store the files are of is not to be known: STORE, the "
                  "headers of all segments and the checkpoint are damaged");
  }
  if (!identity) {
    damages_.push_back({.file = wal::k_identity_file,
                        .what = "the store's identity: damaged or missing; other files tell it",
                        .lost = false});
  }
  if (auto found = checkpoint_.find(*id, identity); !found) return found;
  const std::uint64_t log_bytes = log_.bytes();
  // All frames, then twice those that count.
  source_.begin_reading(3 * log_bytes + 2 * checkpoint_.bytes());
  if (auto scanned = log_.scan(*id); !scanned) return scanned;
  const auto& manifest = checkpoint_.manifest();
  if (manifest && identity) identity = actable::store::with_beginning(*identity, *manifest);
  log_.follow(identity, manifest ? manifest->first_frame() : 1);
  tail_lost_ = manifest && manifest->seq_end() > log_.cut();
  tail_unread_ = std::ranges::any_of(files_.holes(), [this](const auto& of_file) {
    const auto& [file, holes] = of_file;
    return !holes.empty() && log_.may_go_on_in(file, holes.rbegin()->second);
  });
  log_has_all_ = log_.from_the_first() && !tail_lost_ && !tail_unread_;
  return {};
}

bool Repair::whole(std::string_view key) const {
  const auto& manifest = checkpoint_.manifest();
  return manifest && checkpoint_.whole(checkpoint::group_of(base::hash_key(key, manifest->hash_seed)));
}

/// A version that is numbered from there on, or is as of there, is the last one of the key.
Seq Repair::settled(std::string_view key) const {
  // How far the log had gone on nobody knows.
  if (tail_lost_ || tail_unread_) return ~Seq{0};
  return whole(key) ? log_.settled() : std::max(log_.settled(), log_.settled_in_all());
}

Got<void> Repair::each_record(const See& see) {
  const auto& manifest = checkpoint_.manifest();
  discarded_ = 0;
  // Where the log has all, files that no manifest ever named tell nothing: an unfinished checkpoint left them.
  if (manifest || checkpoint_.manifest_lost() || !log_has_all_) {
    auto done = checkpoint_.deliver([&](const checkpoint::Record& record) -> Result<void> {
      Seq as_of = record.seq;
      if (manifest) {
        // It was walked at the cut or later.
        as_of = std::max(as_of,
                         manifest->groups[checkpoint::group_of(base::hash_key(record.key, manifest->hash_seed))].cut);
      } else if (record.seq >= log_.cut()) {
        // It may be of a checkpoint that was not finished, and then nobody was told that it is on disk.
        ++discarded_;
        beyond_ = true;
        return {};
      }
      return see(record.space, record.key, record.value, {.seq = record.seq, .as_of = as_of});
    });
    if (!done) return done;
  }
  auto done = log_.deliver([&](const wal::LogRecord& record) -> Result<void> {
    if (whole(record.key)) {
      // The checkpoint has what became of it.
      const unsigned group = checkpoint::group_of(base::hash_key(record.key, manifest->hash_seed));
      if (record.seq < manifest->groups[group].cut) {
        // It has no entry of a space that was dropped: this says that there was one.
        if (record.space == store::k_catalog_id && !record.tombstone) note_name(record.value);
        return {};
      }
    }
    return see(record.space, record.key, record.value,
               {.seq = record.seq, .as_of = record.seq, .tombstone = record.tombstone});
  });
  discarded_ += log_.discarded();
  return done;
}

/// False where it is no entry of the catalog.
bool Repair::note_name(std::string_view value) {
  const auto id = store::decode_space(value);
  if (id) named_ids_.insert(*id);
  return id.has_value();
}

Got<void> Repair::choose() {
  bool readable = true;
  auto done = each_record(
      [&](std::uint32_t space, std::string_view key, std::string_view value, const Version& version) -> Result<void> {
        Version& newest = newest_[space][std::string(key)];
        if (newest.seq == version.seq) newest.as_of = std::max(newest.as_of, version.as_of);
        const bool newer = newest.seq < version.seq;
        if (newer) newest = version;
        if (space != store::k_catalog_id) return {};
        if (newer) catalog_[std::string(key)] = value;
        if (!version.tombstone) readable &= note_name(value);
        return {};
      });
  if (!done) return done;
  if (checkpoint_.manifest_lost() && beyond_) {
    tail_lost_ = true;
    log_has_all_ = false;
  }
  if (readable) return {};
  return failed(source_.directory().string() + ": the catalog has an entry of a later version: use its actable-shell",
                k_status_not_asked);
}

/// Which of the damages lost anything.
void Repair::judge() {
  const auto& manifest = checkpoint_.manifest();
  const bool whole = manifest && std::ranges::none_of(checkpoint_.damages(), [](const Damage&) { return true; });
  for (Damage damage : checkpoint_.damages()) {
    damage.lost = !log_has_all_;
    damages_.push_back(std::move(damage));
  }
  for (Damage damage : log_.damages()) {
    if (damage.replaced) damage.lost = !whole;
    damages_.push_back(std::move(damage));
  }
  if (tail_lost_) {
    damages_.push_back(
        {.what = manifest
                     ? "the end of the log: the checkpoint shows that it had gone on"
                     : "the end of the log: it had gone on, or files of a checkpoint that was not finished are there",
         .from = log_.cut()});
  }
  note_holes();
}

/// Where the disk cannot be read: with the damage that it made, or by itself.
void Repair::note_holes() {
  const std::size_t damages = damages_.size();
  std::map<std::size_t, PassingFiles::Holes> made;
  const bool missing = std::ranges::any_of(log_.damages(), [](const Damage& damage) { return damage.file.empty(); });
  for (const auto& [file, holes] : files_.holes()) {
    for (const auto& [begin, end] : holes) {
      const bool goes_on = log_.may_go_on_in(file, end);
      std::size_t by = 0;
      while (by < damages && (damages_[by].file != file || !damages_[by].covers(begin, end))) ++by;
      if (by < damages && !goes_on) {
        made[by].emplace(begin, end);
        continue;
      }
      damages_.push_back({.file = file,
                          .offset = begin,
                          .bytes = end - begin,
                          .what = goes_on ? "cannot be read; the log may have gone on there" : "cannot be read",
                          .from = goes_on ? log_.cut() : 0,
                          // What is missing somewhere may be there.
                          .lost = goes_on || missing});
    }
  }
  for (const auto& [damage, holes] : made) {
    std::uint64_t bytes = 0;
    for (const auto& [begin, end] : holes) bytes += end - begin;
    damages_[damage].what += "; " + std::to_string(bytes) + " bytes cannot be read, from offset " +
                             std::to_string(holes.begin()->first) + " on";
  }
}

std::string Repair::made_up_name(std::uint32_t id) const {
  const auto taken = [this](const std::string& name) {
    return std::ranges::any_of(spaces_, [&](const auto& space) { return space.second.name == name; });
  };
  if (const auto& manifest = checkpoint_.manifest()) {
    const auto known = std::ranges::find(manifest->spaces, id, &checkpoint::SpaceEntry::id);
    if (known != manifest->spaces.end() && !known->name.empty() && !taken(known->name)) return known->name;
  }
  std::string name = "space-" + std::to_string(id);
  while (taken(name)) name += '_';
  return name;
}

Got<void> Repair::name_spaces() {
  for (const auto& [name, version] : newest_[store::k_catalog_id]) {
    if (version.tombstone) continue;
    const std::uint32_t id = *store::decode_space(catalog_.at(name));
    spaces_[id] = {.name = name, .stale = version.as_of < settled(name)};
  }
  const bool may_lack = std::ranges::any_of(damages_, &Damage::lost);
  for (auto& [id, keys] : newest_) {
    if (id == store::k_catalog_id) continue;
    const auto live = std::ranges::count_if(keys, [](const auto& entry) { return !entry.second.tombstone; });
    if (!spaces_.contains(id)) {
      // The catalog told of it, and tells no more: it was dropped.
      const bool dropped = named_ids_.contains(id) || !may_lack;
      if (dropped || live == 0) {
        keys.clear();
        continue;
      }
      spaces_[id] = {.name = made_up_name(id), .named = false, .stale = true};
    }
    spaces_[id].keys = static_cast<std::uint64_t>(live);
  }
  return {};
}

void Repair::list_stale() {
  for (const auto& [id, space] : spaces_) {
    for (const auto& [key, version] : newest_[id]) {
      if (!version.tombstone && version.as_of < settled(key)) stale_.push_back({space.name, key, version.seq});
    }
  }
  std::ranges::sort(stale_, {}, [](const Stale& stale) { return std::tie(stale.space, stale.key); });
}

Got<void> Repair::put(actable::Space& space, std::string_view key, std::string_view value) const {
  constexpr auto k_patience = std::chrono::seconds(30);
  const auto give_up_at = std::chrono::steady_clock::now() + k_patience;
  while (true) {
    const auto seq = space.put(key, value);
    if (seq) return {};
    // The disk is slower than we are. It has waited already.
    if (seq.error().code != ErrorCode::overloaded || std::chrono::steady_clock::now() > give_up_at) {
      return failed(seq.error());
    }
    if (interrupted) return failed(k_interrupted, k_status_interrupted);
  }
}

/// Beside the place where it is to be: it is there whole or not at all.
Got<void> Repair::write() {
  std::string part = real_path(target_).string() + ".part-XXXXXX";
  if (mkdtemp(part.data()) == nullptr) {
    return failed("cannot make " + part + ": " + std::strerror(errno), k_status_not_asked);
  }
  part_ = part;
  actable::Options options;
  options.directory = part_;
  options.log_nice = 0;
  options.write_deadline = std::chrono::milliseconds(200);
  // As the service has it.
  constexpr std::uint64_t k_least = std::uint64_t{1} << 20, k_most = std::uint64_t{4} << 30;
  const std::uint64_t segment_bytes = log_.segment_bytes();
  if (segment_bytes >= k_least && segment_bytes <= k_most) options.segment_bytes = segment_bytes;
  auto opened = actable::Store::open(options);
  if (!opened) return failed(opened.error());
  std::map<std::uint32_t, actable::Space> made;
  for (const auto& [id, space] : spaces_) {
    auto one = opened->space(space.name);
    if (!one) return failed(one.error());
    made.emplace(id, *std::move(one));
  }
  std::optional<Failure> failure;
  auto done = each_record(
      [&](std::uint32_t id, std::string_view key, std::string_view value, const Version& version) -> Result<void> {
        const auto space = made.find(id);
        if (space == made.end() || version.tombstone) return {};
        const auto newest = newest_[id].find(std::string(key));
        if (newest == newest_[id].end() || newest->second.seq != version.seq || newest->second.written) return {};
        newest->second.written = true;
        auto stored = put(space->second, key, value);
        if (stored) return {};
        failure = std::move(stored.error());
        return actable::fail(ErrorCode::closed, "");
      });
  if (failure) return std::unexpected(*std::move(failure));
  if (!done) return done;
  for (const auto& [id, space] : spaces_) {
    for (const auto& [key, version] : newest_[id]) {
      if (version.tombstone || version.written) continue;
      return failed("the files in " + source_.directory().string() + " changed while they were read: try again");
    }
  }
  if (auto synced = opened->sync(); !synced) return failed(synced.error());
  if (auto closed = opened->close(); !closed) return failed(closed.error());
  return {};
}

Got<void> Repair::publish() {
  // A process may have begun to write meanwhile: then what was read is a mixture.
  if (auto closed = source_.expect_closed(); !closed) return closed;
  if (interrupted) return failed(k_interrupted, k_status_interrupted);
  const fs::path to = real_path(target_);
  // Takes the place of an empty directory, and of nothing else.
  if (rename(part_.c_str(), to.c_str()) != 0) {
    return failed("cannot give " + target_.string() + " its name: " + std::strerror(errno), k_status_not_asked);
  }
  part_ = to;
  const base::Descriptor parent(open(to.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || fsync(parent.number()) != 0) {
    return failed("cannot sync the directory " + to.parent_path().string() + ": " + std::strerror(errno));
  }
  part_.clear();
  return {};
}

}  // namespace shell
