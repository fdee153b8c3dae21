#pragma once

#include "base/fence.h"
#include "base/park.h"
#include "base/planted.h"
#include "base/thread_index.h"

#include <actable/options.h>

#include <atomic>
#include <cstdint>

/// Epochs and sequence numbers: one word, three jobs.
///
/// The word's high 40 bits are the epoch, its low 24 the count. A thread leases
/// a block of numbers by one atomic addition and counts on its own; `bump`
/// moves to the next epoch by another addition, and returns C, the word's new
/// value. All numbers leased before are below C, all leased later are not. (An overflow of the count carries into the
/// epoch: an epoch more, nothing else.)
///
/// A thread inside an operation announces the epoch it began in: it is
/// *pinned*. A slot has two announcements, for reading and for writing, so that
/// a write inside a visitor works, and so that only writers hold a cut back.
///
/// Who changes what: `read` and `write` of a slot by its thread alone, from 0
/// to an epoch (pin) and back (unpin). The word by additions only. `safe` only
/// upwards.
///
/// *Cut.* After `bump` returned C and a heavy fence, once no slot's `write`
/// announces an epoch before C's, every number below C is used or void and what
/// it was used for is done. Proof: take a writer that uses a number below C. It
/// used it while pinned with a confirmed epoch e, and numbers come from a lease
/// of an epoch not before e, so e is before C's. It announced e, passed a light
/// fence, and read epoch e again. If the announcement came after the heavy
/// fence it would have read C's epoch. So it came before, and was seen, until
/// the unpin, which is a release that the scan's acquire pairs with.
///
/// *Memory.* A thread that has unlinked a record passes a light fence and reads
/// the epoch s: the record's stamp. `advance` bumps, passes a heavy fence, and
/// takes the least of the new epoch and all announcements: `safe`. A record
/// with stamp < safe can be reused. Proof: let a reader still hold the record.
/// It announced p before it found the record, and p has not been withdrawn.
/// If the scan saw the announcement, safe <= p, so s < p: the word reached p
/// after the unlinking thread read s, so after the unlinking; the reader read p
/// from the word before it looked, so it looked after the unlinking and cannot
/// have found the record. (Locked instructions being full fences, or the fences
/// being full, is used here: see base/fence.h.) If the scan did not see the
/// announcement, the reader's look came after the heavy fence, which came after
/// the bump, which came after s was read.
namespace actable::base {

inline constexpr unsigned k_count_bits = 24;
using Epoch = std::uint64_t;

[[nodiscard]] constexpr Epoch epoch_of(Seq seq) noexcept { return seq >> k_count_bits; }
[[nodiscard]] constexpr Seq first_seq_of(Epoch epoch) noexcept { return epoch << k_count_bits; }

/// A block of numbers [next, end) of one thread, leased in `epoch`.
struct Lease {
  Epoch epoch = 0;
  Seq next = 0;
  Seq end = 0;
  /// Doubles while leases are used up, shrinks when they are thrown away:
  /// threads that fight over one key need new leases all the time.
  Seq length = 16;
};

/// Thread safety: *synchronized*, each slot *confined* to its thread.
class Epochs {
 public:
  /// Two lines apart from its neighbours: processors fetch lines in pairs.
  struct alignas(128) Slot {
    std::atomic<Epoch> read{0};
    std::atomic<Epoch> write{0};
    Lease lease;
  };

  Epochs() noexcept { prepare_fences(); }

  /// Null when memory is exhausted. `index` is the calling thread's.
  [[nodiscard]] Slot* slot(unsigned index) noexcept { return slots_.get(index); }

  [[nodiscard]] Epoch now() const noexcept { return epoch_of(word_.load(std::memory_order_acquire)); }

  /// No number below the returned one will be leased from now on; no lease so
  /// far holds a number at or above it.
  [[nodiscard]] Seq next_seq() const noexcept { return word_.load(std::memory_order_acquire); }

  /// True while the calling thread, whose slot it is, is pinned for reading.
  [[nodiscard]] static bool reads(const Slot& slot) noexcept {
    // relaxed: nobody else changes it.
    return slot.read.load(std::memory_order_relaxed) != 0;
  }

  /// For a thread that is not pinned for reading yet.
  void pin_read(Slot& slot) noexcept {
    // release: a scan that sees this announcement in the place of an earlier one
    // has what the thread read under that one behind it.
    slot.read.store(epoch_of(word_.load(std::memory_order_relaxed)), std::memory_order_release);
    light_fence();
  }

  void unpin_read(Slot& slot) noexcept {
    // release: what was read was read before; pairs with the acquire in scans.
    slot.read.store(0, std::memory_order_release);
  }

  /// Announces, confirms (rule 2 of docs/architecture.md), and returns the epoch.
  [[gnu::always_inline]] Epoch pin_write(Slot& slot) noexcept {
    Epoch epoch = epoch_of(word_.load(std::memory_order_relaxed));
    while (true) {
      ACTABLE_PARK("epoch.announce");
      slot.write.store(epoch, std::memory_order_release);
      light_fence();
      // acquire: what came before the bump to this epoch is seen.
      const Epoch again = epoch_of(word_.load(std::memory_order_acquire));
      if (again == epoch || ACTABLE_PLANTED(pin_not_confirmed)) return epoch;
      epoch = again;
    }
  }

  void unpin_write(Slot& slot) noexcept {
    // release: what was staged and unlinked comes before; pairs with scans.
    slot.write.store(0, std::memory_order_release);
  }

