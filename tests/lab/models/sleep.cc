#include "tests/lab/models/checker.h"

/// Who sleeps is woken: the log's thread and a stager (wal/writer.cc, wal/log.h),
/// a waiter for the durable number (wal/durable.h). In each, one side writes A
/// and looks at B, the other writes B and looks at A, and one of them must see
/// the other.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  idle_fence,
  look_again,
  stager_fence,
  raise_store,
  raise_load,
  wait_add,
  wait_load,
};

constexpr std::array k_weakenings{
    Weakening{int(W::idle_fence), "heavy fence after the idle flag", "wal/writer.cc, step_idle"},
    Weakening{int(W::look_again), "the look at the stagers after it", "wal/writer.cc, step_idle"},
    Weakening{int(W::stager_fence), "light fence before the look at the idle flag", "wal/log.h, needs_wake"},
    Weakening{int(W::raise_store), "seq_cst of the number's store", "wal/durable.h, raise"},
    Weakening{int(W::raise_load), "seq_cst of the look at `waiting_`", "wal/durable.h, raise"},
    Weakening{int(W::wait_add), "seq_cst of the addition to `waiting_`", "wal/durable.h, wait_for"},
    Weakening{int(W::wait_load), "seq_cst of the look at the number", "wal/durable.h, wait_for"},
};

/// The log's thread goes to sleep while a stager begins a frame.
struct Idle : rl::test_suite<Idle, 2> {
  Atomic<int> idle;
  Atomic<int> frame_count;
  // Ghosts.
  bool sleeps = false;
  bool woken = false;
  Idle() {
    idle.store(0, mo_relaxed);
    frame_count.store(0, mo_relaxed);
  }
  void thread(unsigned index) {
    if (index == 0) {
      idle.store(1, mo_relaxed);
      if (!weakened(W::idle_fence)) heavy_fence();
      sleeps = weakened(W::look_again) || frame_count.load(mo_acquire) == 0;
    } else {
      frame_count.store(1, mo_release);
      if (!weakened(W::stager_fence)) light_fence();
      woken = idle.load(mo_relaxed) != 0;
    }
  }
  void after() { check(!sleeps || woken, "the log sleeps over a staged frame"); }
};

/// A thread waits for the durable number while it is raised.
struct Durable : rl::test_suite<Durable, 2> {
  Atomic<int> number;
  Atomic<int> waiting;
  // Ghosts.
  bool sleeps = false;
  bool woken = false;
  Durable() {
    number.store(0, mo_relaxed);
    waiting.store(0, mo_relaxed);
  }
  void thread(unsigned index) {
    if (index == 0) {
      waiting.fetch_add(1, order(W::wait_add, mo_seq_cst, mo_acq_rel));
      // The mutex makes the look and the falling asleep one step for whoever notifies.
      sleeps = number.load(order(W::wait_load, mo_seq_cst, mo_acquire)) == 0;
    } else {
      number.store(1, order(W::raise_store, mo_seq_cst, mo_release));
      woken = waiting.load(order(W::raise_load, mo_seq_cst, mo_acquire)) != 0;
    }
  }
  void after() { check(!sleeps || woken, "a waiter sleeps over its number"); }
};

void search_sleep(Search& search) {
  if (search.weakening == 0) explore<Idle>(search, k_full, Machine::x86_64);
  explore<Idle>(search, k_full);
  explore<Durable>(search, k_full);
}

}  // namespace

Model sleep_model() { return {"sleep", k_weakenings, search_sleep}; }

}  // namespace actable::lab::models
