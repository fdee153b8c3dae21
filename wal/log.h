#pragma once

#include "base/epoch.h"
#include "base/file.h"
#include "wal/beginning.h"
#include "wal/durable.h"
#include "wal/identity.h"
#include "wal/reader.h"
#include "wal/staging.h"
#include "wal/writer.h"

#include <actable/options.h>
#include <actable/result.h>
#include <actable/stats.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace actable::wal {

/// What the log is to be held to, by who restores something else before it.
struct Basis {
  /// The log is damaged unless its cut is at or above it.
  Seq cut_min = 0;
  /// Numbers continue at or above it.
  Seq numbers_min = 0;
  /// Where the log begins, if that is later than what the identity says: the generation
  /// of a segment and the number of its first frame. 0: as that says.
  std::uint64_t generation = 0;
  std::uint64_t first_frame = 0;
};

/// What recovery needs of its caller.
struct Recovery {
  /// Told before the first record which store it is; `fresh`: it has just been made up,
  /// and nothing is on disk.
  std::function<Result<Basis>(const Identity& identity, bool fresh)> begin;
  Apply apply;
  /// Told before `begin` how many bytes the log's files have, and afterwards of those that
  /// were read; both may be empty.
  std::function<void(std::uint64_t bytes)> found{};
  Passed passed{};
  /// Of a long log; empty: only the caller takes records.
  Help help{};
  /// Told when all is read and nothing has been changed; fails to leave it so.
  std::function<Result<void>()> changing{};
  /// As WriterConfig::aside, from the end of opening to that of closing.
  std::function<bool()> aside{};
};

/// The log of one store: stages records of any thread, writes them in the
/// background, and tells when they are on disk.
///
/// Thread safety: *synchronized*, each `Stager` *confined* to its thread.
class Log {
 public:
  /// Opens the log in `directory`, which is prepared and locked, or creates it.
  /// Recovers what is there, and makes durable where the old log ended and which
  /// numbers are void (rule 6) before it returns. `epochs` continues above
  /// every number ever handed out. The directory's `lock`, where there is one,
  /// outlives the log. Fails as `Store::open`.
  [[nodiscard]] static Result<std::unique_ptr<Log>> open(const Options& options, base::FileSystem& files,
                                                         base::Epochs& epochs, const Recovery& recovery,
                                                         const base::DirectoryLock* lock = nullptr);

  /// Fails with not_found when nothing of a store is in the directory. Changes nothing.
  [[nodiscard]] static Result<void> expect_in(base::FileSystem& files, const std::filesystem::path& directory);

  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Null when memory is exhausted. `index` is the calling thread's.
  [[nodiscard]] Stager* stager(unsigned index) noexcept { return stagers_.get(index); }

  /// Gives back what `reserve` got for an operation that then wrote nothing.
  void unreserve(Stager& stager) noexcept {
    if (stager.reserved != nullptr) pool_.give_back(std::exchange(stager.reserved, nullptr));
  }

  /// True when records of `bytes` in all (see record_bytes) can be appended
  /// now, in whatever epoch the caller is pinned in.
  [[nodiscard]] bool ready(const Stager& stager, std::size_t bytes) const noexcept {
    return has_room(stager, bytes) && !durable_.refuses();
  }

  /// Makes room for records of `bytes` in all, so that `ready` holds. Waits while the disk is slower than the writers:
  /// this is where writers feel it, before they have changed anything. The
  /// caller is not pinned for writing. Fails with
  ///   overloaded  no buffer came back within `Options::write_deadline`
  ///   read_only   an earlier write or sync failed
  /// With `no_wait` it fails with overloaded where it would have to wait.
  [[nodiscard]] Result<void> reserve(Stager& stager, std::size_t bytes, bool no_wait = false);

  /// After the operation has appended all its records: true when the log's
  /// thread sleeps and `wake` must be called, once unpinned.
  [[nodiscard]] bool needs_wake(Stager& stager) const noexcept {
    if (!stager.began_frame) [[likely]]
      return false;
    stager.began_frame = false;
    if (stager.current->oversize) {
      // release: all that the operation staged; pairs with the acquire in take_frames.
      stager.current->complete.store(true, std::memory_order_release);
    }
    base::light_fence();  // With the heavy one in Writer::step_idle.
    return idle();
  }
  /// True while the log's thread has nothing to do, and sleeps until it is woken.
  [[nodiscard]] bool idle() const noexcept { return writer_->idle(); }
  void wake() noexcept { writer_->wake(); }

  /// Every write numbered below it is on disk.
  [[nodiscard]] Seq durable() const noexcept { return durable_.number(); }

  /// Waits until all writes numbered below `number`, which have been staged,
  /// are on disk. Fails with indeterminate when the log fails first.
  [[nodiscard]] Result<void> wait_durable(Seq number);

