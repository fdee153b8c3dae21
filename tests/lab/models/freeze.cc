#include "tests/lab/models/checker.h"

/// Replacing a segment: freeze, copy, offer, swing, retire (table/migration.cc),
/// while others write and read. A segment has a home slot, a control word and a
/// chain slot; key 0 is in the home slot.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  writer_looks_at_frozen,
  freeze_is_rmw,
  freeze_first,
  freeze_empty,
  freeze_control,
  through_directory,
  offer_once,
  swing_compares,
  new_entries_first,
  offer_release,
  replacement_acquire,
  swing_release,
  entry_acquire,
  freeze_order,
  control_first,
};

constexpr std::array k_weakenings{
    Weakening{int(W::writer_looks_at_frozen), "a writer turns away from a frozen slot", "table/hash_table.cc, locate"},
    Weakening{int(W::freeze_is_rmw), "the flag is set by a read-modify-write", "table/migration.cc, freeze"},
    Weakening{int(W::freeze_first), "a slot is frozen before it is copied", "table/migration.cc, replace"},
    Weakening{int(W::freeze_empty), "empty slots are frozen, too", "table/migration.cc, freeze"},
    Weakening{int(W::freeze_control), "the control word is frozen, too", "table/migration.cc, freeze"},
    Weakening{int(W::through_directory), "writers find the copy in the directory, not through `replacement`",
              "table/hash_table.cc, locate"},
    Weakening{int(W::offer_once), "the offer compares (a plain store)", "table/migration.cc, offer"},
    Weakening{int(W::swing_compares), "the swing compares (a plain store)", "table/migration.cc, bring_forward, put_halves"},
    Weakening{int(W::new_entries_first), "the new entries come before the split", "table/migration.cc, put_halves"},
    Weakening{int(W::offer_release), "release of the offer", "table/migration.cc, offer"},
    Weakening{int(W::replacement_acquire), "acquire of `replacement`", "table/migration.cc, replacement_of"},
    Weakening{int(W::swing_release), "release of the swing", "table/migration.cc, bring_forward, put_halves"},
    Weakening{int(W::entry_acquire), "acquire of the entry", "table/hash_table.h, segment_at"},
    Weakening{int(W::freeze_order), "acq_rel of setting the flag", "table/migration.cc, freeze",
              "not needed: the copy loads each word again and acquires it; the flag continues its release sequence"},
    Weakening{int(W::control_first), "the control word is frozen before the slots", "table/migration.cc, freeze",
              "not needed: what the flag's setting returns is the chain that will be frozen"},
};

constexpr unsigned k_home = 0;
constexpr unsigned k_chain = 1;
constexpr unsigned k_threads = 3;
constexpr int k_split = -1;
// In place of a level to begin at.
constexpr int k_anew = -1;
constexpr int k_control_frozen = 2;

// A slot's word: key plus one, version, and the flags.
constexpr int k_frozen = 1;
constexpr int k_tombstone = 2;
constexpr int word_of(int key, int version, int flags = 0) { return (key + 1) * 256 + version * 4 + flags; }
constexpr int key_of(int word) { return word / 256 - 1; }
constexpr int version_of(int word) { return word % 256 / 4; }
constexpr bool empty(int word) { return word < 256; }

/// `Split`: the copy is two segments of the next depth, one for each key.
template <bool Split>
class Table {
 public:
  Table() {
    for (Segment& segment : segments_) {
      for (auto& slot : segment.slots) slot.store(0, mo_relaxed);
      segment.control.store(0, mo_relaxed);
      segment.replacement.store(0, mo_relaxed);
    }
    for (auto& entry : entries_) entry.store(0, mo_relaxed);
    depth_.store(0, mo_relaxed);
    entries_[0].store(k_old, mo_relaxed);
    old().slots[k_home].store(word_of(0, 1), mo_relaxed);
  }

  /// Key 1 has been erased.
  void erased() {
    old().slots[k_chain].store(word_of(1, 1, k_tombstone), mo_relaxed);
    old().control.store(1, mo_relaxed);
    tombstone_ = true;
  }

