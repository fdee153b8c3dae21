#include "base/epoch.h"
#include "tests/base/fence_kinds.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <thread>
#include <vector>

// The two promises of epochs, tried with threads that do not stop: a cut covers
// what is numbered below it, and what a reader sees is not reused.
namespace actable::base {
namespace {

using test::expect;
using test::Random;
using test::scaled;
using test::together;

Epochs::Slot& my_slot(Epochs& epochs) { return *epochs.slot(thread_index()); }

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

TEST_CASE("what is staged when a round closes holds every number below its cut") {
  const FencesInUse fences(GENERATE(FenceKind::as_found, FenceKind::full));
  Rounds rounds;
  rounds.run();
  rounds.check_unique_and_increasing();
  rounds.check_cuts();
}

/// Something that readers look at until it is replaced, and that is overwritten
/// once the epochs say so.
struct Item {
  std::uint64_t whole = 0;
  std::uint64_t also_whole = 0;
};

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

}  // namespace
}  // namespace actable::base
