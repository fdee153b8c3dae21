// Threads stopped in the middle of the memory's stacks while it is compacted.

#include "base/record_memory.h"
#include "tests/support/catch.h"
#include "tests/support/park.h"
#include "tests/support/threads.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace actable::base {
namespace {

using test::expect;
using test::ParkedThread;
using Compaction = RecordMemory::Compaction;

/// Record memory with its epochs; each call is an operation of its own, pinned.
class Place {
 public:
  [[nodiscard]] void* allocate(std::size_t bytes) {
    const WritePin pin(epochs, slot());
    void* const block = memory.allocate(*memory.cache(thread_index()), bytes);
    expect(block != nullptr, "memory is exhausted");
    return block;
  }
  void retire(void* block, std::size_t bytes) {
    const WritePin pin(epochs, slot());
    memory.retire(*memory.cache(thread_index()), block, bytes);
  }
  void begin_compaction() {
    const ReadPin pin(epochs, slot());
    expect(memory.begin_compaction(memory.carved_bytes()), "memory is exhausted");
  }
  void moved_all() {
    const ReadPin pin(epochs, slot());
    memory.moved_all();
  }
  RecordMemory::Step step() {
    const ReadPin pin(epochs, slot());
    return memory.step_compaction();
  }
  void step_until(Compaction state) {
    while (memory.compaction() != state) expect(step() == RecordMemory::Step::done, "a step waits");
  }
  [[nodiscard]] Epochs::Slot& slot() { return *epochs.slot(thread_index()); }

  Epochs epochs;
  RecordMemory memory{epochs};
};

/// A thread that lives on between its tasks, with a cache of its own.
class Worker {
 public:
  explicit Worker(Place& place) : thread_([this] { work(); }) {
    run([&place] { (void)place.allocate(4096); });
  }
  ~Worker() {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    changed_.notify_all();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Returns when the thread has done it.
  void run(std::function<void()> task) {
    std::unique_lock lock(mutex_);
    task_ = std::move(task);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !task_; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ends_ || task_; });
      if (ends_) return;
      task_();
      task_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> task_;
  bool ends_ = false;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("a thread stopped while it takes an empty magazine gets no other's when caches are put away", "[memory]") {
  constexpr unsigned k_magazine = 61;
  Place place;
  (void)place.allocate(4096);
  // In the order of their indices: the one exchanged last is put away first.
  Worker with_a_rest(place);
  Worker with_empties(place);
  Worker emptying(place);
  Worker allocating(place);
  Worker retiring(place);
  place.begin_compaction();
  place.step_until(Compaction::moving);
  // As while records are moved: one cache with a chunk of which most is left, and
  // no magazine; one with empty magazines.
  with_a_rest.run([&] { (void)place.allocate(24); });
  with_empties.run([&] { place.retire(place.allocate(24), 24); });
  place.moved_all();
  place.step_until(Compaction::parting);
  // They are exchanged, and then no more used; all but the first are put away.
  for (int i = 0; i < 2 + 4; ++i) expect(place.step() == RecordMemory::Step::done, "a step waits");
  REQUIRE(place.memory.compaction() == Compaction::parting);
  // As many empty magazines as a thread keeps: the next goes to the stack.
  emptying.run([&] {
    std::vector<void*> blocks;
    for (unsigned i = 0; i < k_magazine * 24; ++i) blocks.push_back(place.allocate(40));
    for (void* const block : blocks) place.retire(block, 40);
    place.epochs.advance();
    place.epochs.advance();
    for (unsigned i = 0; i < k_magazine * 24; ++i) (void)place.allocate(40);
  });
  // It has read the head and the link of it.
  ParkedThread parked("memory.pop", 1, [&] { place.retire(place.allocate(48), 48); });
  REQUIRE(parked.stopped());
  // What is left of the first one's chunk comes to the stack of full ones.
  REQUIRE(place.step() == RecordMemory::Step::done);
  REQUIRE(place.memory.compaction() == Compaction::parting);
  // One of its magazines is used up, and one is being used; then one comes back.
  allocating.run([&] {
    for (int i = 0; i < 48; ++i) (void)place.allocate(24);
  });
  emptying.run([&] {
    for (unsigned i = 0; i < k_magazine + 1; ++i) (void)place.allocate(24);
  });
  parked.resume();
  // What is retired goes into an empty magazine: not into the one that is used.
  void* held = nullptr;
  retiring.run([&] { held = place.allocate(1000); });
  const ReadPin reader(place.epochs, place.slot());
  retiring.run([&] { place.retire(held, 1000); });
  bool reused = false;
  allocating.run([&] {
    for (int i = 0; i < 40; ++i) reused = reused || place.allocate(24) == held;
  });
  CHECK_FALSE(reused);
}

}  // namespace actable::base