  /// Writes the key's next version; returns it.
  int put(unsigned thread, int key) {
    int start = depth();
    while (true) {
      Segment* segment = &segments_[segment_at(start, key)];
      // Who looks again begins anew.
      start = k_anew;
      if (weakened(W::through_directory)) {
        const int copy = segment->replacement.load(mo_acquire);
        if (copy != 0) segment = &segments_[part_of(copy, key)];
      }
      const Place place = locate(*segment, key);
      if (place.slot == nullptr) {
        if (replace(thread)) continue;
        return 0;
      }
      // An erased key has its versions begin anew: the tombstone may be gone.
      const bool anew = empty(place.seen) || (place.seen & k_tombstone) != 0;
      const int version = anew ? 1 : version_of(place.seen) + 1;
      if (place.slot->compare_exchange(place.seen, word_of(key, version), mo_acq_rel)) {
        ++puts_[static_cast<unsigned>(key)];
        if ((place.seen & k_tombstone) != 0) retire_tombstone();
        return version;
      }
    }
  }

  /// The key's version; 0 when it has none.
  int find(int key) {
    const int start = depth();
    Segment& segment = segments_[segment_at(start, key)];
    for (unsigned at : {k_home, k_chain}) {
      const int word = segment.slots[at].load(mo_acquire);
      if (empty(word)) return 0;
      if (key_of(word) == key) return (word & k_tombstone) != 0 ? 0 : version_of(word);
      if (at == k_home && (segment.control.load(mo_acquire) & 1) == 0) return 0;
    }
    return 0;
  }

  /// Replaces the old segment, or helps.
  bool replace(unsigned thread) {
    Segment& segment = old();
    const auto acquire = order(W::replacement_acquire, mo_acquire);
    bool ours = false;
    if (segment.replacement.load(acquire) == 0 && !copied_[thread]) {
      copied_[thread] = true;
      const int copy = k_old + 1 + static_cast<int>(thread) * 2;
      if (weakened(W::freeze_first)) copy_into(thread, copy);
      freeze(segment);
      if (!weakened(W::freeze_first)) copy_into(thread, copy);
      offer(segment, copy);
      ours = segment.replacement.load(acquire) == copy;
      if (!ours) dropped_[thread] = true;
    }
    const int first = segment.replacement.load(acquire);
    // A thread looks for a copy once: a second would be another interleaving's.
    if (first == 0) return false;
    swing(first);
    if (ours && left_out_[thread]) retire_tombstone();
    return true;
  }

  void check_all() {
    for (int key : {0, 1}) {
      const int before = key == 0 ? 1 : 0;
      check(find(key) == before + puts_[static_cast<unsigned>(key)], "an update is lost");
    }
    for (unsigned thread = 0; thread < k_threads; ++thread) {
      if (copied_[thread] && !dropped_[thread]) check(part_in_use(thread), "a copy is neither in use nor given back");
      if (copied_[thread] && dropped_[thread]) check(!part_in_use(thread), "a copy that was given back is in use");
    }
    if (!tombstone_retired_) return;
    const Segment& segment = segments_[segment_for(1)];
    for (const auto& slot : segment.slots)
      check((slot.load(mo_relaxed) & k_tombstone) == 0, "a tombstone in use was retired");
  }

 private:
  static constexpr int k_old = 1;

  struct Segment {
    std::array<Atomic<int>, 2> slots;
    Atomic<int> control;
    Atomic<int> replacement;
  };
  struct Place {
    Atomic<int>* slot = nullptr;
    int seen = 0;
  };

  Segment& old() { return segments_[k_old]; }
  static unsigned part_of(int copy, int key) { return static_cast<unsigned>(copy + (Split ? key : 0)); }

  /// The deepest level in use.
  int depth() { return Split ? depth_.load(mo_acquire) : 0; }

