// The client's calls that are about the whole disk: what a crash could leave on it,
// checkpoints, backups, a log that fails and is healed.

#include "store/access.h"
#include "store/checks.h"
#include "tests/lab/failures/life.h"
#include "tests/lab/leg.h"

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace actable::lab {
namespace {

using test::Survival;

constexpr std::array k_survivals{Survival::all, Survival::none, Survival::prefix, Survival::some, Survival::torn};
constexpr std::array<const char*, 5> k_survival_names{"all", "nothing", "a prefix", "some blocks", "torn sectors"};

}  // namespace

/// The disk as it is, and as a crash could leave it now.
void Client::keep(const std::string& where) {
  for (std::size_t i = 0; i < k_survivals.size(); ++i) {
    moments_.push_back({disk_.image(k_survivals[i], scheduler_.random()), history_,
                        where + ", with a crash that " + k_survival_names[i] + " survives"});
  }
}

/// Whatever fails, nothing of the store's content does.
void Client::checkpoint() {
  // Of the few keys here a part holds a few.
  store::Access::core(*store_).checkpointer().set_part_bytes(50'000);
  const Came came = ask("checkpoint", false, [&] { return Came{error_of(store_->checkpoint())}; });
  compare("checkpoint");
  if (!came.error || (came.error->code == ErrorCode::io_error && failed_in_this_life())) return;
  tolerate("checkpoint", *came.error, false);
}

/// A backup that was made is judged as a recovery of the store is. The backup's disk is
/// kept as each crash could leave it: one that was made is the same in all of them.
void Client::backup() {
  const auto returned = history_.all_returned();
  // The caller's own memory.
  const std::filesystem::path to = k_backup_directory;
  seam_.enter(Phase::backing_up);
  const Came came = ask("backup", false, [&] { return Came{error_of(store_->backup(to))}; });
  seam_.enter(Phase::running);
  compare("backup");
  History now = history_;
  // Of a log that has failed what was durable is copied.
  if (!store_->stats().read_only) now.durable(returned);
  // What was lost with the log is not below the backup's cut, and would be below that of the
  // era that opening it begins.
  backup_whole_ = !came.error && !store_->stats().read_only;
  const std::size_t drawn = scheduler_.random().below(k_survivals.size());
  for (std::size_t i = 0; i < k_survivals.size(); ++i) {
    // What is complete is on disk, whatever a crash does: one of them will do.
    if (!came.error && i != drawn) continue;
    Moment moment{backup_.image(k_survivals[i], scheduler_.random()), now,
                  std::string("a backup, with a crash that ") + k_survival_names[i] + " survives"};
    if (came.error) moment.before = backed_up_;
    moments_.push_back(std::move(moment));
  }
  if (!came.error) backed_up_ = std::move(now);
  if (!came.error || (came.error->code == ErrorCode::io_error && failed_in_this_life())) return;
  tolerate("backup", *came.error, false);
}

/// Where it has all that had returned. As `Store::open` and `Store::close`, whatever fails:
/// what is left is a backup or a store.
void Client::open_backup() {
  if (!backup_whole_) return;
  Options options = script_options();
  options.directory = k_backup_directory;
  seam_.enter(Phase::recovering);
  const Came came = ask("open the backup", false, [&] {
    auto opened = store::guarded("opening the store", [&] { return store::Access::open_unchecked(options, seam_); });
    if (!opened) return Came{std::move(opened).error()};
    return Came{error_of(opened->close())};
  });
  require(seam_.held() == 0, "the backup, closed, keeps files, a queue or the directory's lock");
  require(!came.error || failed_in_this_life(), "the backup does not open, and nothing had failed");
  moments_.push_back({backup_.image(Survival::none, scheduler_.random()), backed_up_, "the backup that was opened"});
  heal();
}

/// One attempt. Where it fails the store is as it was.
bool Client::healed() {
  const auto returned = history_.all_returned();
  seam_.enter(Phase::healing);
  const Came came = ask("heal", false, [&] { return Came{error_of(store_->heal())}; });
  seam_.enter(Phase::running);
  compare("heal");
  if (!came.error) {
    // What was open is settled.
    history_.durable(returned);
    broken_ = false;
    return true;
  }
  const std::string what = "heal came to " + std::string(to_string(came.error->code)) + ": " + came.error->message;
  require(test::allocations::failed() + seam_.failed().size() != 0, what + ", and nothing had failed");
  require(came.error->code == ErrorCode::io_error || came.error->code == ErrorCode::no_memory ||
              came.error->code == ErrorCode::overloaded,
          what);
  require(store_->stats().read_only, what + ", and the store takes writes");
  keep("after a heal that failed");
  return false;
}

void Client::fail_and_heal(const Key& key) {
  seam_.break_log(true);
  broken_ = true;
  put(key, 8, {.durability = Durability::sync});
  seam_.break_log(false);
  // Unless the put got nowhere, because something else had failed.
  if (!store_->stats().read_only) {
    broken_ = false;
    return;
  }
  if (healed()) return;
  heal();
  if (healed()) return;
  // A batch that was torn by a lack of memory: nothing heals that but opening again.
  require(test::allocations::failed() != 0, "the store is not healed though the disk is well again");
}

void Client::leave_behind(const std::string& name) { disk_.put(name, {}); }

}  // namespace actable::lab
