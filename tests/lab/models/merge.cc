#include "tests/lab/models/checker.h"

/// Merging two segments into one (table/merge.cc), splitting that again, and the
/// directory's entries brought forward (table/migration.cc), while others write,
/// read and replace. There is one parent entry with two children, and a slot for
/// each of two keys: key 0 belongs to the left half, key 1 to the right one.
///
/// Of epochs there is what base/epoch.h guarantees: nothing goes while somebody
/// uses it who was pinned before it was retired, and who is pinned later finds what
/// came before.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  left_gives_up,
  left_first,
  done_compares,
  given_up_compares,
  claims_compare,
  offer_looks,
  freeze_first,
  last_drops,
  lost_claim_drops,
  all_entries,
  past_older,
  whole_family,
  retired_once,
  claim_release,
  replacement_acquire,
  enter_release,
  claims_order,
  retired_order,
  right_decides,
  merge_order,
};

// Where a weakening is.
constexpr const char* k_claim_both = "table/merge.cc, claim_both";
constexpr const char* k_drop_claim = "table/merge.cc, drop_claim";
constexpr const char* k_bring_forward = "table/migration.cc, bring_forward";
constexpr const char* k_replacement_of = "table/migration.cc, replacement_of";
constexpr const char* k_swing = "table/migration.cc, swing";

constexpr std::array k_weakenings{
    Weakening{int(W::left_gives_up), "who meets the left half gives up (has it done)", k_replacement_of},
    Weakening{int(W::left_first), "the left half is claimed first", k_claim_both},
    Weakening{int(W::done_compares), "a merge becomes done once (a plain store)", k_claim_both},
    Weakening{int(W::given_up_compares), "a merge is given up once (a plain store)", k_replacement_of},
    Weakening{int(W::claims_compare), "the claims compare (a plain store)", k_claim_both},
    Weakening{int(W::offer_looks), "a claim is taken back only when the merge was given up",
              "table/migration.cc, offer"},
    Weakening{int(W::freeze_first), "both are frozen before they are copied", "table/merge.cc, merge"},
    Weakening{int(W::last_drops), "the last dropped claim retires the merged segment (the first)", k_drop_claim},
    Weakening{int(W::lost_claim_drops), "a claim that fails is dropped", k_claim_both},
    Weakening{int(W::all_entries), "who retires goes through all entries (through one)", k_bring_forward},
    Weakening{int(W::past_older), "and brings those with an older segment forward, too", k_bring_forward},
    Weakening{int(W::whole_family), "and, for the first of two, those of the other half", k_swing},
    Weakening{int(W::retired_once), "`retired` is exchanged (looked at and stored)", k_swing},
    Weakening{int(W::claim_release), "release of the claims", k_claim_both},
    Weakening{int(W::replacement_acquire), "acquire of `replacement`", k_replacement_of},
    Weakening{int(W::enter_release), "release of the swing", k_bring_forward},
    Weakening{int(W::claims_order), "acq_rel of dropping a claim", k_drop_claim},
    Weakening{int(W::retired_order), "release and acquire of `retired`", k_swing},
    Weakening{int(W::right_decides), "who meets the right half has the merge done (gives it up)", k_replacement_of,
              "not needed: then both halves are replaced by themselves"},
    Weakening{int(W::merge_order), "acquire and acq_rel of `merge`", k_replacement_of,
              "not needed: its order alone matters; the copy was acquired with `replacement`"},
};

constexpr int k_frozen = 1;
constexpr int k_split = -1;
// What a segment is for, and where its entries begin: a key's, or the parent.
constexpr int k_both = 2;
constexpr unsigned k_parent = 2;
constexpr unsigned k_segments = 18;

/// Of `Segment::merge`.
enum Merge { k_none, k_pending, k_done, k_given_up };

/// Where a program begins: with two halves; a segment that was merged of two; one
/// that is being split, so that the first half, or both, are in their entries.
enum class Begin { halves, merged, half_split, nearly_split };

