#include "tests/lab/models/checker.h"

/// Lease, draw, stage and cut (base/epoch.h, wal/writer.cc): what is below the
/// cut is among what was taken; a key's numbers go up; causes are below the cut
/// with what they caused. The rules are those of docs/architecture.md.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  confirm,
  pin_fence,
  bump_fence,
  lease_dies,
  floor,
  draw_after_read,
  draw_again,
  stage_pinned,
  announce_release,
  unpin_release,
  scan_acquire,
  wait_for_writers,
  one_word,
  tombstone_kept,
  tombstone_safe,
  confirm_acquire,
  lease_order,
  bump_order,
  frame_count,
  end_order,
};

constexpr std::array k_weakenings{
    Weakening{int(W::confirm), "the pin is confirmed (rule 2)", "base/epoch.h, pin_write"},
    Weakening{int(W::pin_fence), "light fence between announcing and confirming", "base/epoch.h, pin_write"},
    Weakening{int(W::announce_release), "release of the announcement", "base/epoch.h, pin_write"},
    Weakening{int(W::unpin_release), "release of the unpin", "base/epoch.h, unpin_write"},
    Weakening{int(W::lease_dies), "a lease dies with its epoch (rule 2)", "base/epoch.h, draw"},
    Weakening{int(W::floor), "the number is above the one that was read (rule 1)", "base/epoch.h, draw"},
    Weakening{int(W::draw_after_read), "the number is drawn after reading (rule 3)",
              "store/space_operations.h, SpaceCore::publish"},
    Weakening{int(W::draw_again), "a lost race draws again (rule 3)", "store/space_operations.h, SpaceCore::publish"},
    Weakening{int(W::stage_pinned), "the record is staged before the unpin",
              "store/space_operations.h, SpaceCore::write"},
    Weakening{int(W::bump_fence), "heavy fence between bump and scan", "wal/writer.cc, begin_round"},
    Weakening{int(W::wait_for_writers), "the round waits for writers of older epochs", "wal/writer.cc, step_round"},
    Weakening{int(W::scan_acquire), "acquire of the announcements", "base/epoch.cc, writers_before"},
    Weakening{int(W::one_word), "bump and cut are one addition (the cut read after it)", "base/epoch.cc, bump"},
    Weakening{int(W::tombstone_kept), "a tombstone stays at all (rule 1)", "table/migration.cc, droppable"},
    Weakening{int(W::tombstone_safe), "a tombstone stays until it is safe, not only of an older epoch (rule 1)",
              "base/epoch.h, tombstones_before"},
    Weakening{int(W::frame_count), "release and acquire of the frame count",
              "wal/staging.cc, append; wal/frame_writer.cc, take_frames"},
    Weakening{int(W::confirm_acquire), "acquire of the confirming load", "base/epoch.h, pin_write",
              "not needed: what was before the bump is seen through the fences"},
    Weakening{int(W::lease_order), "acq_rel of the leasing addition", "base/epoch.cc, draw_slowly",
              "not needed: the floor was acquired with the record; additions to one word have one order"},
    Weakening{int(W::bump_order), "seq_cst of the bump", "base/epoch.cc, bump", "not needed: the heavy fence follows"},
    Weakening{int(W::end_order), "release and acquire of a frame's end",
              "wal/staging.cc, append; wal/frame_writer.cc, take_frame",
              "not needed for final frames: the unpin and the scan carry it; a closed buffer's `next` does too"},
};

// The word: epoch above, count below.
constexpr int k_epoch = 100;
constexpr int epoch_of(int seq) { return seq / k_epoch; }
constexpr unsigned k_writes_max = 4;

struct Lease {
  int epoch = 1;
  int next = 0;
  int end = 0;
};

class Store {
 public:
  Store() {
    word_.store(k_epoch + 20, mo_relaxed);
    for (unsigned thread = 0; thread < 2; ++thread) {
      announced_[thread].store(0, mo_relaxed);
      staged_[thread].store(0, mo_relaxed);
      const int first = k_epoch + static_cast<int>(thread) * 8;
      leases_[thread] = {1, first, first + 8};
    }
    for (auto& slot : slots_) slot.store(0, mo_relaxed);
  }

