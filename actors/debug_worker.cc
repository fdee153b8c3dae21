#include "actors/inspector.h"
#include "actors/workers.h"

#include <memory>
#include <utility>

namespace actable::actors {
namespace {

/// The debug actor, as its handlers see it.
struct Work {
  DebugWorker::pointer self;
  StoreActor store;
  Inspector inspector;
};

void take(const std::shared_ptr<Work>& work, const std::shared_ptr<debug::Question>& question) {
  Inspector::Answer answer = work->inspector.answer(*question);
  if (!answer || question->request().command != "sync") return question->answer(std::move(answer));
  work->self->request(work->store, caf::infinite, sync_atom::value)
      .then(
          [question](Seq durable) {
            question->answer(debug::Document(debug::Document::Map{{"durable", durable}}));
          },
          [question](const caf::error& error) { question->answer(std::unexpected(to_error(error))); });
}

}  // namespace

DebugWorker::behavior_type debug_worker(DebugWorker::pointer self, std::shared_ptr<Tree> tree,
                                        std::shared_ptr<Load> load) {
  be_worker(self, load);
  const std::shared_ptr<Work> work(new Work{self, tree->store_actor(), Inspector(tree)});
  return {
      [work, load](const Inquiry& inquiry) {
        const Taken taken(*load);
        take(work, inquiry.question);
      },
      [work, load](const Departure& departure) {
        const Taken taken(*load);
        work->inspector.forget(departure.client);
      },
      [self](const Stop&) { self->quit(); },
  };
}

}  // namespace actable::actors
