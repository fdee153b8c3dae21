#include "base/epoch.h"
#include "tests/base/fence_kinds.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <chrono>
#include <latch>
#include <optional>
#include <thread>
#include <vector>

namespace actable::base {
namespace {

using test::expect;
using test::on_another_thread;
using test::Random;
using test::together;

Epochs::Slot& my_slot(Epochs& epochs) { return *epochs.slot(thread_index()); }

/// One write: a number above `floor`.
Seq write_above(Epochs& epochs, Seq floor = 0) {
  Epochs::Slot& slot = my_slot(epochs);
  const WritePin pin(epochs, slot);
  return epochs.draw(slot, pin.epoch(), floor);
}

enum class PinFor { reading, writing };

/// Another thread, pinned as long as this lives.
class PinnedThread {
 public:
  PinnedThread(Epochs& epochs, PinFor what)
      : thread_([this, &epochs, what] {
          Epochs::Slot& slot = my_slot(epochs);
          if (what == PinFor::reading) {
            const ReadPin pin(epochs, slot);
            announced_ = slot.read.load(std::memory_order_relaxed);
            stay();
          } else {
            const WritePin pin(epochs, slot);
            announced_ = pin.epoch();
            stay();
          }
        }) {
    pinned_.wait();
  }
  ~PinnedThread() { go_.count_down(); }
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

  [[nodiscard]] Epoch announced() const noexcept { return announced_; }

 private:
  void stay() {
    pinned_.count_down();
    go_.wait();
  }