class Table {
 public:
  void begin(Begin begin) {
    const bool split = begin == Begin::half_split || begin == Begin::nearly_split;
    std::array<int, 3> entries{0, 0, k_split};
    if (begin == Begin::merged) {
      const int whole = make(k_both, {2, 2});
      segments_[number(whole)].merge.store(k_done, mo_relaxed);
      entries[0] = entries[1] = whole;
    } else {
      const int left = entries[0] = make(0, {2, 0});
      const int right = make(1, {0, 2});
      if (begin != Begin::half_split) entries[1] = right;
      if (split) {
        entries[k_parent] = old_ = make(k_both, {2 | k_frozen, 2 | k_frozen});
        segments_[number(old_)].replacement.store(left, mo_relaxed);
        segments_[number(left)].sibling.set(right);
      }
    }
    for (unsigned at = 0; at < 3; ++at) entries_[at].store(entries[at], mo_relaxed);
    holds_ = entries;
  }

  /// What a thread does from here on it does under a new pin.
  void pin(unsigned thread) {
    pinned_at_[thread] = ++now_;
    full_fence();
  }

  /// Writes the key's next version; returns it.
  int put(unsigned thread, unsigned key) {
    while (true) {
      const int at = segment_for(key);
      auto& slot = use(thread, at).slots[key];
      const int word = slot.load(mo_acquire);
      if ((word & k_frozen) != 0) {
        replace(thread, at);
        continue;
      }
      if (slot.compare_exchange(word, word + 2, mo_acq_rel)) {
        ++puts_[key];
        return word / 2 + 1;
      }
    }
  }

  /// The key's version; at first 1.
  int find(unsigned thread, unsigned key) { return use(thread, segment_for(key)).slots[key].load(mo_acquire) / 2; }

  /// Replaces what holds the key by one segment, or by two where that can be split.
  void rebuild(unsigned thread, unsigned key) { replace(thread, segment_for(key)); }
  void split(unsigned thread, unsigned key) { replace(thread, segment_for(key), true); }

  /// Goes on with what was replaced at the beginning.
  void finish(unsigned thread) { replace(thread, old_); }

  /// Merges both halves if they are there.
  void merge(unsigned thread) {
    const int left = segment_for(0);
    const int right = segment_for(1);
    if (use(thread, left).half.get() != 0 || use(thread, right).half.get() != 1) return;
    freeze(thread, left);
    if (!weakened(W::freeze_first)) freeze(thread, right);
    const int whole = make(k_both, {word(thread, left, 0), word(thread, right, 1)});
    if (weakened(W::freeze_first)) freeze(thread, right);
    {
      const Unobserved is_private;
      segments_[number(whole)].merge.store(k_pending, mo_relaxed);
      segments_[number(whole)].claims.store(2, mo_relaxed);
    }
    halves_[number(whole)] = {left, right};
    if (!claim_both(thread, left, right, whole)) {
      replace(thread, left);
      replace(thread, right);
      return;
    }
    swing(thread, left);
    swing(thread, right);
    retire_dropped(left);
    retire_dropped(right);
  }

  void check_all() {
    for (unsigned key = 0; key < 2; ++key) {
      const int at = entries_[key].load(mo_acquire);
      check(at > 0, "a lookup finds no segment");
      check(segments_[number(at)].slots[key].load(mo_relaxed) == 2 * (1 + puts_[key]), "an update is lost");
    }
    check(holds_[k_parent] == k_split, "an entry was not brought forward");
    for (unsigned at = 1; at < made_; ++at) {
      const int in_use = std::ranges::count(holds_, int(at)) != 0 ? 1 : 0;
      check(in_use + int(retired_at_[at] != 0) + int(released_[at]) == 1, "a segment is neither in use nor given back");
      if (halves_[at][0] == 0 || released_[at]) continue;
      const bool done = segments_[at].merge.load(mo_relaxed) == k_done;
      for (const int half : halves_[at]) check((replaced_by_[number(half)] == int(at)) == done, "half a merge is done");
    }
  }

 private:
  struct Segment {
    std::array<Atomic<int>, 2> slots;
    Atomic<int> merge;
    Atomic<int> claims;
    Atomic<int> retired;
    Atomic<int> replacement;
    Plain<int> half;
    Plain<int> sibling;
  };

