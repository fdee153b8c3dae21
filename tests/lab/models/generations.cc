#include "tests/lab/models/checker.h"

/// Compaction: caches are exchanged, what lives is moved, caches are exchanged
/// again, arenas go (base/compaction.cc, table/tidy.cc), while others write and
/// read. There are one key, one thread's cache, and blocks of two generations.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  entering_waits,
  settling_waits,
  parting_waits,
  retired_waits,
  second_exchange,
  move_compares,
  limbo_drops,
  cache_after_pin,
  exchange_release,
  cache_acquire,
  move_release,
};

constexpr std::array k_weakenings{
    Weakening{int(W::entering_waits), "blocks are moved when nobody uses an old cache",
              "base/compaction.cc, step_exchange"},
    Weakening{int(W::settling_waits), "the second exchange comes when no pin from before the last move is left",
              "base/compaction.cc, step_compaction"},
    Weakening{int(W::parting_waits), "an exchanged cache is taken when nobody uses it",
              "base/compaction.cc, step_exchange"},
    Weakening{int(W::retired_waits), "and what was retired into it once more is safe",
              "base/compaction.cc, step_exchange"},
    Weakening{int(W::second_exchange), "caches are exchanged a second time", "base/compaction.cc, step_compaction"},
    Weakening{int(W::move_compares), "a move compares (a plain store)", "table/tidy.cc, move_record"},
    Weakening{int(W::limbo_drops), "old blocks are dropped from what comes out of limbo",
              "base/record_memory.cc, drop_leaving"},
    Weakening{int(W::cache_after_pin), "a thread looks for its cache when it has pinned",
              "store/thread_context.h, cache"},
    Weakening{int(W::exchange_release), "release of the exchange", "base/compaction.cc, exchange_caches"},
    Weakening{int(W::cache_acquire), "acquire of the cache", "base/record_memory.h, CacheSlot::cache"},
    Weakening{int(W::move_release), "release of the moving exchange", "table/tidy.cc, move_record"},
};

// A thread's caches, one after the other.
constexpr int k_old_cache = 0;
constexpr int k_dropping_cache = 1;
constexpr int k_new_cache = 2;

constexpr int k_none = -1;
constexpr int k_gone = -2;
// Blocks of the old generation, then of the new one.
constexpr int k_first = 0;
constexpr int k_old_blocks = 3;
constexpr int k_copy = 3;
constexpr int k_new_blocks = 4;
constexpr int k_blocks = 8;
constexpr bool is_old(int block) { return block < k_old_blocks; }

class Memory {
 public:
  /// `begun`: the second exchange is next, and the record lies in new memory.
  explicit Memory(bool begun) : begun_(begun) {
    word_.store(1, mo_relaxed);
    for (auto& announced : announced_) announced.store(0, mo_relaxed);
    for (auto& block : blocks_) block.set(0);
    for (Cache& cache : caches_) {
      cache.whole.set(0);
      cache.retired.set(k_none);
    }
    arenas_.set(1);
    const int cache = begun ? k_dropping_cache : k_old_cache;
    caches_[cache].whole.set(1);
    cache_.store(cache, mo_relaxed);
    const int block = begun ? k_new_blocks + 3 : k_first;
    blocks_[block].set(1);
    slot_.store(block, mo_relaxed);
  }

  /// Writes `value` under a pin of the thread's.
  void put(unsigned thread, int value) {
    const int early = weakened(W::cache_after_pin) ? look_for_cache() : k_none;
    pin(thread);
    const int fresh = allocate(early == k_none ? look_for_cache() : early);
    blocks_[fresh].set(value);
    while (true) {
      const int seen = slot_.load(mo_acquire);
      if (!slot_.compare_exchange(seen, fresh, mo_acq_rel)) continue;
      latest_ = value;
      // Looked for again, as the code does.
      caches_[early == k_none ? look_for_cache() : early].retired.set(seen);
      break;
    }
    unpin(thread);
  }

  void read(unsigned thread) {
    pin(thread);
    check(blocks_[slot_.load(mo_acquire)].get() > 0, "a reader sees memory that has gone or is used again");
    unpin(thread);
  }

  /// Once, as far as the pins allow: that it waits longer is another interleaving.
  void compact() {
    if (!begun_) {
      exchange(k_old_cache, k_dropping_cache);
      if (!quiet() && !weakened(W::entering_waits)) return;
      move();
      if (!quiet() && !weakened(W::settling_waits)) return;
    }
    if (!weakened(W::second_exchange)) exchange(k_dropping_cache, k_new_cache);
    if (!quiet() && !weakened(W::parting_waits)) return;
    if (!weakened(W::retired_waits) && !quiet()) return;
    if (!weakened(W::second_exchange)) {
      const int retired = caches_[k_dropping_cache].retired.get();
      // On a shared stack anybody may have it.
      if (retired != k_none && !is_old(retired)) blocks_[retired].set(k_gone);
    }
    arenas_.set(k_gone);
    for (int block = 0; block < k_old_blocks; ++block) blocks_[block].set(k_gone);
  }

