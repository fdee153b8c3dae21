#pragma once

#include "base/file.h"
#include "checkpoint/file_writer.h"
#include "checkpoint/manifest.h"
#include "store/gathered.h"
#include "store/space_core.h"
#include "store/thread_context.h"
#include "table/hash_table.h"
#include "wal/log.h"

#include <actable/result.h>
#include <actable/stats.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace actable::store {

class Checkpointer;
class StoreCore;

/// Gives a store whose log has failed another log.
///
///   quiet       a bump; wait until no writer is left that began before it. The tables of
///               the logged spaces stand still. A second bump, to C, and such a wait.
///   writing     all that they hold goes into new files of a checkpoint.
///   beginning   the first segment of another log is written, with cut C.
///   publishing  a manifest that names the files, and the log by its generation.
///   going on    the log's thread drops what was staged and takes over; the durable
///               number is C; writes are taken. The old log and checkpoint are removed.
///
/// *Why nothing moves.* A writer looks at whether the log has failed while it is pinned
/// (wal::Log::ready), before it changes anything. The first bump comes after the failure
/// was seen. Who pins in its epoch or later has read a word that the bump wrote, so he sees
/// the failure and is refused. Who was pinned before is waited for. So from then on until
/// the log goes on nobody writes to a logged space, and the catalog is one. The spaces
/// themselves change under a mutex, behind their entry in the catalog: who held it has let
/// go of it when `unchanging_spaces` answers, and nobody has a new entry.
///
/// *Why C parts what was from what comes.* Who was pinned before the first bump may draw a
/// number of an epoch behind it, but he is gone before the second: all that the tables hold
/// is below C. Who is pinned between the two is refused, and gone before the log goes on.
/// So who writes then has pinned in C's epoch or later, and his numbers are leased there
/// (rule 2 of docs/architecture.md).
///
/// *Why nothing is lost.* What was durable is in the tables, for all that is staged was
/// published before, and replay restores what was durable (a batch that was torn by a lack
/// of memory is the exception, and ends healing: Checkpointer::forbidden). So it is in the
/// files, or overwritten by what is there. So is what was neither durable nor lost: its
/// fate was open, and it becomes durable now. What the stagers hold is below C, and in the
/// files. What is written later is numbered from C on, and is in the new log.
///
/// *Why it is one step.* The manifest is renamed: before that the old manifest and the old
/// log count, and the new files are leftovers (wal/beginning.h); behind it the new ones
/// count, and the new log has no record yet. Writes are taken when the renaming is on
/// disk. Where it is not known whether it is, all files stay, and either way the store
/// opens with what was durable; healing may be tried again then, with yet other files: the
/// third manifest takes the place of either.
///
/// *What is not retried.* No file of before is synced or written again. Of the directory
/// only names count that are made anew, and they are synced behind that.
///
/// Thread safety: *confined*; one at a time in a store.
class Healing {
 public:
  Healing(StoreCore& store, base::FileSystem& files, wal::Log& log, ThreadContext& context);
  ~Healing();
  Healing(const Healing&) = delete;
  Healing& operator=(const Healing&) = delete;

  /// Fails as `Store::heal`.
  [[nodiscard]] Result<Healed> run();

 private:
  void wait_for_writers(Seq bumped);
  [[nodiscard]] Result<void> become_quiet();
  [[nodiscard]] Result<void> write_files();
  [[nodiscard]] Result<void> write_file(unsigned group, unsigned groups);
  [[nodiscard]] Result<void> write_space(SpaceCore& space, unsigned group, unsigned groups);
  [[nodiscard]] Result<void> append_gathered();
  [[nodiscard]] Result<void> check_open() const;
  [[nodiscard]] Result<void> publish();
  void go_on();

  StoreCore& store_;
  Checkpointer& checkpointer_;
  base::FileSystem& files_;
  wal::Log& log_;
  ThreadContext& context_;

  bool holds_ = false;
  // Once it is published, or may be, nothing of it is removed.
  bool kept_ = false;
  Seq cut_ = 0;
  std::vector<std::shared_ptr<SpaceCore>> spaces_;
  checkpoint::Manifest manifest_;
  wal::Beginning beginning_;

  // The numbers of the files that were made, which go if this fails.
  std::vector<std::uint64_t> made_;
  // The one that is being written.
  std::unique_ptr<checkpoint::FileWriter> file_;
  Gathered gathered_;
};

}  // namespace actable::store