  std::latch pinned_{1};
  std::latch go_{1};
  Epoch announced_ = 0;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("the first number of a new store is above zero") {
  Epochs epochs;
  CHECK(epochs.now() == 1);
  CHECK(write_above(epochs) == first_seq_of(1));
  CHECK(write_above(epochs) == first_seq_of(1) + 1);
}

TEST_CASE("a number is above the floor that it is drawn for") {
  Epochs epochs;
  Random random(test::seed());
  Seq last = 0;
  for (int i = 0; i < 100'000; ++i) {
    // Somewhere in what has been leased by now, this thread's lease included.
    const Seq floor = random.one_in(2) ? 0 : epochs.next_seq() - 1 - random.below(100);
    if (random.one_in(50)) epochs.bump();
    if (random.one_in(100)) on_another_thread([&] { (void)write_above(epochs); });
    const Seq drawn = write_above(epochs, floor);
    if (drawn <= floor || drawn <= last) FAIL("drew " << drawn << " above " << floor << " after " << last);
    last = drawn;
  }
}

TEST_CASE("leases double while they are used up, to 1,024 numbers, and are short again when one is thrown away") {
  Epochs epochs;
  std::vector<Seq> lengths;
  for (int i = 0; i < 3000; ++i) {
    (void)write_above(epochs);
    const Seq length = my_slot(epochs).lease.length;
    if (lengths.empty() || lengths.back() != length) lengths.push_back(length);
  }
  CHECK(lengths == std::vector<Seq>{32, 64, 128, 256, 512, 1024});
  epochs.bump();
  (void)write_above(epochs);
  CHECK(my_slot(epochs).lease.length == 32);
}

TEST_CASE("while a lease lasts its numbers follow one another") {
  Epochs epochs;
  const Seq first = write_above(epochs);
  for (Seq next = first + 1; next < first + my_slot(epochs).lease.length; ++next) {
    REQUIRE(write_above(epochs) == next);
  }
}

TEST_CASE("a lease ends when the epoch changes") {
  Epochs epochs;
  const Seq before = write_above(epochs);
  const Seq cut = epochs.bump();
  CHECK(before < cut);
  CHECK(epochs.now() == epoch_of(cut));
  CHECK(write_above(epochs) >= cut);
}

TEST_CASE("whoever was pinned before the epoch changed may go on with its lease") {
  Epochs epochs;
  (void)write_above(epochs);
  Epochs::Slot& slot = my_slot(epochs);
  const WritePin pin(epochs, slot);
  const Seq cut = epochs.bump();
  CHECK(epochs.draw(slot, pin.epoch(), 0) < cut);
  Seq theirs = 0;
  on_another_thread([&] { theirs = write_above(epochs); });
  CHECK(theirs >= cut);
  CHECK(epochs.draw(slot, pin.epoch(), theirs) > theirs);
}

TEST_CASE("no number at or above next_seq has been leased") {
  Epochs epochs;
  for (int i = 0; i < 5'000; ++i) {
    const Seq next = epochs.next_seq();
    const Seq drawn = write_above(epochs, next - 1);
    CHECK(drawn >= next);
    if (drawn >= epochs.next_seq()) FAIL("a drawn number is not covered by next_seq");
  }
}

TEST_CASE("numbers go on above the one given at restart") {
  Epochs epochs;
  epochs.restart_at(first_seq_of(77) + 5);
  CHECK(epochs.now() == 77);
  CHECK(write_above(epochs) == first_seq_of(77) + 5);
}

TEST_CASE("a restart does not go back") {
  Epochs epochs;
  const Seq before = write_above(epochs);
  epochs.bump();
  CHECK(epochs.restart_at(first_seq_of(1)) == epochs.next_seq());
  CHECK(write_above(epochs) > before);
  CHECK(epochs.now() == 2);
}

TEST_CASE("no tombstone may be dropped from the beginning of a replay to its end") {
  Epochs epochs;
  epochs.begin_replay();
  epochs.advance();
  CHECK(epochs.safe() == 2);
  CHECK(epochs.tombstones_before() == 0);
  epochs.restart_at(first_seq_of(9));
  epochs.advance();
  CHECK(epochs.tombstones_before() == 10);
}

TEST_CASE("tombstones may be dropped when they are older than every pin") {
  Epochs epochs;
  std::optional<PinnedThread> writer(std::in_place, epochs, PinFor::writing);
  epochs.advance();
  CHECK(epochs.tombstones_before() == writer->announced());
  writer.reset();
  epochs.advance();
  CHECK(epochs.tombstones_before() == epochs.now());
}

TEST_CASE("advancing seldom begins an epoch at once, and then one a millisecond at most") {
  using std::chrono::steady_clock;
  Epochs epochs;
  epochs.advance_seldom();
  CHECK(epochs.now() == 2);
  const auto began_at = steady_clock::now();
  while (epochs.now() < 5) epochs.advance_seldom();
  // The first of the three may be due at once.
  CHECK(steady_clock::now() - began_at >= std::chrono::milliseconds(2));
  CHECK(epochs.safe() == 5);
}

TEST_CASE("advancing seldom begins an epoch as soon as a millisecond has passed") {
  using std::chrono::steady_clock;
  Epochs epochs;
  for (int i = 0; i < 5; ++i) {
    while (!epochs.advance_seldom()) {
    }
    const auto due = steady_clock::now() + std::chrono::milliseconds(1);
    while (steady_clock::now() < due) {
    }
    CHECK(epochs.advance_seldom());
  }
}

TEST_CASE("an overflow of the count is an epoch more, and nothing else") {
  Epochs epochs;
  epochs.restart_at(first_seq_of(2) - 100);
  Seq last = 0;
  for (int i = 0; i < 300; ++i) {
    const Seq drawn = write_above(epochs);
    if (drawn <= last) FAIL("drew " << drawn << " after " << last);
    last = drawn;
  }
  CHECK(epochs.now() == 2);
  const Seq cut = epochs.bump();
  CHECK(last < cut);
  CHECK(epoch_of(cut) == 3);
  CHECK(write_above(epochs) >= cut);
}

TEST_CASE("a writer holds back the cut that was begun while it was pinned, and no earlier one") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  Epochs epochs;
  const Epoch earlier = epoch_of(epochs.bump());
  std::optional<PinnedThread> writer(std::in_place, epochs, PinFor::writing);
  CHECK(writer->announced() == earlier);
  CHECK_FALSE(epochs.writers_before(earlier));
  const Epoch cut = epoch_of(epochs.bump());
  heavy_fence();
  CHECK(epochs.writers_before(cut));
  writer.reset();
  CHECK_FALSE(epochs.writers_before(cut));
}

TEST_CASE("a reader does not hold back a cut") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  Epochs epochs;
  const PinnedThread reader(epochs, PinFor::reading);
  const Epoch cut = epoch_of(epochs.bump());
  heavy_fence();
  CHECK_FALSE(epochs.writers_before(cut));
  CHECK_FALSE(epochs.quiet_since(cut));
}

TEST_CASE("nested pins for reading keep the epoch of the outermost until it ends") {
  Epochs epochs;
  Epochs::Slot& slot = my_slot(epochs);
  const Epoch first = epochs.now();
  {
    const ReadPin outer(epochs, slot);
    epochs.bump();
    {
      const ReadPin inner(epochs, slot);
      epochs.bump();
      CHECK(epochs.oldest_pin() == first);
    }
    CHECK(epochs.oldest_pin() == first);
    CHECK(Epochs::reads(slot));
  }
  CHECK(epochs.oldest_pin() == epochs.now());
}

TEST_CASE("a thread pinned for reading can be pinned for writing as well") {
  Epochs epochs;
  Epochs::Slot& slot = my_slot(epochs);
  const Epoch first = epochs.now();
  const ReadPin reading(epochs, slot);
  const Epoch second = epoch_of(epochs.bump());
  {
    const WritePin writing(epochs, slot);
    CHECK(writing.epoch() == second);
    const Epoch cut = epoch_of(epochs.bump());
    CHECK(epochs.writers_before(cut));
    CHECK(epochs.oldest_pin() == first);
  }
  CHECK_FALSE(epochs.writers_before(epochs.now()));
  CHECK(epochs.oldest_pin() == first);
}

TEST_CASE("the oldest pin is the present epoch when nobody is pinned") {
  Epochs epochs;
  CHECK(epochs.oldest_pin() == 1);
  epochs.bump();
  CHECK(epochs.oldest_pin() == 2);
  (void)write_above(epochs);
  epochs.bump();
  CHECK(epochs.oldest_pin() == 3);
  CHECK(epochs.quiet_since(3));
}

TEST_CASE("the safe epoch follows the present one and stops at an announced pin") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  const PinFor what = GENERATE(PinFor::reading, PinFor::writing);
  Epochs epochs;
  epochs.advance();
  epochs.advance();
  CHECK(epochs.safe() == 3);
  std::optional<PinnedThread> pinned(std::in_place, epochs, what);
  for (int i = 0; i < 100; ++i) epochs.advance();
  CHECK(epochs.now() == 103);
  CHECK(epochs.safe() == pinned->announced());
  CHECK(epochs.oldest_pin() == pinned->announced());
  pinned.reset();
  epochs.advance();
  CHECK(epochs.safe() == 104);
}

TEST_CASE("an older scan that ends late does not lower the safe epoch") {
  Epochs epochs;
  epochs.advance();
  epochs.advance();
  const Epoch reached = epochs.safe();
  epochs.raise_safe(reached - 1);
  CHECK(epochs.safe() == reached);
}

TEST_CASE("threads that have ended are not counted") {
  Epochs epochs;
  (void)write_above(epochs);
  together(5, [&](unsigned) { (void)write_above(epochs); });
  CHECK(epochs.live_threads() == 1);
  const PinnedThread other(epochs, PinFor::reading);
  CHECK(epochs.live_threads() == 2);
}

}  // namespace actable::base