  /// `start` is the level that was the deepest when the operation began: others may
  /// have added one since.
  unsigned segment_at(int start, int key) {
    if (start == 0) {
      const int found = entries_[0].load(order(W::entry_acquire, mo_acquire));
      if (found > 0) return static_cast<unsigned>(found);
    }
    return segment_for(key);
  }

  unsigned segment_for(int key) {
    const auto acquire = order(W::entry_acquire, mo_acquire);
    for (unsigned tries = 0; tries < 8; ++tries) {
      if (Split) {
        const int deep = entries_[1 + static_cast<unsigned>(key)].load(acquire);
        if (deep > 0) return static_cast<unsigned>(deep);
      }
      const int found = entries_[0].load(acquire);
      if (found > 0) return static_cast<unsigned>(found);
    }
    check(false, "a lookup finds no segment");
    return 0;
  }

  Place locate(Segment& segment, int key) {
    for (unsigned at : {k_home, k_chain}) {
      const int word = segment.slots[at].load(mo_acquire);
      if ((word & k_frozen) != 0 && !weakened(W::writer_looks_at_frozen)) return {};
      if (empty(word) || key_of(word) == key) return {&segment.slots[at], word};
      if (at == k_chain) break;
      if (segment.control.load(mo_acquire) == 0) segment.control.compare_exchange(0, 1, mo_acq_rel);
      if ((segment.control.load(mo_acquire) & 1) == 0) break;
    }
    return {};
  }

  void freeze(Segment& segment) {
    int control = 0;
    if (!weakened(W::control_first)) control = freeze_control(segment);
    freeze_slot(segment.slots[k_home]);
    if (weakened(W::control_first)) control = freeze_control(segment);
    if ((control & 1) != 0) freeze_slot(segment.slots[k_chain]);
  }

  int freeze_control(Segment& segment) {
    if (weakened(W::freeze_control)) return segment.control.load(mo_acquire);
    return segment.control.fetch_or(k_control_frozen, order(W::freeze_order, mo_acq_rel));
  }

  void freeze_slot(Atomic<int>& slot) {
    const int word = slot.load(mo_relaxed);
    if ((word & k_frozen) != 0) return;
    if (weakened(W::freeze_empty) && empty(word)) return;
    if (weakened(W::freeze_is_rmw)) {
      slot.store(word | k_frozen, mo_release);
    } else {
      slot.fetch_or(k_frozen, order(W::freeze_order, mo_acq_rel));
    }
  }

  void copy_into(unsigned thread, int copy) {
    // Each thread finds tombstones safe or not by its own look at the epochs.
    const bool drops = thread == 1;
    Segment& segment = old();
    std::array<unsigned, 2> filled{};
    for (unsigned at : {k_home, k_chain}) {
      const int word = segment.slots[at].load(mo_acquire) & ~k_frozen;
      if (empty(word)) break;
      if (drops && (word & k_tombstone) != 0) {
        left_out_[thread] = true;
      } else {
        const Unobserved is_private;
        const unsigned part = part_of(copy, key_of(word));
        unsigned& count = filled[part - static_cast<unsigned>(copy)];
        if (count == 1) segments_[part].control.store(1, mo_relaxed);
        segments_[part].slots[count++].store(word, mo_relaxed);
      }
      if (at == k_home && (segment.control.load(mo_acquire) & 1) == 0) break;
    }
  }

  void offer(Segment& segment, int copy) {
    if (weakened(W::offer_once)) {
      segment.replacement.store(copy, mo_release);
    } else {
      segment.replacement.compare_exchange(0, copy, order(W::offer_release, mo_acq_rel, mo_acquire));
    }
  }

  void swing(int first) {
    if (!Split) {
      if (put_entry(0, k_old, first)) retire();
      return;
    }
    depth_.store(1, mo_release);
    const bool late = weakened(W::new_entries_first);
    if (late && put_entry(0, k_old, k_split)) retire();
    for (unsigned half = 0; half < 2; ++half) put_entry(1 + half, 0, first + static_cast<int>(half));
    if (!late && put_entry(0, k_old, k_split)) retire();
  }