  void check_all() { check(blocks_[slot_.load(mo_relaxed)].get() == latest_, "an update is lost, or its memory"); }

 private:
  struct Cache {
    Plain<int> whole;
    /// A block that was retired into it.
    Plain<int> retired;
  };

  void pin(unsigned thread) {
    // x86-64 loads in order, so that there the word is acquired without a fence.
    const int epoch = word_.load(present_machine == Machine::x86_64 ? mo_acquire : mo_relaxed);
    announced_[thread].store(epoch, mo_release);
    light_fence();
  }
  void unpin(unsigned thread) { announced_[thread].store(0, mo_release); }

  int look_for_cache() { return cache_.load(order(W::cache_acquire, mo_acquire)); }

  int allocate(int cache) {
    check(caches_[cache].whole.get() == 1, "a cache is not whole");
    const int retired = caches_[cache].retired.get();
    if (cache == k_dropping_cache && !weakened(W::limbo_drops))
      check(arenas_.get() == 1, "arenas are asked after they have gone");
    // The thread's own, and no reader is modelled where it is used again.
    const bool drops = cache == k_dropping_cache && !weakened(W::limbo_drops);
    if (reuses && retired != k_none && !(drops && is_old(retired))) {
      caches_[cache].retired.set(k_none);
      return retired;
    }
    return allocated_++ + (cache == k_old_cache ? 1 : k_new_blocks);
  }

  void exchange(int from, int to) {
    caches_[to].whole.set(1);
    cache_.compare_exchange(from, to, order(W::exchange_release, mo_acq_rel));
  }

  bool quiet() {
    light_fence();
    const int stamp = word_.load(mo_acquire);
    int reached = word_.fetch_add(1, mo_seq_cst) + 1;
    heavy_fence();
    for (auto& announced : announced_) {
      const int epoch = announced.load(mo_acquire);
      if (epoch != 0) reached = std::min(reached, epoch);
    }
    return reached > stamp;
  }

  void move() {
    const int seen = slot_.load(mo_acquire);
    if (!is_old(seen)) return;
    blocks_[k_copy].set(blocks_[seen].get());
    if (weakened(W::move_compares)) {
      slot_.store(k_copy, mo_release);
    } else {
      slot_.compare_exchange(seen, k_copy, order(W::move_release, mo_acq_rel));
    }
  }

 public:
  bool reuses = false;

 private:
  const bool begun_;
  Atomic<int> word_;
  std::array<Atomic<int>, 2> announced_;
  Atomic<int> slot_;
  Atomic<int> cache_;
  std::array<Cache, 3> caches_;
  std::array<Plain<int>, k_blocks> blocks_;
  // What says which blocks are old.
  Plain<int> arenas_;
  // Ghosts.
  int allocated_ = 0;
  int latest_ = 1;
};

/// One writes twice, with what it retired in between; one compacts.
struct Writer : rl::test_suite<Writer, 2> {
  Memory memory{false};
  void before() { memory.reuses = true; }
  void thread(unsigned index) {
    if (index == 1) {
      memory.compact();
      return;
    }
    memory.put(0, 2);
    memory.put(0, 3);
  }
  void after() { memory.check_all(); }
};

/// One reads, one compacts.
struct Reader : rl::test_suite<Reader, 2> {
  Memory memory{false};
  void thread(unsigned index) {
    if (index == 1) {
      memory.compact();
      return;
    }
    memory.read(0);
    memory.read(0);
  }
  void after() { memory.check_all(); }
};

/// One writes, one reads; one parts with the caches.
struct Parting : rl::test_suite<Parting, 3> {
  Memory memory{true};
  void thread(unsigned index) {
    if (index == 0) {
      memory.put(0, 2);
    } else if (index == 1) {
      memory.read(1);
    } else {
      memory.compact();
    }
  }
  void after() { memory.check_all(); }
};

/// The same from the beginning.
struct All : rl::test_suite<All, 3> {
  Memory memory{false};
  void thread(unsigned index) {
    if (index == 0) {
      memory.put(0, 2);
    } else if (index == 1) {
      memory.read(1);
    } else {
      memory.compact();
    }
  }
  void after() { memory.check_all(); }
};

void search_generations(Search& search) {
  if (search.weakening == 0) {
    explore<Writer>(search, {Plan::Kind::preemptions, 4}, Machine::x86_64);
    explore<Parting>(search, {Plan::Kind::preemptions, 3}, Machine::x86_64);
    explore<All>(search, {Plan::Kind::random, 200'000}, Machine::x86_64);
  }
  explore<Writer>(search, {Plan::Kind::preemptions, 4});
  explore<Reader>(search, {Plan::Kind::preemptions, 4});
  explore<Parting>(search, {Plan::Kind::preemptions, 3});
  explore<All>(search, {Plan::Kind::random, 200'000});
}

}  // namespace

Model generations_model() { return {"generations", k_weakenings, search_generations}; }

}  // namespace actable::lab::models
