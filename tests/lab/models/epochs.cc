#include "tests/lab/models/checker.h"

/// Pin, advance, retire, reuse (base/epoch.h, base/record_memory.cc): a record
/// is not used again while a reader holds it.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  pin_fence,
  advance_fence,
  stamp_fence,
  stamp_after,
  announce_before,
  announce_release,
  unpin_release,
  scan_acquire,
  scan,
  below_safe,
  safe_release,
  safe_acquire,
  bump_order,
  stamp_acquire,
  unlink_order,
};

constexpr std::array k_weakenings{
    Weakening{int(W::pin_fence), "light fence after the announcement", "base/epoch.h, pin_read"},
    Weakening{int(W::announce_before), "the announcement comes before the look", "base/epoch.h, pin_read"},
    Weakening{int(W::announce_release), "release of the announcement", "base/epoch.h, pin_read"},
    Weakening{int(W::unpin_release), "release of the unpin", "base/epoch.h, unpin_read"},
    Weakening{int(W::advance_fence), "heavy fence between bump and scan", "base/epoch.cc, advance"},
    Weakening{int(W::scan), "the announcements are looked at", "base/epoch.cc, raise_safe"},
    Weakening{int(W::scan_acquire), "acquire of the announcements", "base/epoch.cc, oldest_pin"},
    Weakening{int(W::safe_release), "release of `safe`", "base/epoch.cc, raise_safe"},
    Weakening{int(W::safe_acquire), "acquire of `safe`", "base/epoch.h, safe"},
    Weakening{int(W::stamp_fence), "light fence before the stamp", "base/record_memory.cc, to_limbo"},
    Weakening{int(W::stamp_after), "the stamp is read after the unlinking", "base/record_memory.cc, to_limbo"},
    Weakening{int(W::below_safe), "reuse at stamps below `safe` only (at it, too)",
              "base/record_memory.cc, from_limbo"},
    Weakening{int(W::bump_order), "seq_cst of the bump", "base/epoch.cc, bump",
              "not needed: every bump whose order matters is followed by a heavy fence"},
    Weakening{int(W::stamp_acquire), "acquire of the word for the stamp", "base/epoch.h, now",
              "not needed: the light fence before it orders the stamp"},
    Weakening{int(W::unlink_order), "acquire of the unlinking exchange", "table/hash_table.cc, publish",
              "not needed: the unlinked record was acquired by `locate`"},
};

constexpr int k_old = 0;
constexpr int k_new = 1;
constexpr int k_reused = -1;

class Memory {
 public:
  Memory() {
    word_.store(1, mo_relaxed);
    safe_.store(0, mo_relaxed);
    announced_.store(0, mo_relaxed);
    slot_.store(k_old, mo_relaxed);
    for (auto& record : records_) record.set(1);
  }

  /// Reads the record while pinned.
  void read() {
    const int epoch = word_.load(mo_relaxed);
    int early = k_old;
    if (weakened(W::announce_before)) early = slot_.load(mo_acquire);
    announced_.store(epoch, order(W::announce_release, mo_release));
    if (!weakened(W::pin_fence)) light_fence();
    const int found = weakened(W::announce_before) ? early : slot_.load(mo_acquire);
    check(records_[found].get() != k_reused, "a reader sees a record used again");
    announced_.store(0, order(W::unpin_release, mo_release));
  }

  /// Unlinks the record; returns its stamp.
  int unlink() {
    const int early = word_.load(mo_relaxed);
    const bool unlinked = slot_.compare_exchange(k_old, k_new, order(W::unlink_order, mo_acq_rel, mo_release));
    check(unlinked, "one thread unlinks");
    if (!weakened(W::stamp_fence)) light_fence();
    return weakened(W::stamp_after) ? early : word_.load(order(W::stamp_acquire, mo_acquire));
  }

  void advance() {
    const int epoch = word_.fetch_add(1, order(W::bump_order, mo_seq_cst)) + 1;
    if (!weakened(W::advance_fence)) heavy_fence();
    int reached = epoch;
    if (!weakened(W::scan)) {
      const int announced = announced_.load(order(W::scan_acquire, mo_acquire));
      if (announced != 0) reached = std::min(reached, announced);
    }
    safe_.store(reached, order(W::safe_release, mo_release));
  }

  /// Writes over the record if its stamp allows.
  void reuse(int stamp) {
    const int safe = safe_.load(order(W::safe_acquire, mo_acquire));
    if (stamp < safe || (weakened(W::below_safe) && stamp == safe)) records_[k_old].set(k_reused);
  }

 private:
  // Epochs alone: the count has no part in this.
  Atomic<int> word_;
  Atomic<int> safe_;
  Atomic<int> announced_;
  Atomic<int> slot_;
  std::array<Plain<int>, 2> records_;
};

/// A reader; a thread that unlinks, advances and reuses.
struct Two : rl::test_suite<Two, 2> {
  Memory memory;
  void thread(unsigned index) {
    if (index == 0) {
      memory.read();
    } else {
      const int stamp = memory.unlink();
      memory.advance();
      memory.reuse(stamp);
    }
  }
};

/// A reader that pins twice.
struct Twice : rl::test_suite<Twice, 2> {
  Memory memory;
  void thread(unsigned index) {
    if (index == 0) {
      memory.read();
      memory.read();
    } else {
      const int stamp = memory.unlink();
      memory.advance();
      memory.reuse(stamp);
    }
  }
};

/// A reader, a thread that unlinks and reuses, and one that advances.
struct Three : rl::test_suite<Three, 3> {
  Memory memory;
  void thread(unsigned index) {
    if (index == 0) {
      memory.read();
    } else if (index == 1) {
      memory.reuse(memory.unlink());
    } else {
      memory.advance();
    }
  }
};

void search_epochs(Search& search) {
  // The weakenings are of the code as C++ has it. On x86-64 fewer would show.
  if (search.weakening == 0) {
    explore<Two>(search, k_full, Machine::x86_64);
    explore<Twice>(search, k_full, Machine::x86_64);
    explore<Three>(search, {Plan::Kind::random, 200'000}, Machine::x86_64);
  }
  explore<Two>(search, k_full);
  explore<Twice>(search, k_full);
  explore<Three>(search, {Plan::Kind::preemptions, 4});
  explore<Three>(search, {Plan::Kind::random, 200'000});
}

}  // namespace

Model epochs_model() { return {"epochs", k_weakenings, search_epochs}; }

}  // namespace actable::lab::models
