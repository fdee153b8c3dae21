#include "actors/workers.h"

#include <chrono>
#include <utility>

namespace actable::actors {
namespace {

/// The queue holds what threads sample in this time at twenty million
/// operations a second; an idle store pays for some twenty wake-ups a second.
constexpr std::chrono::milliseconds k_tick{100};
/// Ticks after which unfinished batches are old enough to be taken too.
constexpr unsigned k_aged = 10;

}  // namespace

AnalyticsWorker::behavior_type analytics_worker(AnalyticsWorker::pointer self, std::shared_ptr<Tree> tree,
                                                std::shared_ptr<Load> load, std::size_t number) {
  be_worker(self, load);
  return {
      // Twice, where memory ran out after the first time.
      [self, begun = false](const Begin&) mutable {
        if (!std::exchange(begun, true)) self->send(self, Tick{});
      },
      [self, tree, load, number, ticks = 0U](const Tick&) mutable {
        AnalyticsBook& book = tree->analytics();
        // Who was to tell it to end may have had no memory for that.
        if (book.closed()) return self->quit();
        const Busy busy(*load);
        if (number == 0 && (++ticks % k_aged == 0 || book.monitored())) book.collect();
        // relaxed: a count, nothing else hangs on it.
        load->processed.fetch_add(book.enter(number), std::memory_order_relaxed);
        self->delayed_send(self, k_tick, Tick{});
      },
      [self](const Stop&) { self->quit(); },
  };
}

}  // namespace actable::actors