  static unsigned number(int at) { return static_cast<unsigned>(at); }
  static bool concerns(int half, unsigned key) { return half == k_both || half == int(key); }

  Segment& use(unsigned thread, int at) {
    check(!released_[number(at)], "a private copy is used by another");
    const unsigned retired_at = retired_at_[number(at)];
    check(retired_at == 0 || pinned_at_[thread] <= retired_at, "a segment is used that may be gone");
    return segments_[number(at)];
  }

  int make(int half, std::array<int, 2> words) {
    const Unobserved is_private;
    check(made_ < k_segments, "the model has too few segments");
    Segment& segment = segments_[made_];
    for (unsigned key = 0; key < 2; ++key) segment.slots[key].store(words[key], mo_relaxed);
    for (auto* const word : {&segment.merge, &segment.claims, &segment.retired, &segment.replacement})
      word->store(0, mo_relaxed);
    segment.half.set(half);
    segment.sibling.set(0);
    return int(made_++);
  }

  int segment_for(unsigned key) {
    for (unsigned tries = 0; tries < 8; ++tries) {
      for (const unsigned at : {key, k_parent}) {
        const int found = entries_[at].load(mo_acquire);
        if (found == k_split) break;
        if (found != 0) return found;
      }
    }
    check(false, "a lookup finds no segment");
    return 0;
  }

  void freeze(unsigned thread, int at) {
    Segment& segment = use(thread, at);
    for (unsigned key = 0; key < 2; ++key) {
      if (!concerns(segment.half.get(), key)) continue;
      if ((segment.slots[key].load(mo_relaxed) & k_frozen) == 0) segment.slots[key].fetch_or(k_frozen, mo_acq_rel);
    }
  }

  /// Of a frozen slot, for a copy.
  int word(unsigned thread, int at, unsigned key) { return use(thread, at).slots[key].load(mo_acquire) & ~k_frozen; }

  void replace(unsigned thread, int at, bool splits = false) {
    while (replacement_of(thread, at) == 0) {
      freeze(thread, at);
      const int first = copy(thread, at, splits);
      if (!offer(thread, at, first)) continue;
      swing(thread, at);
      retire_dropped(at);
      return;
    }
    swing(thread, at);
  }

  int copy(unsigned thread, int at, bool splits) {
    const int half = use(thread, at).half.get();
    std::array<int, 2> words{};
    for (unsigned key = 0; key < 2; ++key)
      if (concerns(half, key)) words[key] = word(thread, at, key);
    if (half != k_both || !splits) return make(half, words);
    const int first = make(0, {words[0], 0});
    segments_[number(first)].sibling.set(make(1, {0, words[1]}));
    return first;
  }

  int replacement_of(unsigned thread, int at) {
    Segment& segment = use(thread, at);
    const int found = segment.replacement.load(order(W::replacement_acquire, mo_acquire));
    if (found == 0) return 0;
    auto& merge = use(thread, found).merge;
    int seen = merge.load(order(W::merge_order, mo_acquire));
    if (seen == k_pending) {
      const bool right = segment.half.get() == 1;
      const bool done = right ? !weakened(W::right_decides) : weakened(W::left_gives_up);
      seen = decide(found, done ? k_done : k_given_up, W::given_up_compares);
    }
    return seen == k_given_up ? 0 : found;
  }

  /// What a pending merge became.
  int decide(int whole, int decision, W compares) {
    auto& merge = segments_[number(whole)].merge;
    if (weakened(compares)) {
      merge.store(decision, mo_release);
      return decision;
    }
    if (merge.compare_exchange(k_pending, decision, order(W::merge_order, mo_acq_rel))) return decision;
    return merge.load(order(W::merge_order, mo_acquire));
  }

