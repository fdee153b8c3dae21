#include "tests/lab/models/checker.h"

/// A bucket's chain: insert into the first empty slot, update, erase to a
/// tombstone, find (table/hash_table.cc). Buckets of one slot each.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  publish_release,
  publish_acquire,
  locate_acquire,
  find_acquire,
  compare,
  first_empty,
  tombstone,
  chain_compare,
  chain_order,
};

constexpr std::array k_weakenings{
    Weakening{int(W::publish_release), "release of the publishing exchange", "table/hash_table.cc, publish"},
    Weakening{int(W::locate_acquire), "acquire of the slot", "table/hash_table.cc, locate"},
    Weakening{int(W::find_acquire), "acquire of the slot", "table/hash_table.cc, find"},
    Weakening{int(W::compare), "the exchange compares (a plain store)", "table/hash_table.cc, publish"},
    Weakening{int(W::first_empty), "an insert takes the first empty slot", "table/hash_table.cc, locate"},
    Weakening{int(W::tombstone), "an erasure leaves a tombstone in the slot", "table/hash_table.cc, publish"},
    Weakening{int(W::chain_compare), "the exchange of the control word compares", "table/hash_table.cc, extend_chain"},
    Weakening{int(W::publish_acquire), "acquire of the publishing exchange", "table/hash_table.cc, publish",
              "not needed: `locate` has acquired the same word"},
    Weakening{int(W::chain_order), "release and acquire of the control word",
              "table/hash_table.cc, extend_chain, find, locate",
              "not needed: the bucket was zeroed before the segment was published"},
};

// One home bucket, and one for each thread that may use one up to extend it.
constexpr unsigned k_buckets = 4;
constexpr int k_key_a = 1;
constexpr int k_key_b = 2;

// A slot's word: the record's place plus one, and the tombstone flag.
constexpr int word_of(unsigned record, bool tombstone) {
  return static_cast<int>(record + 1) * 2 + (tombstone ? 1 : 0);
}
constexpr unsigned record_of(int word) { return static_cast<unsigned>(word / 2 - 1); }

class Chain {
 public:
  Chain() {
    for (auto& slot : slots_) slot.store(0, mo_relaxed);
    for (auto& control : controls_) control.store(0, mo_relaxed);
    used_.store(1, mo_relaxed);
  }

  /// Writes the key's next version; returns it.
  int put(unsigned thread, int key, bool tombstone = false) {
    const unsigned fresh = thread * 4 + made_[thread]++;
    records_[fresh].key.set(key);
    while (true) {
      const auto [bucket, seen] = locate(thread, key);
      const int version = seen == 0 ? 1 : records_[record_of(seen)].version.get() + 1;
      records_[fresh].version.set(version);
      if (!publish(bucket, seen, tombstone && weakened(W::tombstone) ? 0 : word_of(fresh, tombstone))) continue;
      ++puts_[static_cast<unsigned>(key)];
      return version;
    }
  }

  /// The key's version, 0 if it has none.
  int find(int key) {
    const auto chain_order = order(W::chain_order, mo_acquire);
    for (unsigned bucket = 0;;) {
      const int word = slots_[bucket].load(order(W::find_acquire, mo_acquire));
      if (word == 0) return 0;
      if (records_[record_of(word)].key.get() == key) return records_[record_of(word)].version.get();
      bucket = controls_[bucket].load(chain_order);
      if (bucket == 0) return 0;
    }
  }

  /// After all threads: each put is in, one on top of the other.
  void check_key(int key) {
    unsigned slots = 0;
    int version = 0;
    for (unsigned bucket = 0;;) {
      const int word = slots_[bucket].load(mo_relaxed);
      if (word != 0 && records_[record_of(word)].key.get() == key) {
        ++slots;
        version = records_[record_of(word)].version.get();
      }
      bucket = controls_[bucket].load(mo_relaxed);
      if (bucket == 0) break;
    }
    check(slots <= 1, "a key has two slots");
    check(version == puts_[static_cast<unsigned>(key)], "an update is lost");
  }