  bool put_entry(unsigned at, int expected, int value) {
    if (weakened(W::swing_compares)) {
      entries_[at].store(value, mo_release);
      return true;
    }
    return entries_[at].compare_exchange(expected, value, order(W::swing_release, mo_acq_rel, mo_acquire));
  }

  void retire() {
    check(!retired_, "a segment is retired twice");
    retired_ = true;
  }

  void retire_tombstone() {
    check(!tombstone_retired_, "a tombstone is retired twice");
    tombstone_retired_ = true;
  }

  bool part_in_use(unsigned thread) {
    const int copy = k_old + 1 + static_cast<int>(thread) * 2;
    return entries_[Split ? 1 : 0].load(mo_relaxed) == copy;
  }

  // Number 0 is none, 1 the old one; then two for each thread.
  std::array<Segment, 2 + 2 * k_threads> segments_;
  // Depth 0, and the two of depth 1.
  std::array<Atomic<int>, 3> entries_;
  Atomic<int> depth_;
  // Ghosts.
  std::array<int, 2> puts_{};
  std::array<bool, k_threads> copied_{};
  std::array<bool, k_threads> dropped_{};
  std::array<bool, k_threads> left_out_{};
  bool retired_ = false;
  bool tombstone_ = false;
  bool tombstone_retired_ = false;
};

/// One writes a key; one replaces the segment. `Key` 1 goes to the chain.
template <bool Split, int Key, bool Reads>
struct Writer : rl::test_suite<Writer<Split, Key, Reads>, 2> {
  Table<Split> table;
  void thread(unsigned index) {
    if (index == 1) {
      (void)table.replace(1);
      return;
    }
    const int wrote = table.put(0, Key);
    if (Reads) check(table.find(Key) >= wrote, "a thread does not find what it wrote");
  }
  void after() { table.check_all(); }
};

/// Two replace the segment, with a tombstone in it, and write.
template <bool Split>
struct Helpers : rl::test_suite<Helpers<Split>, 2> {
  Table<Split> table;
  void before() { table.erased(); }
  void thread(unsigned index) {
    if (!table.replace(index)) return;
    const int key = static_cast<int>(index);
    const int wrote = table.put(index, key);
    check(table.find(key) >= wrote, "a thread does not find what it wrote");
  }
  void after() { table.check_all(); }
};

/// Two replace the segment; who only helped finds in the copy what was there.
template <bool Split>
struct Helped : rl::test_suite<Helped<Split>, 2> {
  Table<Split> table;
  void thread(unsigned index) {
    (void)table.replace(index);
    if (index == 0) check(table.find(0) > 0, "a reader misses a key that is there");
  }
  void after() { table.check_all(); }
};

/// One writes twice, one replaces, one reads twice.
template <bool Split>
struct Reader : rl::test_suite<Reader<Split>, 3> {
  Table<Split> table;
  void thread(unsigned index) {
    if (index == 0) {
      table.put(0, 0);
      table.put(0, 0);
    } else if (index == 1) {
      (void)table.replace(1);
    } else {
      const int first = table.find(0);
      check(first > 0, "a reader misses a key that is there");
      check(table.find(0) >= first, "a reader sees a key's versions go back");
    }
  }
  void after() { table.check_all(); }
};

template <bool Split>
void search_both(Search& search) {
  explore<Writer<Split, 0, false>>(search, {Plan::Kind::preemptions, 6});
  explore<Writer<Split, 1, true>>(search, {Plan::Kind::preemptions, 4});
  explore<Helpers<Split>>(search, {Plan::Kind::preemptions, 3});
  explore<Helped<Split>>(search, {Plan::Kind::preemptions, 4});
  explore<Helpers<Split>>(search, {Plan::Kind::random, 150'000});
  explore<Reader<Split>>(search, {Plan::Kind::random, 300'000});
}

void search_freeze(Search& search) {
  search_both<false>(search);
  search_both<true>(search);
}

}  // namespace

Model freeze_model() { return {"freeze", k_weakenings, search_freeze}; }

}  // namespace actable::lab::models