  bool offer(unsigned thread, int at, int first) {
    auto& replacement = use(thread, at).replacement;
    const int seen = replacement.load(mo_acquire);
    const bool undecided = seen == 0 || weakened(W::offer_looks) ||
                           use(thread, seen).merge.load(order(W::merge_order, mo_acquire)) == k_given_up;
    if (undecided && replacement.compare_exchange(seen, first, mo_acq_rel)) {
      replaced_by_[number(at)] = first;
      if (seen != 0) drop_claim(seen);
      return true;
    }
    released_[number(first)] = true;
    const int second = segments_[number(first)].sibling.get();
    if (second != 0) released_[number(second)] = true;
    return false;
  }

  bool claim(unsigned thread, int half, int whole) {
    auto& replacement = use(thread, half).replacement;
    if (weakened(W::claims_compare)) {
      replacement.store(whole, mo_release);
    } else if (!replacement.compare_exchange(0, whole, order(W::claim_release, mo_acq_rel, mo_acquire))) {
      return false;
    }
    replaced_by_[number(half)] = whole;
    return true;
  }

  bool claim_both(unsigned thread, int left, int right, int whole) {
    if (weakened(W::left_first)) std::swap(left, right);
    if (!claim(thread, left, whole)) {
      released_[number(whole)] = true;
      return false;
    }
    const bool both = claim(thread, right, whole);
    const int seen = decide(whole, both ? k_done : k_given_up, W::done_compares);
    if (!both && !weakened(W::lost_claim_drops)) drop_claim(whole);
    return seen == k_done;
  }

  void drop_claim(int whole) {
    Segment& segment = segments_[number(whole)];
    const int last = weakened(W::last_drops) ? 2 : 1;
    if (segment.claims.fetch_add(-1, order(W::claims_order, mo_acq_rel)) != last) return;
    // What is not known to be gone may be found by who pins later.
    for (const int half : halves_[number(whole)])
      check(segments_[number(half)].replacement.load(mo_relaxed) != whole, "a segment is retired that a claim names");
    retire(whole);
  }

  void swing(unsigned thread, int at) {
    Segment& segment = use(thread, at);
    if (segment.retired.load(order(W::retired_order, mo_acquire)) != 0) return;
    // Who finds the one that was split finds the first of the two through it.
    const bool family = segment.sibling.get() != 0 && !weakened(W::whole_family);
    const int half = segment.half.get();
    bring_forward(thread, at, family || half == k_both ? k_parent : number(half));
    const bool looks = weakened(W::retired_once) && segment.retired.load(mo_acquire) == 0;
    if (segment.retired.fetch_or(1, order(W::retired_order, mo_acq_rel)) == 0 || looks) retire(at);
  }

  /// `replaced`: for whom.
  void bring_forward(unsigned thread, int replaced, unsigned at) {
    int held = entries_[at].load(mo_acquire);
    while (held != k_split) {
      if (weakened(W::past_older) && held != replaced) return;
      const int first = replacement_of(thread, held);
      if (first == 0) return;
      int next = first;
      const int second = use(thread, first).sibling.get();
      if (second != 0 && at == k_parent) {
        enter(0, 0, first);
        enter(1, 0, second);
        next = k_split;
      } else if (second != 0 && at == 1) {
        next = second;
      }
      held = enter(at, held, next) ? next : entries_[at].load(mo_acquire);
    }
    bring_forward(thread, replaced, 0);
    if (!weakened(W::all_entries)) bring_forward(thread, replaced, 1);
  }

  bool enter(unsigned at, int expected, int next) {
    if (!entries_[at].compare_exchange(expected, next, order(W::enter_release, mo_acq_rel, mo_acquire))) return false;
    check(next == k_split || retired_at_[number(next)] == 0, "a retired segment comes into an entry");
    holds_[at] = next;
    return true;
  }

  /// After the light fence that stamps what is retired.
  void retire(int at) {
    full_fence();
    check(retired_at_[number(at)] == 0, "a segment is retired twice");
    check(std::ranges::count(holds_, at) == 0, "a segment is retired that an entry holds");
    retired_at_[number(at)] = now_;
  }

  /// What the copy left out of the segment is retired: the segment is out of reach.
  void retire_dropped(int at) {
    for (unsigned key = 0; key < 2; ++key)
      check(entries_[key].load(mo_relaxed) != at, "what a reader may come to is retired");
  }