 private:
  struct Record {
    Plain<int> key;
    Plain<int> version;
  };
  struct Place {
    unsigned bucket;
    int seen;
  };

  Place locate(unsigned thread, int key) {
    const auto chain_order = order(W::chain_order, mo_acquire);
    for (unsigned bucket = 0;;) {
      const int word = slots_[bucket].load(order(W::locate_acquire, mo_acquire));
      const bool passes = weakened(W::first_empty) && thread == 1 && bucket == 0;
      if (word == 0 && !passes) return {bucket, 0};
      if (word != 0 && records_[record_of(word)].key.get() == key) return {bucket, word};
      if (controls_[bucket].load(chain_order) == 0) extend_chain(bucket);
      bucket = controls_[bucket].load(chain_order);
    }
  }

  void extend_chain(unsigned bucket) {
    const unsigned index = used_.fetch_add(1, mo_relaxed);
    if (weakened(W::chain_compare)) {
      controls_[bucket].store(index, mo_release);
    } else {
      controls_[bucket].compare_exchange(0, index, order(W::chain_order, mo_acq_rel));
    }
  }

  bool publish(unsigned bucket, int seen, int word) {
    if (weakened(W::compare)) {
      slots_[bucket].store(word, mo_release);
      return true;
    }
    auto mo = order(W::publish_release, mo_acq_rel, mo_acquire);
    if (weakened(W::publish_acquire)) mo = mo_release;
    return slots_[bucket].compare_exchange(seen, word, mo);
  }

  std::array<Atomic<int>, k_buckets> slots_;
  std::array<Atomic<unsigned>, k_buckets> controls_;
  Atomic<unsigned> used_;
  std::array<Record, 12> records_;
  // Ghosts.
  std::array<unsigned, 3> made_{};
  std::array<int, 3> puts_{};
};

/// Two threads insert one key, and look for it.
struct OneKey : rl::test_suite<OneKey, 2> {
  Chain chain;
  void thread(unsigned index) {
    const int wrote = chain.put(index, k_key_a);
    check(chain.find(k_key_a) >= wrote, "a thread does not find what it wrote");
  }
  void after() { chain.check_key(k_key_a); }
};

/// One inserts a key behind another; the other erases that one and inserts the
/// same key.
struct Erase : rl::test_suite<Erase, 2> {
  Chain chain;
  void before() { chain.put(2, k_key_a); }
  void thread(unsigned index) {
    if (index == 1) chain.put(1, k_key_a, true);
    chain.put(index, k_key_b);
  }
  void after() {
    if (!weakened(W::tombstone)) chain.check_key(k_key_a);
    chain.check_key(k_key_b);
  }
};

/// One writes a key twice, the other reads it twice.
struct Reader : rl::test_suite<Reader, 2> {
  Chain chain;
  void thread(unsigned index) {
    if (index == 0) {
      chain.put(0, k_key_a);
      chain.put(0, k_key_a);
    } else {
      const int first = chain.find(k_key_a);
      check(chain.find(k_key_a) >= first, "a reader sees a key's versions go back");
    }
  }
};

/// Three writers of two keys.
struct Three : rl::test_suite<Three, 3> {
  Chain chain;
  void thread(unsigned index) {
    chain.put(index, index == 2 ? k_key_b : k_key_a);
    chain.put(index, index == 0 ? k_key_b : k_key_a);
  }
  void after() {
    chain.check_key(k_key_a);
    chain.check_key(k_key_b);
  }
};

void search_slots(Search& search) {
  explore<OneKey>(search, k_full);
  explore<Reader>(search, k_full);
  explore<Erase>(search, k_full);
  explore<Three>(search, {Plan::Kind::random, 200'000});
}

}  // namespace

Model slots_model() { return {"slots", k_weakenings, search_slots}; }

}  // namespace actable::lab::models