  /// Writes a key's next version. A key's slot holds the number of its record.
  void put(unsigned thread, unsigned key) {
    const int epoch = pin(thread);
    int seq = 0;
    int old = 0;
    bool drawn = false;
    do {
      if (weakened(W::draw_after_read) || (weakened(W::draw_again) && drawn)) {
        if (!drawn) seq = draw(thread, epoch, weakened(W::draw_again) ? slots_[key].load(mo_acquire) : 0);
        drawn = true;
        old = slots_[key].load(mo_acquire);
      } else {
        old = slots_[key].load(mo_acquire);
        seq = draw(thread, epoch, old);
        drawn = true;
      }
    } while (!slots_[key].compare_exchange(old, seq, mo_acq_rel));
    check(seq > newest_[key], "a key's number goes back");
    newest_[key] = seq;
    write(thread, seq);
    if (weakened(W::stage_pinned)) unpin(thread);
    stage(thread, epoch, seq);
    if (!weakened(W::stage_pinned)) unpin(thread);
  }

  /// Reads one key and, if it was written, writes the other.
  void follow(unsigned thread, unsigned from, unsigned to) {
    const int cause = slots_[from].load(mo_acquire);
    if (cause == 0) return;
    put(thread, to);
    causes_[thread] = cause;
  }

  /// A round, given up when a writer is in the way: that it waits longer is
  /// another interleaving.
  void round() {
    const int before = word_.fetch_add(k_epoch, order(W::bump_order, mo_seq_cst));
    const int cut = weakened(W::one_word) ? word_.load(mo_relaxed) : before + k_epoch;
    if (!weakened(W::bump_fence)) heavy_fence();
    for (auto& announced : announced_) {
      if (weakened(W::wait_for_writers)) break;
      const int epoch = announced.load(order(W::scan_acquire, mo_acquire));
      if (epoch != 0 && epoch < epoch_of(cut)) return;
    }
    for (unsigned thread = 0; thread < 2; ++thread) take(thread, epoch_of(cut));
    cut_ = cut;
  }

  void check_cut() const {
    for (unsigned thread = 0; thread < 2; ++thread) {
      for (unsigned i = 0; i < writes_[thread]; ++i) {
        if (written_[thread][i] < cut_) check(taken_[thread][i], "a number below the cut was not taken");
      }
      if (causes_[thread] >= cut_ && writes_[thread] != 0 && written_[thread][writes_[thread] - 1] < cut_)
        check(false, "a write is below the cut, and what it saw is not");
    }
  }

  /// Erases a key, and drops the tombstone if the epochs allow.
  void erase_and_drop(unsigned thread, unsigned key) {
    put(thread, key);
    const int tombstone = newest_[key];
    const int epoch = epoch_of(word_.fetch_add(k_epoch, mo_seq_cst)) + 1;
    heavy_fence();
    int safe = epoch;
    for (auto& announced : announced_) {
      const int pinned = announced.load(mo_acquire);
      if (pinned != 0) safe = std::min(safe, pinned);
    }
    if (weakened(W::tombstone_safe)) safe = epoch;
    if (epoch_of(tombstone) < safe || weakened(W::tombstone_kept))
      slots_[key].compare_exchange(tombstone, 0, mo_acq_rel);
  }

 private:
  struct Staged {
    Plain<int> epoch;
    Plain<int> seq;
    Atomic<int> end;
  };

  int pin(unsigned thread) {
    int epoch = epoch_of(word_.load(mo_relaxed));
    while (true) {
      announced_[thread].store(epoch, order(W::announce_release, mo_release));
      if (!weakened(W::pin_fence)) light_fence();
      if (weakened(W::confirm)) return epoch;
      const int again = epoch_of(word_.load(order(W::confirm_acquire, mo_acquire)));
      if (again == epoch) return epoch;
      epoch = again;
    }
  }

  void unpin(unsigned thread) { announced_[thread].store(0, order(W::unpin_release, mo_release)); }

  int draw(unsigned thread, int pinned, int floor) {
    Lease& lease = leases_[thread];
    if (weakened(W::floor)) floor = 0;
    const bool lives = lease.epoch >= pinned || weakened(W::lease_dies);
    const int next = std::max(lease.next, floor + 1);
    if (lives && next < lease.end) {
      lease.next = next + 1;
      return next;
    }
    const int first = word_.fetch_add(4, order(W::lease_order, mo_acq_rel));
    lease = {epoch_of(first), first + 1, first + 4};
    return first;
  }

  void write(unsigned thread, int seq) { written_[thread][writes_[thread]++] = seq; }

