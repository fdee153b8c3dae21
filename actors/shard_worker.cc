#include "actors/workers.h"
#include "store/access.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

/// One shard's maintenance, step by step (store/maintenance.h).
///
/// The actor of shard 0 looks four times a second whether there is something to
/// do, less and less often down to once a second while there is nothing, and tells
/// the others when it has begun a pass; they sleep until then, so that idle shards
/// cost nothing, however many there are.
namespace actable::actors {
namespace {

constexpr std::chrono::milliseconds k_look_again{250};
constexpr std::chrono::milliseconds k_look_again_max{1'000};
// While an operation holds the next step up.
constexpr std::chrono::milliseconds k_wait{5};
// Then the scheduler has its turn: others wait for their messages.
constexpr std::chrono::microseconds k_turn{500};

[[nodiscard]] bool goes_on_at_once(store::Maintained done) {
  return done == store::Maintained::working || done == store::Maintained::looking;
}

struct Work {
  ShardWorker::pointer self;
  std::shared_ptr<Tree> tree;
  std::shared_ptr<Load> load;
  unsigned shard;
  /// A message to itself is on its way.
  bool goes_on = false;
  /// The last pass that the others were told of.
  std::uint64_t told = 0;
  std::chrono::milliseconds look_again = k_look_again;

  void begin() {
    if (!goes_on) go_on();
  }

  void go_on() {
    goes_on = false;
    const auto end = std::chrono::steady_clock::now() + k_turn;
    Result<store::Maintained> done = store::Maintained::idle;
    store::StoreCore& core = store::Access::core(tree->store());
    do {
      done = core.maintain(shard);
      if (shard == 0) tell_others(core.maintenance_pass());
      if (done && *done == store::Maintained::working) look_again = k_look_again;
    } while (done && goes_on_at_once(*done) && std::chrono::steady_clock::now() < end);
    if (!done && done.error().code == ErrorCode::closed) return;
    if (!done) return again(k_look_again);
    switch (*done) {
      case store::Maintained::working:
      case store::Maintained::looking:
        goes_on = true;
        self->send(self, GoOn{});
        return;
      case store::Maintained::waiting:
        return again(k_wait);
      case store::Maintained::idle:
        if (shard == 0) again(std::exchange(look_again, std::min(2 * look_again, k_look_again_max)));
    }
  }

 private:
  void again(std::chrono::milliseconds delay) {
    goes_on = true;
    self->delayed_send(self, delay, GoOn{});
  }

  /// Who crashes before he has heard is told when he starts again.
  void tell_others(std::uint64_t pass) {
    if (pass == told) return;
    tree->tend_shards();
    told = pass;
  }
};

}  // namespace

ShardWorker::behavior_type shard_worker(ShardWorker::pointer self, std::shared_ptr<Tree> tree,
                                        std::shared_ptr<Load> load, unsigned shard) {
  be_worker(self, load);
  const auto work = std::make_shared<Work>(Work{self, std::move(tree), std::move(load), shard});
  return {
      [work](const Tend&) {
        const Step step(*work->load);
        work->begin();
      },
      [work](const GoOn&) {
        const Step step(*work->load);
        work->go_on();
      },
      [self](const Stop&) { self->quit(); },
  };
}

}  // namespace actable::actors
