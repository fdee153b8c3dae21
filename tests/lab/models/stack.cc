#include "tests/lab/models/checker.h"

/// The shared stack of magazines (base/record_memory.h): a compare-and-swap on
/// the head, and epochs instead of a count against ABA.
namespace actable::lab::models {
namespace {

enum class W {
  none,
  push_release,
  pop_acquire,
  wait_for_safe,
  put_away_own,
  popper_pinned,
  link_atomic,
  pop_compares,
};

constexpr std::array k_weakenings{
    Weakening{int(W::push_release), "release of the push", "base/record_memory.cc, push"},
    Weakening{int(W::pop_acquire), "acquire of the head", "base/record_memory.cc, pop"},
    Weakening{int(W::wait_for_safe), "a magazine is pushed again only when its stamp is safe",
              "base/record_memory.cc, from_limbo, share_surplus"},
    Weakening{int(W::put_away_own), "a magazine that is pushed without a stamp was not popped by who pushes it",
              "base/compaction.cc, hand_over"},
    Weakening{int(W::popper_pinned), "who pops is pinned", "base/record_memory.h, allocate, retire"},
    Weakening{int(W::link_atomic), "the link is atomic", "base/record_memory.cc, Magazine"},
    Weakening{int(W::pop_compares), "the exchange compares (a plain store)", "base/record_memory.cc, pop"},
};

// On the stack at first, and one that the second thread has.
constexpr int k_pushed = 2;
constexpr int k_own = 3;
constexpr int k_magazines = 3;
constexpr int k_nobody = -1;

class Stack {
 public:
  Stack() {
    word_.store(1, mo_relaxed);
    announced_.store(0, mo_relaxed);
    head_.store(0, mo_relaxed);
    for (int i = k_magazines; i >= 1; --i) {
      at(i).link.store(0, mo_relaxed);
      at(i).plain_link.set(0);
      at(i).content.set(0);
      if (i <= k_pushed) push(i, k_nobody);
    }
    at(k_own).owner = 1;
  }

  void pin() {
    if (weakened(W::popper_pinned)) return;
    announced_.store(word_.load(mo_relaxed), mo_release);
    light_fence();
  }
  void unpin() { announced_.store(0, mo_release); }

  int pop(int thread) {
    const auto acquire = order(W::pop_acquire, mo_acquire);
    int head = head_.load(acquire);
    while (head != 0) {
      const int next = link_of(head);
      if (weakened(W::pop_compares)) {
        head_.store(next, mo_release);
      } else if (!head_.compare_exchange(head, next, acquire)) {
        head = head_.load(acquire);
        continue;
      }
      check(at(head).owner == k_nobody, "a magazine has two owners");
      at(head).owner = thread;
      at(head).content.set(thread);
      return head;
    }
    return 0;
  }

  void push(int magazine, int thread) {
    check(at(magazine).owner == thread, "a magazine is pushed by who does not own it");
    at(magazine).owner = k_nobody;
    int head = head_.load(mo_relaxed);
    while (true) {
      set_link(magazine, head);
      if (head_.compare_exchange(head, magazine, order(W::push_release, mo_release))) return;
      head = head_.load(mo_relaxed);
    }
  }

  /// Fills magazines with retired blocks; pushes them once their stamp is safe.
  void retire_and_push(std::initializer_list<int> magazines, int thread) {
    // They join their owner's limbo, while a popper may still look at a link.
    for (const int magazine : magazines) {
      if (magazine != 0) set_link(magazine, 0);
    }
    light_fence();
    const int stamp = word_.load(mo_acquire);
    const int epoch = word_.fetch_add(1, mo_seq_cst) + 1;
    heavy_fence();
    const int announced = announced_.load(mo_acquire);
    const int safe = announced == 0 ? epoch : std::min(epoch, announced);
    if (stamp >= safe && !weakened(W::wait_for_safe)) return;
    for (const int magazine : magazines) {
      if (magazine != 0) push(magazine, thread);
    }
  }

  /// Pushes a magazine without a stamp, as who puts a cache away, while somebody
  /// takes what else there is. (Between the two stacks it is used up: with blocks
  /// onto the one, popped, and emptied onto the other.)
  void put_away(int thread) {
    const int magazine = weakened(W::put_away_own) ? pop(thread) : k_own;
    (void)pop(thread);
    if (magazine != 0) push(magazine, thread);
  }

  /// What is on the stack is nobody's, and all of it can be reached.
  void check_all() {
    std::array<bool, k_magazines + 1> met{};
    for (int magazine = head_.load(mo_relaxed); magazine != 0; magazine = link_of(magazine)) {
      bool& seen = met[static_cast<unsigned>(magazine)];
      check(!seen, "the stack has a loop");
      seen = true;
      check(at(magazine).owner == k_nobody, "a magazine on the stack has an owner");
    }
    for (int magazine = 1; magazine <= k_magazines; ++magazine)
      check(met[static_cast<unsigned>(magazine)] || at(magazine).owner != k_nobody, "a magazine is lost");
  }

 private:
  struct Magazine {
    Atomic<int> link;
    Plain<int> plain_link;
    Plain<int> content;
    // A ghost.
    int owner = k_nobody;
  };

  Magazine& at(int magazine) { return magazines_[static_cast<unsigned>(magazine)]; }
  int link_of(int magazine) {
    return weakened(W::link_atomic) ? at(magazine).plain_link.get() : at(magazine).link.load(mo_relaxed);
  }

  void set_link(int magazine, int to) {
    if (weakened(W::link_atomic)) {
      at(magazine).plain_link.set(to);
    } else {
      at(magazine).link.store(to, mo_relaxed);
    }
  }

  Atomic<int> word_;
  // Of the thread that pops only; the other's own pin does not hold it back.
  Atomic<int> announced_;
  Atomic<int> head_;
  std::array<Magazine, k_magazines + 1> magazines_;
};

/// One pops; the other pops all, and gives back through the epochs. `Both`: in
/// the same order again, else the first alone.
template <bool Both>
struct Two : rl::test_suite<Two<Both>, 2> {
  Stack stack;
  void thread(unsigned index) {
    if (index == 0) {
      stack.pin();
      (void)stack.pop(0);
      stack.unpin();
      return;
    }
    const int first = stack.pop(1);
    const int second = stack.pop(1);
    stack.retire_and_push({Both ? second : 0, first}, 1);
  }
  void after() { stack.check_all(); }
};

/// One pops; the other puts a cache away.
struct PutAway : rl::test_suite<PutAway, 2> {
  Stack stack;
  void thread(unsigned index) {
    if (index == 0) {
      stack.pin();
      (void)stack.pop(0);
      stack.unpin();
      return;
    }
    stack.put_away(1);
  }
  void after() { stack.check_all(); }
};

template <bool Both>
void search_two(Search& search) {
  if (search.weakening == 0) explore<Two<Both>>(search, {Plan::Kind::preemptions, 5}, Machine::x86_64);
  explore<Two<Both>>(search, {Plan::Kind::preemptions, 5});
  explore<Two<Both>>(search, {Plan::Kind::random, 200'000});
}

void search_stack(Search& search) {
  search_two<false>(search);
  search_two<true>(search);
  explore<PutAway>(search, {Plan::Kind::preemptions, 5});
}

}  // namespace

Model stack_model() { return {"stack", k_weakenings, search_stack}; }

}  // namespace actable::lab::models
