#include "tests/lab/failures/sites.h"

#include <algorithm>
#include <array>

namespace actable::lab {
namespace {

constexpr std::array<std::string_view, 17> k_operations{
    "prepare",     "look into", "list",   "lock",    "make queue",
    "open",        "create",    "read",   "size of", "write",
    "sync",        "allocate",  "rename", "remove",  "sync directory of",
    "queue write", "queue sync"};
constexpr std::array<std::string_view, 6> k_phases{"creating", "recovering", "running",
                                                   "closing",  "backing up", "healing"};

constexpr std::array k_asked{Fault::io_error};
constexpr std::array k_changed{Fault::io_error, Fault::no_space, Fault::done};
constexpr std::array k_written{Fault::io_error, Fault::no_space, Fault::short_write, Fault::done};
constexpr std::array k_queue_written{Fault::io_error, Fault::no_space, Fault::short_write, Fault::cancelled,
                                     Fault::done};
constexpr std::array k_queue_synced{Fault::io_error, Fault::no_space, Fault::cancelled, Fault::done};

constexpr auto k_sites = std::to_array<std::string_view>({
    "creating: prepare",
    "creating: lock",
    "creating: open BACKUP",
    "creating: open STORE",
    "creating: list",
    "creating: open CHECKPOINT",
    "creating: open segment",
    "creating: size of segment",
    "creating: read segment's content",
    "creating: remove segment",
    "creating: make queue",
    "creating: create segment",
    "creating: allocate segment",
    "creating: sync directory of segment",
    "creating: write segment's header",
    "creating: write segment's content",
    "creating: sync segment",
    "creating: remove STORE.new",
    "creating: create STORE.new",
    "creating: write STORE.new",
    "creating: sync STORE.new",
    "creating: rename STORE",
    "creating: sync directory of STORE",
    "recovering: prepare",
    "recovering: look into",
    "recovering: lock",
    "recovering: open BACKUP",
    "recovering: size of BACKUP",
    "recovering: read BACKUP",
    "recovering: remove BACKUP",
    "recovering: open STORE",
    "recovering: read STORE",
    "recovering: list",
    "recovering: open CHECKPOINT",
    "recovering: size of CHECKPOINT",
    "recovering: read CHECKPOINT",
    "recovering: open part",
    "recovering: size of part",
    "recovering: read part",
    "recovering: remove part",
    "recovering: open segment",
    "recovering: read segment's header",
    "recovering: size of segment",
    "recovering: read segment's content",
    "recovering: sync segment",
    "recovering: sync directory of",
    "recovering: make queue",
    "recovering: write segment's content",
    "running: queue write segment",
    "running: queue sync segment",
    "running: write segment's content",
    "running: create segment",
    "running: allocate segment",
    "running: sync directory of segment",
    "running: write segment's header",
    "running: open segment",
    "running: remove segment",
    "running: remove STORE.new",
    "running: create STORE.new",
    "running: write STORE.new",
    "running: sync STORE.new",
    "running: rename STORE",
    "running: sync directory of STORE",
    "running: create part",
    "running: write part",
    "running: sync part",
    "running: sync directory of part",
    "running: remove part",
    "running: remove CHECKPOINT.new",
    "running: create CHECKPOINT.new",
    "running: write CHECKPOINT.new",
    "running: sync CHECKPOINT.new",
    "running: rename CHECKPOINT",
    "running: sync directory of CHECKPOINT",
    "closing: queue write segment",
    "closing: queue sync segment",
    "closing: create segment",
    "closing: allocate segment",
    "closing: sync directory of segment",
    "closing: write segment's header",
    "backing up: prepare",
    "backing up: open BACKUP",
    "backing up: size of BACKUP",
    "backing up: read BACKUP",
    "backing up: list",
    "backing up: lock",
    "backing up: open STORE",
    "backing up: read STORE",
    "backing up: remove BACKUP.new",
    "backing up: create BACKUP.new",
    "backing up: write BACKUP.new",
    "backing up: sync BACKUP.new",
    "backing up: rename BACKUP",
    "backing up: sync directory of BACKUP",
    "backing up: remove part",
    "backing up: create part",
    "backing up: open part",
    "backing up: size of part",
    "backing up: read part",
    "backing up: write part",
    "backing up: sync part",
    "backing up: remove segment",
    "backing up: create segment",
    "backing up: open segment",
    "backing up: size of segment",
    "backing up: read segment's header",
    "backing up: read segment's content",
    "backing up: write segment's header",
    "backing up: write segment's content",
    "backing up: sync segment",
    "backing up: remove CHECKPOINT.new",
    "backing up: create CHECKPOINT.new",
    "backing up: write CHECKPOINT.new",
    "backing up: sync CHECKPOINT.new",
    "backing up: rename CHECKPOINT",
    "backing up: sync directory of CHECKPOINT",
    "backing up: remove STORE.new",
    "backing up: create STORE.new",
    "backing up: write STORE.new",
    "backing up: sync STORE.new",
    "backing up: rename STORE",
    "backing up: sync directory of STORE",
    "healing: list",
    "healing: create part",
    "healing: write part",
    "healing: sync part",
    "healing: sync directory of part",
    "healing: remove part",
    "healing: create segment",
    "healing: allocate segment",
    "healing: sync directory of segment",
    "healing: write segment's header",
    "healing: write segment's content",
    "healing: sync segment",
    "healing: remove CHECKPOINT.new",
    "healing: create CHECKPOINT.new",
    "healing: write CHECKPOINT.new",
    "healing: sync CHECKPOINT.new",
    "healing: rename CHECKPOINT",
    "healing: sync directory of CHECKPOINT",
    "healing: remove STORE.new",
    "healing: create STORE.new",
    "healing: write STORE.new",
    "healing: sync STORE.new",
    "healing: rename STORE",
    "healing: sync directory of STORE",
    "healing: remove segment",
});

/// A file by its role.
std::string_view role_of(std::string_view file) {
  if (file.starts_with("ckpt-")) return "part";
  return file.starts_with("log-") ? "segment" : file;
}

}  // namespace

std::string_view name_of(Operation operation) noexcept { return k_operations[static_cast<std::size_t>(operation)]; }

std::string_view name_of(Fault fault) noexcept {
  static constexpr std::array<std::string_view, 5> k_names{"EIO", "ENOSPC", "short write", "cancelled",
                                                           "EIO although it was done"};
  return k_names[static_cast<std::size_t>(fault)];
}

std::span<const Fault> faults_of(Operation operation) noexcept {
  switch (operation) {
    case Operation::prepare_directory:
    case Operation::look:
    case Operation::list:
    case Operation::lock:
    case Operation::make_queue:
    case Operation::open:
    case Operation::read:
    case Operation::size:
      return k_asked;
    case Operation::create:
    case Operation::sync:
    case Operation::allocate:
    case Operation::rename:
    case Operation::remove:
    case Operation::sync_directory:
      return k_changed;
    case Operation::write:
      return k_written;
    case Operation::queue_write:
      return k_queue_written;
    case Operation::queue_sync:
      break;
  }
  return k_queue_synced;
}

bool can_fail(Operation operation, Fault fault) noexcept {
  return std::ranges::find(faults_of(operation), fault) != faults_of(operation).end();
}

std::string site_name(Phase phase, Operation operation, std::string_view file, std::uint64_t offset) {
  std::string name(k_phases[static_cast<std::size_t>(phase)]);
  name.append(": ").append(name_of(operation));
  if (!file.empty()) name.append(" ").append(role_of(file));
  const bool in_segment = (operation == Operation::write || operation == Operation::read) && role_of(file) == "segment";
  if (in_segment) name += offset == 0 ? "'s header" : "'s content";
  return name;
}

std::span<const std::string_view> all_sites() noexcept { return k_sites; }

bool is_rare_site(std::string_view name) noexcept {
  // An opening that fails late ends a log that is running already.
  const auto call = [](std::string_view site) { return site.substr(site.find(':')); };
  return std::ranges::any_of(
      k_sites, [&](std::string_view site) { return site.starts_with("running") && call(site) == call(name); });
}

std::optional<std::size_t> site_number(std::string_view name) noexcept {
  const auto found = std::ranges::find(k_sites, name);
  if (found == k_sites.end()) return std::nullopt;
  return static_cast<std::size_t>(found - k_sites.begin());
}

}  // namespace actable::lab