  void stage(unsigned thread, int epoch, int seq) {
    const auto at = static_cast<unsigned>(staged_[thread].load(mo_relaxed));
    staging_[thread][at].epoch.set(epoch);
    staging_[thread][at].end.store(0, mo_relaxed);
    staged_[thread].store(static_cast<int>(at) + 1, order(W::frame_count, mo_release));
    staging_[thread][at].seq.set(seq);
    staging_[thread][at].end.store(1, order(W::end_order, mo_release));
  }

  /// Frames of earlier epochs. One record is one frame here.
  void take(unsigned thread, int before) {
    const int staged = staged_[thread].load(order(W::frame_count, mo_acquire));
    for (unsigned i = 0; i < static_cast<unsigned>(staged); ++i) {
      if (staging_[thread][i].epoch.get() >= before) return;
      if (staging_[thread][i].end.load(order(W::end_order, mo_acquire)) == 0) return;
      check(staging_[thread][i].seq.get() == written_[thread][i], "a record is taken that is not whole");
      taken_[thread][i] = true;
    }
  }

  Atomic<int> word_;
  std::array<Atomic<int>, 2> announced_;
  std::array<Atomic<int>, 2> slots_;
  std::array<std::array<Staged, k_writes_max>, 2> staging_;
  std::array<Atomic<int>, 2> staged_;
  std::array<Lease, 2> leases_;
  // Ghosts.
  std::array<int, 2> newest_{};
  std::array<std::array<int, k_writes_max>, 2> written_{};
  std::array<std::array<bool, k_writes_max>, 2> taken_{};
  std::array<unsigned, 2> writes_{};
  std::array<int, 2> causes_{};
  int cut_ = 0;
};

/// A writer and a closing round.
struct Round : rl::test_suite<Round, 2> {
  Store store;
  void thread(unsigned index) {
    if (index == 0) {
      store.put(0, 0);
    } else {
      store.round();
    }
  }
  void after() { store.check_cut(); }
};

/// A writer of two versions and a closing round.
struct RoundTwice : rl::test_suite<RoundTwice, 2> {
  Store store;
  void thread(unsigned index) {
    if (index == 0) {
      store.put(0, 0);
      store.put(0, 0);
    } else {
      store.round();
    }
  }
  void after() { store.check_cut(); }
};

/// Two writers of one key.
struct OneKey : rl::test_suite<OneKey, 2> {
  Store store;
  void thread(unsigned index) { store.put(index, 0); }
};

/// One erases, and drops the tombstone; the other writes.
struct Tombstone : rl::test_suite<Tombstone, 2> {
  Store store;
  void thread(unsigned index) {
    if (index == 1) {
      store.erase_and_drop(1, 0);
    } else {
      store.put(0, 0);
    }
  }
};

/// One writes; one reads that and writes another key; one closes a round.
struct Causes : rl::test_suite<Causes, 3> {
  Store store;
  void thread(unsigned index) {
    if (index == 0) {
      store.put(0, 0);
    } else if (index == 1) {
      store.follow(1, 0, 1);
    } else {
      store.round();
    }
  }
  void after() { store.check_cut(); }
};

/// Two writers of one key and a closing round.
struct Writers : rl::test_suite<Writers, 3> {
  Store store;
  void thread(unsigned index) {
    if (index == 2) {
      store.round();
    } else {
      store.put(index, 0);
      store.put(index, 0);
    }
  }
  void after() { store.check_cut(); }
};

void search_cut(Search& search) {
  if (search.weakening == 0) {
    explore<Round>(search, k_full, Machine::x86_64);
    explore<Tombstone>(search, {Plan::Kind::preemptions, 3}, Machine::x86_64);
    explore<Causes>(search, {Plan::Kind::random, 200'000}, Machine::x86_64);
    explore<Writers>(search, {Plan::Kind::random, 200'000}, Machine::x86_64);
  }
  explore<Round>(search, k_full);
  // Ten million interleavings: for the sound model alone.
  explore<OneKey>(search, search.weakening == 0 ? k_full : Plan{Plan::Kind::preemptions, 4});
  explore<RoundTwice>(search, {Plan::Kind::preemptions, 4});
  explore<Tombstone>(search, {Plan::Kind::preemptions, 4});
  explore<Causes>(search, {Plan::Kind::random, 400'000});
  explore<Writers>(search, {Plan::Kind::random, 400'000});
}

}  // namespace

Model cut_model() { return {"cut", k_weakenings, search_cut}; }

}  // namespace actable::lab::models
