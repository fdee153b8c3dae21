#include "actors/debug_documents.h"
#include "actors/inspector.h"
#include "actors/workers.h"
#include "base/failure.h"
#include "store/access.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace actable::actors {
namespace {

// How often it looks whether a checkpoint that somebody waits for has ended.
constexpr std::chrono::milliseconds k_look_again{20};

/// The debug actor, as its handlers see it.
struct Work {
  DebugWorker::pointer self;
  std::shared_ptr<Tree> tree;
  Inspector inspector;
  /// Who waits for the end of which pass.
  struct Waiting {
    std::uint64_t pass;
    std::shared_ptr<debug::Question> question;
  };
  std::vector<Waiting> waiting{};

  void take(const std::shared_ptr<debug::Question>& question) {
    Inspector::Answer answer = inspector.answer(*question);
    const std::string& command = question->request().command;
    if (answer && command == "sync") return await_sync(question);
    if (answer && command == "heal") {
      if (auto handed = tree->heal(question); !handed) question->answer(std::unexpected(std::move(handed.error())));
      return;
    }
    if (answer && command == "checkpoint") return await_checkpoint(answer->number(), question);
    question->answer(std::move(answer));
  }

  /// Answers those whose pass has ended, whoever drove it, or that nobody will end.
  void look() {
    std::erase_if(waiting, [this](const Waiting& who) { return answered(who); });
    if (!waiting.empty()) self->delayed_send(self, k_look_again, GoOn{});
  }

 private:
  [[nodiscard]] bool answered(const Waiting& who) const {
    const Result<bool> ended = has_ended(who.pass);
    if (!ended) {
      who.question->answer(std::unexpected(ended.error()));
    } else if (*ended) {
      who.question->answer(document_of(store::Access::core(tree->store()).checkpointer().stats()));
    }
    return !ended || *ended;
  }

  /// Whether the pass has written its checkpoint. Fails as the pass did, and where it will
  /// not end: the store is closed, or the actor that drives it was given up.
  [[nodiscard]] Result<bool> has_ended(std::uint64_t pass) const {
    store::StoreCore& core = store::Access::core(tree->store());
    if (core.checkpointer().ended() >= pass) {
      if (auto outcome = core.checkpointer().outcome(); !outcome) return std::unexpected(std::move(outcome.error()));
      return true;
    }
    if (!core.is_open()) return core.closed_error();
    if (auto driven = tree->expect_checkpoints(); !driven) {
      return fail(driven.error().code, "the checkpoint was not finished: " + driven.error().message);
    }
    return false;
  }

  void await_sync(const std::shared_ptr<debug::Question>& question) {
    self->request(tree->store_actor(), caf::infinite, sync_atom::value)
        .then(
            [question](Seq durable) {
              question->answer(debug::Document(debug::Document::Map{{"durable", durable}}));
            },
            [question](const caf::error& error) { question->answer(std::unexpected(to_error(error))); });
  }

  void await_checkpoint(std::uint64_t pass, const std::shared_ptr<debug::Question>& question) {
    const bool looks_already = !waiting.empty();
    waiting.push_back({pass, question});
    if (!looks_already) self->delayed_send(self, k_look_again, GoOn{});
  }
};

}  // namespace

DebugWorker::behavior_type debug_worker(DebugWorker::pointer self, std::shared_ptr<Tree> tree,
                                        std::shared_ptr<Load> load) {
  be_worker(self, load);
  const std::shared_ptr<Work> work(new Work{self, tree, Inspector(tree)});
  return {
      [work, load](const Inquiry& inquiry) {
        const Taken taken(*load);
        work->take(inquiry.question);
      },
      [work, load](const Departure& departure) {
        const Taken taken(*load);
        work->inspector.forget(departure.client);
      },
      [work, load](const GoOn&) {
        const Step step(*load);
        work->look();
      },
      [self, work](const Stop&) {
        work->look();
        self->quit();
      },
  };
}

}  // namespace actable::actors
