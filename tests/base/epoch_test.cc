#include "base/epoch.h"
#include "tests/base/fence_kinds.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <thread>

namespace actable::base {
namespace {

using test::expect;
using test::on_another_thread;
using test::Random;
using test::scaled;
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
    CHECK(slot.read_depth == 1);
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

namespace {

/// What one writer staged, in order: numbers, published by their count.
struct Staged {
  explicit Staged(std::size_t capacity) : numbers(std::make_unique<Seq[]>(capacity)) {}
  std::unique_ptr<Seq[]> numbers;
  std::atomic<std::size_t> count{0};

  void append(Seq number) {
    const std::size_t at = count.load(std::memory_order_relaxed);
    numbers[at] = number;
    count.store(at + 1, std::memory_order_release);
  }
};

/// Writers that write a few keys, and a closer that closes rounds meanwhile.
class Rounds {
 public:
  Rounds() {
    for (unsigned i = 0; i < k_writers; ++i) staged_.push_back(std::make_unique<Staged>(writes_));
  }

  void run() {
    together(k_writers + 2, [this](unsigned i) {
      if (i < k_writers) {
        write(i);
      } else if (i == k_writers) {
        close_rounds();
      } else {
        read();
      }
    });
  }

  void check_unique_and_increasing() const {
    std::vector<Seq> all;
    for (const auto& list : staged_) {
      const std::span numbers(list->numbers.get(), list->count.load());
      CHECK(numbers.size() == writes_);
      CHECK(std::ranges::is_sorted(numbers));
      all.insert(all.end(), numbers.begin(), numbers.end());
    }
    std::ranges::sort(all);
    CHECK(std::ranges::adjacent_find(all) == all.end());
  }

  /// Every number below a cut was taken with it or before.
  void check_cuts() const {
    CHECK(taken_.size() >= k_rounds - 1);
    std::size_t late = 0;
    for (const Taken& round : taken_) {
      for (unsigned i = 0; i < k_writers; ++i) {
        const Staged& list = *staged_[i];
        for (std::size_t at = round.counts[i]; at < list.count.load(); ++at)
          late += list.numbers[at] < round.cut ? 1 : 0;
      }
    }
    INFO("of " << taken_.size() << " rounds");
    CHECK(late == 0);
  }

 private:
  static constexpr unsigned k_writers = 4;
  static constexpr std::size_t k_rounds = 40;
  static constexpr std::size_t k_writes_per_round = scaled(2'500);
  struct Taken {
    Seq cut;
    std::array<std::size_t, k_writers> counts;
  };

  struct Leaving {
    std::atomic<unsigned>& present;
    ~Leaving() { present.fetch_sub(1, std::memory_order_release); }
  };

  void write(unsigned i) {
    const Leaving leaving{writing_};
    Random random(test::seed() + i);
    Epochs::Slot& slot = my_slot(epochs_);
    for (std::size_t n = 0; n < writes_; ++n) {
      if (n % k_writes_per_round == 0) await_round(n / k_writes_per_round);
      // acquire: what came before the cut was announced, the bump, is seen
      const Seq announced = announced_cut_.load(std::memory_order_acquire);
      const WritePin pin(epochs_, slot);
      std::atomic<Seq>& key = keys_[random.below(keys_.size())];
      Seq old = key.load(std::memory_order_acquire);
      Seq mine = 0;
      do {
        mine = epochs_.draw(slot, pin.epoch(), old);
        expect(mine > old, "a number is not above the one it replaces");
        expect(mine >= announced, "a writer that pinned after the bump drew a number below the cut");
      } while (!key.compare_exchange_strong(old, mine, std::memory_order_acq_rel, std::memory_order_acquire));
      staged_[i]->append(mine);
    }
  }

  /// Waits, unpinned, until so many rounds are closed: else, where threads are
  /// more than processors, all is written before the first one.
  void await_round(std::size_t round) const {
    for (std::size_t now = 0; (now = closed_.load(std::memory_order_acquire)) < round;) closed_.wait(now);
  }

  void close_rounds() {
    while (writing_.load(std::memory_order_acquire) != 0) {
      Taken round{epochs_.bump(), {}};
      announced_cut_.store(round.cut, std::memory_order_release);
      heavy_fence();
      while (epochs_.writers_before(epoch_of(round.cut))) std::this_thread::yield();
      for (unsigned i = 0; i < k_writers; ++i) round.counts[i] = staged_[i]->count.load(std::memory_order_acquire);
      taken_.push_back(round);
      closed_.store(taken_.size(), std::memory_order_release);
      closed_.notify_all();
    }
  }

  /// Pinned for reading from before the end of a round to after it.
  void read() {
    for (std::size_t round = 1; round < k_rounds; ++round) {
      const ReadPin pin(epochs_, my_slot(epochs_));
      await_round(round);
    }
  }

  const std::size_t writes_ = k_rounds * k_writes_per_round;
  Epochs epochs_;
  std::array<std::atomic<Seq>, 8> keys_{};
  std::atomic<Seq> announced_cut_{0};
  std::atomic<unsigned> writing_{k_writers};
  std::atomic<std::size_t> closed_{0};
  std::vector<std::unique_ptr<Staged>> staged_;
  std::vector<Taken> taken_;
};

}  // namespace

TEST_CASE("what is staged when a round closes holds every number below its cut") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  Rounds rounds;
  rounds.run();
  rounds.check_unique_and_increasing();
  rounds.check_cuts();
}

namespace {

/// Something that readers look at until it is replaced, and that is overwritten
/// once the epochs say so.
struct Item {
  std::uint64_t whole = 0;
  std::uint64_t also_whole = 0;
};

}  // namespace

TEST_CASE("what a pinned reader has found is not safe to reuse") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  Epochs epochs;
  std::vector<Item> items(1'024);
  std::atomic<Item*> shown{&items[0]};
  std::atomic<bool> writing{true};
  // Each time the items run out, a reader that was stopped has to get its turn.
  const std::uint64_t to_replace = scaled(40'000);
  std::uint64_t replaced = 0;
  together(4, [&](unsigned thread) {
    Epochs::Slot& slot = my_slot(epochs);
    if (thread != 0) {
      while (writing.load(std::memory_order_acquire)) {
        const ReadPin pin(epochs, slot);
        const Item* const found = shown.load(std::memory_order_acquire);
        const std::uint64_t first = found->whole;
        if (thread == 1) std::this_thread::yield();
        expect(found->also_whole == first, "what a reader looked at was reused");
      }
      return;
    }
    struct Unlinked {
      Item* item;
      Epoch stamp;
    };
    std::vector<Item*> free;
    for (Item& item : items) {
      if (&item != &items[0]) free.push_back(&item);
    }
    std::vector<Unlinked> limbo;
    for (std::uint64_t i = 1; i <= to_replace; ++i) {
      while (free.empty()) {
        epochs.advance();
        std::erase_if(limbo, [&](const Unlinked& old) {
          if (old.stamp >= epochs.safe()) return false;
          free.push_back(old.item);
          return true;
        });
        if (free.empty()) std::this_thread::yield();
      }
      Item* const fresh = free.back();
      free.pop_back();
      fresh->whole = i;
      fresh->also_whole = i;
      Item* const old = shown.exchange(fresh, std::memory_order_acq_rel);
      light_fence();
      limbo.push_back({old, epochs.now()});
      ++replaced;
    }
    writing.store(false, std::memory_order_release);
  });
  CHECK(replaced == to_replace);
}

}  // namespace actable::base
