#pragma once

#include <actable/batch.h>
#include <actable/options.h>
#include <actable/result.h>
#include <actable/space.h>
#include <actable/stats.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace actable {

namespace store {
class StoreCore;
struct Access;
}  // namespace store

/// One directory (or none: pure memory), one log, many spaces.
///
/// Every write has a number from one counter. After a crash the store comes
/// back as an exact prefix of its writes by number: all below the recovered
/// cut, none at or above it; every write that was reported durable is below it.
///
/// After `fork` only the parent may use a store.
///
/// Thread safety: *synchronized*, but for moving, closing and destroying,
/// which must not run beside another call on this same object. Operations
/// through a `Space` may run beside `close`: they finish or fail with `closed`.
class Store {
 public:
  /// Creates the store, or recovers what the directory holds. Fails with
  ///   invalid_argument  an option is out of range; the directory is a file,
  ///                     or others may write to it
  ///   not_found         nothing there and `create_if_missing` is off
  ///   locked            a live process has it open; the message names it
  ///   unsupported       written by a newer version, or `LogIo::io_uring`
  ///                     where there is none, or `Options::debug_socket`, which
  ///                     is for `start` in <actable/actors.h>
  ///   corrupt           damage in what was once synced; the message names the
  ///                     file and the offset. Or the directory holds a backup that was
  ///                     not finished. Nothing was changed
  ///   io_error          the operating system refused; nothing acknowledged
  ///                     was lost
  ///   no_memory         the content does not fit
  [[nodiscard]] static Result<Store> open(Options options);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  /// Closes; call `close` to learn whether that went well. Ends the process when
  /// called from inside a visitor.
  ~Store();

  /// Opens the space of that name, or creates it. The name is 1 to
  /// `k_space_name_bytes_max` bytes of UTF-8 without control characters. Fails with
  ///   invalid_argument  a bad name; or the space exists and is logged where
  ///                     `options` says it is not, or the other way round
  ///   closed, overloaded, read_only, no_memory, as for a write; nothing created
  [[nodiscard]] Result<Space> space(std::string_view name, SpaceOptions options = {});

  /// Drops the space with all its keys: handles to it fail with `closed` from
  /// now on. It is gone for good once the drop is durable; a crash before that
  /// may bring it back whole, as it would undo any asynchronous write. False
  /// when there is none of that name. Waits up to 100 ms for operations that are
  /// inside the space, but not when called inside a visitor; where one takes
  /// longer the space's memory is free with the next `drop_space` or `stats`, or
  /// closing; what is left, less than a byte a key, with the last handle. Fails as a
  /// write does.
  [[nodiscard]] Result<bool> drop_space(std::string_view name);

  /// Names of the spaces, sorted.
  [[nodiscard]] std::vector<std::string> spaces() const;

  /// Applies a batch: after a crash all of it or none. Returns the number that
  /// its writes share, or 0 for an empty batch. Fails, nothing changed, as a
  /// write does, and with
  ///   invalid_argument  it holds spaces of another store
  ///   closed            one of its spaces was dropped
  /// and, some of it visible, with
  ///   indeterminate     as a write with `Durability::sync` does; or memory ran
  ///                     out halfway: all of it will be there after reopening,
  ///                     if it became durable
  [[nodiscard]] Result<Seq> write(const Batch& batch, WriteOptions options = {});

  /// No write that has returned has a higher number. It may be the number of no
  /// write at all.
  [[nodiscard]] Seq last_seq() const noexcept;

  /// Every write of this opening with this number or a lower one is on disk, and
  /// so is what recovery found; of the writes before the opening, those whose
  /// number is not below `RecoveryStats::cut` are lost. It may be the number of
  /// no write at all: a store at rest counts on without a trace on disk, so that
  /// a cut found later can lie below it, with nothing in between that is lost.
  /// 0 in pure memory.
  [[nodiscard]] Seq durable_seq() const noexcept;

  /// Returns when the write numbered `seq` is on disk. Fails with
  ///   invalid_argument  no write has that number yet
  ///   unsupported       the store is pure memory
  ///   indeterminate     the log failed before it was known to be on disk
  ///   closed
  [[nodiscard]] Result<void> wait_durable(Seq seq);

  /// Returns when every write that had returned before this call is on disk;
  /// the value is `durable_seq()`, which covers them all. Fails as `wait_durable`.
  [[nodiscard]] Result<Seq> sync();

  /// Writes what the logged spaces hold to files of its own, a *checkpoint*: opening the
  /// store reads it and only the part of the log that came later, and the log's older
  /// segments are used again. Reads and writes go on meanwhile. Takes one read of
  /// everything and one write to the disk; returns when all of that is on disk. Where one
  /// is being written already, waits for that one. After a crash at any moment the store
  /// opens with the old checkpoint or the new one, and the same content. Fails with
  ///   unsupported  the store is pure memory
  ///   read_only    the log failed; what the last checkpoint says still holds
  ///   io_error     a file of the checkpoint cannot be written, say because the disk is
  ///                full; reads, writes and the log go on. What the checkpoint before says
  ///                still holds, but for parts that were finished. Where the disk did not
  ///                say which of two is there now, all later calls fail until the store is
  ///                opened again, with either
  ///   closed       the store is closing, or `cancel_checkpoint` was called
  ///   overloaded, no_memory, as for a write; the same. Once memory ran out in the middle of
  ///                a batch (see `write`) all later calls fail until the store is opened again
  [[nodiscard]] Result<void> checkpoint();

