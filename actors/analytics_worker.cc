#include "actors/workers.h"

#include <chrono>
#include <memory>
#include <utility>

/// Enters what the threads have sampled, ten times a second while full batches come,
/// and at once when half of all batches are full: the thread that brings one more has
/// the actors woken (`SamplePool::wake_at`).
///
/// When no full batch has come for a second, the actors *rest*: the thread that brings
/// the next one wakes them. Only the first actor still looks, once a second, for what
/// threads have gathered in batches that are not full. So an idle store, or one with a
/// few thousand operations a second, pays for one look a second, however many actors
/// there are.
namespace actable::actors {
namespace {

constexpr std::chrono::milliseconds k_tick{100};
/// While it rests, and while it does not: how old a batch grows before it is taken
/// though it is not full.
constexpr std::chrono::seconds k_aged{1};
constexpr unsigned k_ticks_aged = k_aged / k_tick;
/// Ticks without a full batch after which it says that it will rest. It looks once
/// more before it does, for a batch that came at that moment.
constexpr unsigned k_ticks_quiet = 10;

struct Entering {
  AnalyticsWorker::pointer self;
  std::shared_ptr<Tree> tree;
  std::shared_ptr<Load> load;
  std::size_t number;

  bool resting = true;
  /// Ticks in a row without a full batch.
  unsigned quiet = 0;
  /// Full batches of all actors, at the last look.
  std::uint64_t full_batches = 0;
  unsigned ticks = 0;
  std::uint64_t last_tick = 0;

  void wake() {
    quiet = 0;
    resting = false;
    look();
  }

  void tick(const Tick& tick) {
    // Another one is on its way if it was woken meanwhile.
    if (tick.number == last_tick) look();
  }

 private:
  void look() {
    AnalyticsBook& book = tree->analytics();
    // Who was to tell it to end may have had no memory for that.
    if (book.closed()) return self->quit();
    const Busy busy(*load);
    const bool monitored = book.monitored();
    if (number == 0 && (resting || monitored || ++ticks % k_ticks_aged == 0)) book.collect();
    // relaxed: a count, nothing else hangs on it.
    load->processed.fetch_add(book.enter(number), std::memory_order_relaxed);
    const std::uint64_t entered = book.full_batches();
    const bool came = std::exchange(full_batches, entered) != entered;
    quiet = came || monitored ? 0 : quiet + 1;
    resting = quiet > k_ticks_quiet;
    book.wake_at(quiet >= k_ticks_quiet ? 1 : AnalyticsBook::k_batches_max / 2);
    if (!resting) {
      again(k_tick);
    } else if (number == 0) {
      again(k_aged);
    }
  }

  void again(std::chrono::milliseconds delay) { self->delayed_send(self, delay, Tick{++last_tick}); }
};

}  // namespace

AnalyticsWorker::behavior_type analytics_worker(AnalyticsWorker::pointer self, std::shared_ptr<Tree> tree,
                                                std::shared_ptr<Load> load, std::size_t number) {
  be_worker(self, load);
  const auto entering = std::make_shared<Entering>(Entering{self, std::move(tree), std::move(load), number});
  return {
      [entering](const Begin&) { entering->wake(); },
      [entering](const Tick& tick) { entering->tick(tick); },
      [self](const Stop&) { self->quit(); },
  };
}

}  // namespace actable::actors