  /// A number above `floor`, which is the highest of the records that the
  /// operation read (rule 1). The caller is pinned for writing in `pinned`, and
  /// read those records while it was (rule 3).
  [[nodiscard, gnu::always_inline]] Seq draw(Slot& slot, Epoch pinned, Seq floor) noexcept {
    Lease& lease = slot.lease;
    if (ACTABLE_PLANTED(number_before_reading)) floor = 0;
    if (ACTABLE_PLANTED(lease_outlives_epoch)) pinned = 0;
    if (lease.epoch >= pinned && lease.next < lease.end && lease.next > floor) [[likely]]
      return lease.next++;
    return draw_slowly(slot, pinned, floor);
  }

  /// Begins a new epoch; returns the first number that can be leased in it.
  Seq bump() noexcept;

  /// True while a thread is inside a write that it began before `epoch`. For
  /// the caller of `bump`, after a heavy fence.
  [[nodiscard]] bool writers_before(Epoch epoch) const noexcept;

  /// Begins a new epoch and raises `safe` as far as the pinned threads allow.
  void advance() noexcept;

  /// Raises `safe` after the caller's own `bump` to `epoch` and heavy fence.
  void raise_safe(Epoch epoch) noexcept;

  /// Records with a lower stamp may be reused.
  [[nodiscard]] Epoch safe() const noexcept {
    // acquire: pairs with the release in raise_safe; carries the readers' unpins.
    return safe_.load(std::memory_order_acquire);
  }

  /// The oldest announcement, or the present epoch when there is none.
  [[nodiscard]] Epoch oldest_pin() const noexcept;

  /// True when no thread is pinned in an epoch before `epoch`.
  [[nodiscard]] bool quiet_since(Epoch epoch) const noexcept { return oldest_pin() >= epoch; }

  /// From now until `restart_at`, records with numbers of an earlier life are
  /// put into tables in any order, so no tombstone may be dropped.
  void begin_replay() noexcept { replaying_.store(true, std::memory_order_release); }

  /// Continues at `seq`, above every number handed out before a restart, or
  /// where the word stands if that is higher: epochs never go back. Returns
  /// where. Before the first lease only.
  Seq restart_at(Seq seq) noexcept;

  /// Tombstones of earlier epochs may be dropped: every lease that is still in
  /// use, and every later one, holds higher numbers only (rule 1).
  [[nodiscard]] Epoch tombstones_before() const noexcept {
    if (ACTABLE_PLANTED(early_tombstone)) return ~Epoch{0};
    return replaying_.load(std::memory_order_acquire) ? 0 : safe();
  }

  /// As `advance`, unless somebody did within the last millisecond: epochs are
  /// not for ever, and each costs all threads a lease. True when it advanced.
  bool advance_seldom() noexcept;

  [[nodiscard]] unsigned live_threads() const noexcept { return slots_.live_threads(); }

 private:
  [[nodiscard]] Seq draw_slowly(Slot& slot, Epoch pinned, Seq floor) noexcept;

  alignas(128) std::atomic<Seq> word_{first_seq_of(1)};
  alignas(128) std::atomic<Epoch> safe_{0};
  std::atomic<bool> replaying_{false};
  std::atomic<std::int64_t> advanced_at_{0};
  PerThread<Slot> slots_;
};

/// Keeps the calling thread pinned for reading, which it is not yet.
///
/// Pins live in registers: a thread that waits for memory can have few stores
/// behind it (docs/measurements.md), hence the insistence on inlining.
class OutermostReadPin {
 public:
  [[gnu::always_inline]] OutermostReadPin(Epochs& epochs, Epochs::Slot& slot) noexcept : epochs_(epochs), slot_(slot) {
    epochs_.pin_read(slot_);
  }
  [[gnu::always_inline]] ~OutermostReadPin() { epochs_.unpin_read(slot_); }
  OutermostReadPin(const OutermostReadPin&) = delete;
  OutermostReadPin& operator=(const OutermostReadPin&) = delete;

 private:
  Epochs& epochs_;
  Epochs::Slot& slot_;
};

/// Keeps the calling thread pinned for reading. Nests.
class ReadPin {
 public:
  ReadPin(Epochs& epochs, Epochs::Slot& slot) noexcept
      : epochs_(epochs), slot_(slot), outermost_(!Epochs::reads(slot)) {
    if (outermost_) epochs_.pin_read(slot_);
  }
  ~ReadPin() {
    if (outermost_) epochs_.unpin_read(slot_);
  }
  ReadPin(const ReadPin&) = delete;
  ReadPin& operator=(const ReadPin&) = delete;

 private:
  Epochs& epochs_;
  Epochs::Slot& slot_;
  const bool outermost_;
};

/// Keeps the calling thread pinned for writing. Does not nest: no code of the
/// user's runs inside.
class WritePin {
 public:
  [[gnu::always_inline]] WritePin(Epochs& epochs, Epochs::Slot& slot) noexcept
      : epochs_(epochs), slot_(slot), epoch_(epochs.pin_write(slot)) {}
  [[gnu::always_inline]] ~WritePin() {
    if (!ended_) epochs_.unpin_write(slot_);
  }
  WritePin(const WritePin&) = delete;
  WritePin& operator=(const WritePin&) = delete;

  [[nodiscard]] Epoch epoch() const noexcept { return epoch_; }

  /// Unpins before the end of the scope.
  [[gnu::always_inline]] void end() noexcept {
    epochs_.unpin_write(slot_);
    ended_ = true;
  }

 private:
  Epochs& epochs_;
  Epochs::Slot& slot_;
  const Epoch epoch_;
  bool ended_ = false;
};

}  // namespace actable::base
