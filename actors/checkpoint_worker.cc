#include "actors/debug_documents.h"
#include "actors/workers.h"
#include "store/access.h"
#include "store/checks.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

/// Checkpoints, step by step (store/checkpointer.h): it looks whether one is due, some
/// four times a second while the log grows and once a second while it does not, and
/// drives it. Its thread is its own, so that a step that waits for the disk holds up no
/// other actor, and so that it can have a priority of its own.
///
/// What is under way is the store's and not the actor's: the one that is started after
/// a crash goes on with it.
namespace actable::actors {
namespace {

constexpr std::chrono::milliseconds k_look_again{250};
constexpr std::chrono::milliseconds k_look_again_max{1'000};
// While the log, or who makes a space, holds the next step up.
constexpr std::chrono::milliseconds k_wait{2};
// Then it looks at its mailbox.
constexpr std::chrono::milliseconds k_turn{5};

struct Work {
  CheckpointWorker::pointer self;
  std::shared_ptr<Tree> tree;
  std::shared_ptr<Load> load;
  /// Of the message to itself that is on its way; those before it do not count.
  std::uint64_t tick = 0;
  bool priority_set = false;
  std::chrono::milliseconds look_again = k_look_again;
  std::uint64_t log_bytes_seen = 0;

  [[nodiscard]] store::StoreCore& core() const { return store::Access::core(tree->store()); }

  void go_on() {
    take_priority();
    const auto end = std::chrono::steady_clock::now() + k_turn;
    if (core().checkpointer().due()) (void)core().checkpointer().ask();
    const std::uint64_t ended = core().checkpointer().ended();
    Result<store::Checkpointed> done = store::Checkpointed::resting;
    do {
      done = core().step_checkpoint();
    } while (done && *done == store::Checkpointed::working && std::chrono::steady_clock::now() < end);
    if (!done) return failed(done.error(), core().checkpointer().ended() != ended);
    switch (*done) {
      case store::Checkpointed::working:
        self->send(self, Tick{++tick});
        return;
      case store::Checkpointed::waiting:
        return again(k_wait);
      case store::Checkpointed::pausing:
        return again(std::clamp(std::chrono::ceil<std::chrono::milliseconds>(core().checkpointer().pause()),
                                std::chrono::milliseconds(1), k_look_again));
      case store::Checkpointed::resting:
        rest();
    }
  }

  void heal(debug::Question& question) {
    take_priority();
    Result<Healed> healed = store::guarded("healing the store", [this] { return core().heal(); });
    if (!healed) return question.answer(std::unexpected(std::move(healed.error())));
    question.answer(document_of(*healed));
  }

 private:
  /// Once, on the actor's own thread. What has no thread of its own keeps its priority.
  void take_priority() {
    const int wanted = core().options().checkpoint_nice;
    if (std::exchange(priority_set, true) || !tree->threads_of_their_own() || wanted == 0) return;
    // 0: the calling thread's, on Linux. More nice is always allowed.
    if (wanted > getpriority(PRIO_PROCESS, 0)) (void)setpriority(PRIO_PROCESS, 0, wanted);
  }

  void rest() {
    const std::uint64_t log_bytes = tree->store().stats().log.live_bytes;
    look_again = log_bytes != log_bytes_seen ? k_look_again : std::min(2 * look_again, k_look_again_max);
    log_bytes_seen = log_bytes;
    again(look_again);
  }

  void again(std::chrono::milliseconds delay) { self->delayed_send(self, delay, Tick{++tick}); }

  void failed(const Error& error, bool of_pass) {
    if (!core().is_open()) return;
    again(k_look_again);
    if (!of_pass) return;
    // Last: it is a function of the host's, which may throw.
    tree->report(LogLevel::warning, "the checkpoint was not written: " + error.message);
  }
};

}  // namespace

CheckpointWorker::behavior_type checkpoint_worker(CheckpointWorker::pointer self, std::shared_ptr<Tree> tree,
                                                  std::shared_ptr<Load> load) {
  be_worker(self, load);
  const auto work = std::make_shared<Work>(Work{self, std::move(tree), std::move(load)});
  return {
      [work](const Tend&) {
        const Step step(*work->load);
        work->go_on();
      },
      // Somebody has asked for one: it does not wait for its next look.
      [work](const Begin&) {
        const Taken taken(*work->load);
        work->go_on();
      },
      // It takes as long as a checkpoint, without a step in between.
      [work](const HealOrder& order) {
        const Taken taken(*work->load);
        work->heal(*order.question);
      },
      [work](const Tick& tick) {
        const Step step(*work->load);
        if (tick.number == work->tick) work->go_on();
      },
      [self](const Stop&) { self->quit(); },
  };
}

}  // namespace actable::actors