  /// The part of `wait_durable` that does not wait: has the writer hurry.
  void want_durable(Seq number) noexcept {
    if (durable_.number() >= number) return;
    if (durable_.want(number) || writer_->idle()) writer_->wake();
  }

  /// As Durable::watch.
  void watch(std::function<void()> watcher) { durable_.watch(std::move(watcher)); }

  /// Takes no more writes, with `read_only`; what was taken is written and synced.
  void refuse_writes(std::string_view reason) noexcept { durable_.refuse(reason); }
  [[nodiscard]] bool refuses_writes() const noexcept { return durable_.refuses(); }

  [[nodiscard]] bool failed() const noexcept { return durable_.failed(); }
  /// Whether `refuse_writes` was called, before a failure or after it.
  [[nodiscard]] bool refused() const noexcept { return durable_.refused(); }
  [[nodiscard]] std::string failure() const { return durable_.reason(); }

  /// Options that may change while the log is in use, in place of those it was
  /// opened with. What is waited for already is waited for as it was.
  void set_intervals(std::chrono::milliseconds write, std::chrono::milliseconds sync) noexcept {
    writer_->set_intervals(write, sync);
  }
  void set_write_deadline(std::chrono::milliseconds deadline) noexcept {
    write_deadline_ms_.store(deadline.count(), std::memory_order_relaxed);
  }

  /// Lets go of segments that hold only frames before `frame_number`: they are used
  /// again, as far as the spare ones are `spare_bytes_max` together; those beyond it are
  /// removed. For checkpoints that hold what those frames held.
  void release_before(std::uint64_t frame_number, std::uint64_t spare_bytes_max);

  /// As Writer::hold_segments and Writer::end_hold.
  void hold_segments() { writer_->hold_segments(); }
  void end_hold() noexcept { writer_->end_hold(); }
  /// As Writer::marker_on_disk.
  [[nodiscard]] std::uint64_t marker_on_disk() const noexcept { return writer_->marker_on_disk(); }

  /// The number that the next frame will have, a moment ago at the latest.
  [[nodiscard]] std::uint64_t next_frame() const noexcept { return writer_->next_frame(); }
  /// The highest number among the writes that the log's thread has taken up in this
  /// life, a moment ago; 0 without any.
  [[nodiscard]] Seq taken_max() const noexcept { return writer_->taken_max(); }
  /// What recovery would read, headers and padding included, a moment ago.
  [[nodiscard]] std::uint64_t live_bytes() const noexcept { return writer_->live_bytes(); }

  /// For a log that has failed, and that is to begin anew behind `cut`, above which
  /// nobody has a number yet: writes what that needs beside the old log, which goes on to
  /// count. Fails with io_error or no_memory; nothing has changed then. One caller at a time.
  [[nodiscard]] Result<Beginning> prepare_anew(Seq cut);
  /// A beginning that nothing names goes.
  static void forget(Beginning beginning) noexcept { beginning.segments->remove_all(); }
  /// Goes on with it: a manifest that names it is on disk. Waits for what is still in
  /// flight. The durable number is then its cut, and writes are taken. Nobody has staged
  /// anything since the failure, and what was staged before is dropped.
  void begin_anew(Beginning beginning) noexcept;

  /// Syncs everything and ends the log's thread. Nobody stages any more. Fails
  /// with indeterminate when the log has failed.
  [[nodiscard]] Result<void> close();

  [[nodiscard]] LogStats stats() const;
  [[nodiscard]] const RecoveryStats& recovery() const noexcept { return recovery_; }
  [[nodiscard]] std::chrono::microseconds lag() const noexcept { return writer_->lag(); }

 private:
  Log(const Options& options, base::FileSystem& files, base::Epochs& epochs, const base::DirectoryLock* lock);

  [[nodiscard]] Result<void> start(const Recovery& recovery);
  [[nodiscard]] Result<LogEnd> recover(std::span<SegmentFile> segments, const Recovery& recovery, const Basis& basis);
  [[nodiscard]] Result<std::optional<std::filesystem::path>> check_unidentified();
  [[nodiscard]] std::unexpected<Error> read_only_error() const;

  const Options options_;
  // relaxed: nothing else hangs on it.
  std::atomic<std::int64_t> write_deadline_ms_{options_.write_deadline.count()};
  base::FileSystem& files_;
  base::Epochs& epochs_;
  const base::DirectoryLock* const lock_;
  // The log's thread's own; while it rests after a failure, whoever begins anew.
  Identity identity_;
  // The last that was used, or that an attempt to begin anew has taken.
  std::uint64_t era_last_ = 0;
  BufferPool pool_;
  base::PerThread<Stager> stagers_;
  Durable durable_;
  RecoveryStats recovery_;
  std::unique_ptr<Writer> writer_;
  std::atomic<std::uint64_t> handoffs_{0};
  std::atomic<std::uint64_t> waits_{0};
  std::atomic<std::uint64_t> overloads_{0};
  bool started_ = false;
  bool closed_ = false;
};

}  // namespace actable::wal
