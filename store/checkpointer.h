#pragma once

#include "base/bell.h"
#include "base/file.h"
#include "checkpoint/file_writer.h"
#include "checkpoint/manifest.h"
#include "store/checkpoint_schedule.h"
#include "store/gathered.h"
#include "store/pace.h"
#include "store/space_core.h"
#include "store/thread_context.h"
#include "table/hash_table.h"

#include <actable/result.h>
#include <actable/stats.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace actable::wal {
class Log;
}

namespace actable::store {

class StoreCore;

/// How a step of a checkpoint ended.
enum class Checkpointed : std::uint8_t {
  /// There is nothing to do: nobody has asked for a checkpoint.
  resting,
  /// The log, or another step, holds up what comes next: again in some milliseconds.
  waiting,
  /// As much was written as `Options::checkpoint_bytes_per_second` allows: again after
  /// `Checkpointer::pause`.
  pausing,
  /// Something was done, and there is more.
  working,
};

/// Writes checkpoints, in short steps that others drive: a call of
/// `Store::checkpoint`, or a test. It has no thread.
///
/// A *pass* writes all that the logged spaces hold, in *parts*: some groups of keys
/// (checkpoint/format.h) at a time, so that a part's old file goes before the next
/// part's new one is written. The stages of a part:
///   cutting     a frame F and then a number S were read off; wait until all below
///               S is on disk. The cut C is the durable number then.
///   walking     all records of the part's groups go into a new file, in bounded steps.
///   covering    a number E was read off behind the last step of the walk; wait until
///               all below E is on disk (rule 7 of docs/architecture.md), and publish
///               the manifest.
/// Then the old files go, and the log's segments of frames before the least F of
/// all groups.
///
/// *Why it holds what it must.* Take a key and the last write to it below the cut R
/// that recovery comes to; all writes below E that were logged are below R. Let its
/// number n be below C. Every write below C had been published before the walk began, so
/// the walk found what n left, a record or nothing, or what a later write to that key had
/// left by then. The number of that one would be below E, all such writes are on disk,
/// and R is above them: n would not be the last. So it was n. (It does not do to wait for the numbers that were
/// captured: an erasure that is lost in a crash leaves none behind, and the walk no record of the write before it.) If
/// n is not below C, it is not below S, and S was read after F: numbers from S on had not been leased then, so n was
/// staged after F was read and is in a frame from F on, which the log still has. Records of the log below C are not
/// applied (rule 8): the walk has seen what became of them.
///
/// *Spaces.* Which there are is read after C and before the walk. A space that
/// is made later has a catalog entry and records not below S; one that is dropped
/// meanwhile is walked no further, and its drop is below E: it has no records to lose.
/// The manifest names all spaces that its files have records of, dropped ones too.
///
/// *Failures.* Until the manifest is renamed nothing has changed: the new file is
/// removed, by the next opening where that fails, and a later pass makes another. If it
/// is not known whether the renaming will last, both checkpoints' files stay, and no other
/// checkpoint is written in this life of the store.
///
/// Thread safety: *synchronized*.
class Checkpointer {
 public:
  Checkpointer(StoreCore& store, base::FileSystem& files);

  /// Goes on where recovery found the directory: the manifest, without files where
  /// there is none, and the numbers of files that were there. Before the first step.
  void take_over(checkpoint::Manifest manifest, std::set<std::uint64_t> file_numbers);

  /// A part is about as large, if that does not make more than `k_groups` of them. For
  /// tests, whose stores are small; before a pass is asked for.
  void set_part_bytes(std::size_t bytes) noexcept { part_bytes_.store(bytes, std::memory_order_relaxed); }

  /// Beyond what the checkpoint has, the log holds something from before this opening.
  void recovered_more() noexcept { recovered_more_ = true; }

  /// True when the rules of `Options` ask for a pass and none is under way.
  [[nodiscard]] bool due() const;
  /// True when the log has something that the last pass did not look at.
  [[nodiscard]] bool changed() const;

  /// Has the next step begin a pass, unless one is under way. Returns that one's number.
  std::uint64_t ask() noexcept;
  /// The pass that ended last.
  [[nodiscard]] std::uint64_t ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  /// How it ended.
  [[nodiscard]] Result<void> outcome() const;

  /// One step: 256 KiB of records and the rest of a bucket, or a sync of a file. Fails
  /// as the pass does that it ends, with
  ///   read_only  the log has failed
  ///   io_error   nothing has changed, or see above
  ///   closed     it was cancelled, or the store is closing
  ///   no_memory
  [[nodiscard]] Result<Checkpointed> step(ThreadContext& context);

  /// Returns when a step has ended since `heard`, or at once; for who was told to wait
  /// while another drives.
  [[nodiscard]] std::uint32_t heard() const noexcept { return stepped_.heard(); }
  void await_step(std::uint32_t heard) noexcept;
  /// How long to wait after a step that returned `pausing`; and the waiting itself, which
  /// ends early where the pass is cancelled.
  [[nodiscard]] std::chrono::nanoseconds pause() const noexcept {
    return std::chrono::nanoseconds(pause_ns_.load(std::memory_order_relaxed));
  }
  void await_pause() noexcept;
  /// In place of the option, from now on. 0: without limit.
  void set_bytes_per_second(std::uint64_t rate) noexcept { rate_.store(rate, std::memory_order_relaxed); }
  [[nodiscard]] bool driven() const noexcept { return driven_.load(std::memory_order_acquire); }

  /// The number that a step waits for to be durable; 0: none.
  [[nodiscard]] Seq awaited() const noexcept { return awaited_.load(std::memory_order_relaxed); }

  /// Memory ran out while a batch was published: the tables lack a part of what the log
  /// has. So no checkpoint may be written of them in this life of the store. For a
  /// caller that is still pinned for that write.
  void forbid() noexcept { forbidden_.store(true, std::memory_order_release); }

