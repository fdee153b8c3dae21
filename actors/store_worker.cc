#include "actors/workers.h"

#include <map>
#include <string>
#include <vector>

namespace actable::actors {
namespace {

/// The store, as its actor's handlers see it.
struct Work {
  StoreWorker::pointer self;
  std::shared_ptr<Tree> tree;
  std::shared_ptr<Load> load;
  // A cache of the store's own.
  std::map<std::string, Space> spaces{};

  [[nodiscard]] Result<const Space*> space(const std::string& name) {
    if (const auto known = spaces.find(name); known != spaces.end()) return &known->second;
    Result<Space> found = tree->existing_space(name);
    if (!found) return std::unexpected(std::move(found.error()));
    return &spaces.emplace(name, *std::move(found)).first->second;
  }

  [[nodiscard]] Result<Seq> write(const std::vector<Change>& changes) {
    Result<Seq> written = write_to_known(changes);
    if (written || written.error().code != ErrorCode::closed) return written;
    // A space was dropped, and nothing changed; there may be a new one of its name.
    spaces.clear();
    return write_to_known(changes);
  }

  [[nodiscard]] Result<Seq> write_to_known(const std::vector<Change>& changes) {
    Batch batch;
    for (const Change& change : changes) {
      const Result<const Space*> at = space(change.space);
      if (!at) return std::unexpected(at.error());
      Result<void> added =
          change.kind == Change::Kind::put ? batch.put(**at, change.key, change.value) : batch.erase(**at, change.key);
      if (!added) return std::unexpected(std::move(added.error()));
    }
    return tree->store().write(batch, {.no_wait = true});
  }
};

}  // namespace

StoreWorker::behavior_type store_worker(StoreWorker::pointer self, std::shared_ptr<Tree> tree,
                                        std::shared_ptr<Load> load) {
  be_worker(self, load);
  const auto work = std::make_shared<Work>(Work{self, std::move(tree), std::move(load)});
  return {
      [work](open_atom, const std::string& name) -> caf::result<SpaceActor> {
        const Taken taken(*work->load);
        return as_answer(work->tree->open(name));
      },
      [work](write_atom, const std::vector<Change>& changes, const RequestOptions& options) -> caf::result<Seq> {
        const Taken taken(*work->load);
        if (caf::error late = too_late(work->self, options)) return late;
        if (caf::error refusal = work->tree->write_refusal()) return refusal;
        if (options.durability == Durability::sync && work->tree->in_memory()) {
          return make_error(ErrorCode::unsupported,
                            "this store is pure memory: nothing in it can be made durable; set Options::directory");
        }
        if (options.durability == Durability::sync) {
          if (caf::error full = work->tree->board().full()) return full;
        }
        Result<Seq> written = work->write(changes);
        if (!written || options.durability == Durability::async || *written == 0) return as_answer(std::move(written));
        auto promise = work->self->make_response_promise<Seq>();
        work->tree->board().add(*written, promise, caf::make_message(*written));
        return promise;
      },
      [work](sync_atom) -> caf::result<Seq> {
        const Taken taken(*work->load);
        if (caf::error full = work->tree->board().full()) return full;
        auto promise = work->self->make_response_promise<Seq>();
        const Seq last = work->tree->store().last_seq();
        work->tree->board().add(last, promise, caf::make_message(last));
        return promise;
      },
      [work](stats_atom) -> caf::result<StoreStats, std::vector<ActorStats>> {
        const Taken taken(*work->load);
        return {work->tree->store_stats(), work->tree->actor_stats()};
      },
      [work](const Stop&) { work->self->quit(); },
  };
}

}  // namespace actable::actors