  /// The same, if one is due by `Options::checkpoint_interval` or
  /// `Options::checkpoint_log_percent` and none is being written: true when it was
  /// written. Otherwise false, at once. For services without the store's actors, which
  /// see to it themselves; call it every second or so. After one that failed the next is
  /// due a second later, and twice as late each time it fails again, up to five minutes.
  /// Fails as `checkpoint`.
  [[nodiscard]] Result<bool> checkpoint_if_due();

  /// Ends a checkpoint that is being written, soon; the one before is as it was, but for
  /// parts that were finished. The next is due in five minutes at the soonest.
  void cancel_checkpoint() noexcept;

  /// Makes in `directory` a copy of the logged spaces that opens as a store: an exact prefix
  /// of the writes, with every write that had returned before this call; where the log has
  /// failed, with every write that had become durable. Reads, writes and checkpoints go on
  /// meanwhile. Copies the checkpoint's files, and the log behind them; call `checkpoint`
  /// before where the log is long. As long as it runs, what is copied stays: files of
  /// a checkpoint that was replaced, and the log from before it, go when it ends.
  ///
  /// The directory is made, or is empty, or holds an older backup of this store, whose place
  /// the new one takes: then only what that does not have is written, though all of the log is
  /// read. A file of the checkpoint that the older backup's record names, of the right
  /// length, is trusted. Until it returns, and after a crash of either machine or a failure, the
  /// directory is *incomplete*: `open` refuses it, and a backup into it goes on from what
  /// was finished. So who must have a backup at every moment takes two directories in turn.
  /// A directory that has been opened as a store holds no backup any more. Backups into several
  /// directories may run side by side.
  ///
  /// Fails, the directory as it was, with
  ///   invalid_argument  it is the store's own, lies in that or has it inside; it is not
  ///                     empty, and no backup of this store; it is no directory, or others
  ///                     may write to it
  ///   locked            another backup into it is running, or it is open as a store
  ///   unsupported       the store is pure memory; or a newer version made the backup there
  /// and, the directory incomplete unless nothing had been written yet, with
  ///   io_error          the operating system refused, say because that disk is full
  ///   corrupt           a file of this store, or the older backup's record, is damaged: the
  ///                     message names file and offset
  ///   closed, no_memory, overloaded
  /// This store is as it was in any case.
  [[nodiscard]] Result<BackupStats> backup(const std::filesystem::path& directory);
  /// Has a store whose log failed (`StoreStats::read_only`) take writes again, once the
  /// disk is mended or has room: writes what the logged spaces hold to a new checkpoint,
  /// in new files, and begins a new log. All that was reported durable is kept, and so is
  /// all else that can be read: writes that ended with `indeterminate` are there, and
  /// durable from now on. Reads go on meanwhile, and writes to memory-only spaces;
  /// others are refused until the end. Where the log has not failed it does nothing and
  /// succeeds.
  ///
  /// Takes one read of everything and one write to the disk, and waits for writes that
  /// the disk has not answered yet. On disk it needs room for all that the logged spaces
  /// hold and for a segment of the log, beside what is there; the old log and checkpoint
  /// are removed afterwards, and nothing of them is written or synced again.
  ///
  /// After a crash at any moment the store opens with the old log, as after its failure,
  /// or with the new one and all that was there. Fails with
  ///   unsupported       the store is pure memory
  ///   read_only         writes are refused for another reason: too many crashes of an
  ///                     actor; open the store again
  ///   io_error          the new files cannot be written; the store is as it was, and
  ///                     this may be called again. Where the disk did not say whether
  ///                     the new checkpoint counts, it is opened with the old log or all
  ///                     that was there
  ///   no_memory         the same; or memory ran out in the middle of a batch (see
  ///                     `write`), of which the store lacks a part: then every call
  ///                     fails until the store is opened again
  ///   invalid_argument  it was called from inside a visitor or an update's function
  ///   closed, overloaded, as for a write
  [[nodiscard]] Result<Healed> heal();

  [[nodiscard]] StoreStats stats() const;

  /// Syncs, then lets go of the files and of all memory. Operations that run
  /// meanwhile finish first. Fails with `indeterminate` when the log has failed:
  /// what was not yet reported durable may be missing after reopening; and, the
  /// store left open, with `invalid_argument` when called from inside a visitor
  /// or an update's function, where it would wait for itself. Otherwise the
  /// store is closed in any case; closing twice is no error.
  [[nodiscard]] Result<void> close();

 private:
  friend struct store::Access;
  explicit Store(std::shared_ptr<store::StoreCore> core);
  void close_or_end() noexcept;
  std::shared_ptr<store::StoreCore> core_;
};

}  // namespace actable