  // Number 0 is none.
  std::array<Segment, k_segments> segments_;
  // The children's, then the parent's.
  std::array<Atomic<int>, 3> entries_;
  // Ghosts. `old_`: what is being split at the beginning.
  int old_ = 0;
  unsigned made_ = 1;
  unsigned now_ = 1;
  std::array<unsigned, 3> pinned_at_{};
  std::array<int, 3> holds_{};
  std::array<int, 2> puts_{};
  std::array<unsigned, k_segments> retired_at_{};
  std::array<bool, k_segments> released_{};
  std::array<int, k_segments> replaced_by_{};
  /// Of a merged segment: what it was made of.
  std::array<std::array<int, 2>, k_segments> halves_{};
};

/// One merges; one writes a key, or replaces what holds it and then what holds the other.
template <unsigned Key, bool Writes>
struct Merger : rl::test_suite<Merger<Key, Writes>, 2> {
  Table table;
  void before() { table.begin(Begin::halves); }
  void thread(unsigned index) {
    if (index == 0) {
      table.merge(0);
    } else if (Writes) {
      const int wrote = table.put(1, Key);
      check(table.find(1, Key) >= wrote, "a thread does not find what it wrote");
    } else {
      table.rebuild(1, Key);
      table.rebuild(1, 1 - Key);
    }
  }
  void after() { table.check_all(); }
};

/// One splits what is there, or goes on to; one replaces one half, and then,
/// without what it knew, writes to the other one.
template <Begin Where, unsigned First>
struct Splitter : rl::test_suite<Splitter<Where, First>, 2> {
  Table table;
  void before() { table.begin(Where); }
  void thread(unsigned index) {
    if (index == 0) {
      Where == Begin::merged ? table.split(0, 1) : table.finish(0);
    } else {
      table.rebuild(1, First);
      table.pin(1);
      table.put(1, 1 - First);
    }
  }
  void after() { table.check_all(); }
};

/// One goes on to split; one merges what came of it, and splits that again.
struct Again : rl::test_suite<Again, 2> {
  Table table;
  void before() { table.begin(Begin::nearly_split); }
  void thread(unsigned index) {
    if (index == 0) {
      table.finish(0);
    } else {
      table.merge(1);
      table.pin(1);
      table.split(1, 0);
    }
  }
  void after() { table.check_all(); }
};

/// One merges and splits, one writes both keys, one reads them.
struct Reader : rl::test_suite<Reader, 3> {
  Table table;
  void before() { table.begin(Begin::halves); }
  void thread(unsigned index) {
    if (index == 0) {
      table.merge(0);
      table.split(0, 0);
      return;
    }
    std::array seen{1, 1};
    for (const unsigned key : {0U, 1U, 0U, 1U}) {
      const int found = index == 1 ? table.put(1, key) : table.find(2, key);
      check(found > 0, "a reader misses a key that is there");
      check(found >= seen[key], "a reader sees a key's versions go back");
      seen[key] = found;
    }
  }
  void after() { table.check_all(); }
};

void search_merge(Search& search) {
  explore<Merger<1, false>>(search, {Plan::Kind::preemptions, 2});
  explore<Splitter<Begin::merged, 0>>(search, {Plan::Kind::preemptions, 2});
  explore<Merger<0, true>>(search, {Plan::Kind::preemptions, 2});
  explore<Merger<1, true>>(search, {Plan::Kind::preemptions, 2});
  explore<Again>(search, {Plan::Kind::preemptions, 2});
  explore<Splitter<Begin::half_split, 0>>(search, {Plan::Kind::preemptions, 3});
  explore<Splitter<Begin::nearly_split, 1>>(search, {Plan::Kind::preemptions, 3});
  explore<Merger<0, false>>(search, {Plan::Kind::preemptions, 2});
  explore<Reader>(search, {Plan::Kind::random, 50'000});
}

}  // namespace

Model merge_model() { return {"merge", k_weakenings, search_merge}; }

}  // namespace actable::lab::models