  /// The manifest of the checkpoint that there is now; without files where there is none.
  /// Its files stay until `end_hold` has been called as often, though passes go on.
  [[nodiscard]] checkpoint::Manifest hold();
  void end_hold() noexcept;

  /// Ends a pass that is under way with its next step.
  void cancel() noexcept;
  /// Ends a pass that is under way, and all steps, at once. Before the log is closed.
  void stop() noexcept;

  /// For healing, which writes a checkpoint of its own (store/healing.h): ends a pass that
  /// is under way, and keeps all steps waiting until `let_steps_go`. False, and nothing to
  /// let go, once `stop` was called.
  [[nodiscard]] bool hold_steps() noexcept;
  void let_steps_go() noexcept { leave_step(); }
  [[nodiscard]] bool stopped() const noexcept { return stopped_.load(std::memory_order_acquire); }
  /// As said by `forbid`. acquire: pairs with the release there.
  [[nodiscard]] bool forbidden() const noexcept { return forbidden_.load(std::memory_order_acquire); }
  // For who holds the steps.

  /// The one that counts; one of two, after a failure that left open which.
  [[nodiscard]] const checkpoint::Manifest& manifest() const noexcept { return manifest_; }
  /// For a new file.
  [[nodiscard]] std::uint64_t take_file_number();
  /// Goes on from this one, which is on disk, and removes the files that it does not name.
  void replace(checkpoint::Manifest manifest) noexcept;
  /// The next manifest was to be published, and whether it counts is not known.
  void leave_undecided(const std::string& why);

  [[nodiscard]] CheckpointStats stats() const;

 private:
  // So that a part takes a tenth of a second or so, and files are many enough to be
  // read by several threads.
  static constexpr std::size_t k_part_bytes = std::size_t{16} << 20;

  enum class Stage : std::uint8_t { resting, cutting, walking, covering };

  /// A part of a pass.
  struct Part {
    unsigned group = 0;
    unsigned groups = 0;
    std::uint64_t first_frame = 0;
    /// All below it is to be durable first.
    Seq started_at = 0;
    Seq cut = 0;
    /// So is all below it before it is published.
    Seq ended_at = 0;
    std::uint32_t next_space_id = 0;
    // Not shared ones: spaces hold the store.
    std::vector<std::weak_ptr<SpaceCore>> spaces{};
    std::size_t space = 0;
    table::ScanPosition at{};
    std::unique_ptr<checkpoint::FileWriter> file{};
    checkpoint::FileEntry entry{};
  };

  [[nodiscard]] Result<Checkpointed> advance(ThreadContext& context);
  [[nodiscard]] Result<void> check_sound(const wal::Log& log) const;
  void leave_step() noexcept;
  void begin_pass();
  void begin_part(wal::Log& log, unsigned group);
  [[nodiscard]] Result<Checkpointed> cut(wal::Log& log);
  [[nodiscard]] bool keep_pace() noexcept;
  [[nodiscard]] Result<Checkpointed> walk(ThreadContext& context);
  [[nodiscard]] bool compresses() const noexcept;
  void account_written(std::uint64_t before);
  [[nodiscard]] Seq newest_logged() const;
  [[nodiscard]] Result<bool> gather(ThreadContext& context, SpaceCore& space);
  [[nodiscard]] Result<void> write_gathered();
  [[nodiscard]] table::ScanPosition beginning() const noexcept;
  [[nodiscard]] Result<Checkpointed> cover(wal::Log& log);
  [[nodiscard]] Result<void> publish(wal::Log& log);
  [[nodiscard]] checkpoint::Manifest next_manifest() const;
  [[nodiscard]] std::uint64_t spare_log_bytes() const;
  void remove_unnamed(const checkpoint::Manifest& before) noexcept;
  [[nodiscard]] bool keep_for_holds(std::uint64_t file);
  void remove_file(std::uint64_t number) noexcept;
  void abandon_part() noexcept;
  void end_pass(Result<void> outcome) noexcept;

  StoreCore& store_;
  base::FileSystem& files_;

  // Held for a step; the bell rings when it has ended.
  std::atomic<bool> driven_{false};
  base::Bell stepped_;
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> ended_{0};
  std::atomic<Seq> awaited_{0};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> stopped_{false};
  std::atomic<bool> forbidden_{false};
  std::atomic<std::size_t> part_bytes_{k_part_bytes};
  std::atomic<std::uint64_t> rate_;
  std::atomic<std::int64_t> pause_ns_{0};
  // Set before the first step.
  bool recovered_more_ = false;

  // Whose step it is.
  Stage stage_ = Stage::resting;
  checkpoint::Manifest manifest_;
  // Held where another than the step's thread looks: the manifest is exchanged under it.
  std::mutex holds_mutex_;
  unsigned holds_ = 0;
  // Files that no manifest names, to be removed when nobody holds any.
  std::vector<std::uint64_t> kept_files_;
  std::set<std::uint64_t> file_numbers_;
  std::uint64_t file_number_last_ = 0;
  unsigned groups_a_part_ = checkpoint::k_groups;
  // Of all parts of the pass so far, by their numbers.
  std::map<std::uint32_t, checkpoint::SpaceEntry> spaces_;
  Part part_;
  Pace pace_;
  Gathered gathered_;
  // Which of two manifests counts is not known, and why: no checkpoint is written any more.
  bool undecided_ = false;
  std::string undecided_why_;
  base::TimePoint began_at_{};

  // Held for looks at the members below.
  mutable std::mutex told_mutex_;
  CheckpointStats told_;
  CheckpointSchedule schedule_;
  std::optional<Error> error_;
};

}  // namespace actable::store
