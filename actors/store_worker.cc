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
  // Spaces that may be there for one more to be made.
  std::size_t spaces_max;
  struct Known {
    Space space;
    bool logged;
  };
  // A cache of the store's own.
  std::map<std::string, Known> spaces{};

  [[nodiscard]] Result<const Known*> space(const std::string& name) {
    if (const auto known = spaces.find(name); known != spaces.end()) return &known->second;
    Result<Space> found = tree->existing_space(name);
    if (!found) return std::unexpected(std::move(found.error()));
    const bool logged = found->stats().logged;
    return &spaces.emplace(name, Known{*std::move(found), logged}).first->second;
  }

  [[nodiscard]] Result<Seq> write(const std::vector<Change>& changes, Durability durability) {
    Result<Seq> written = write_to_known(changes, durability);
    if (written || written.error().code != ErrorCode::closed) return written;
    // A space was dropped, and nothing changed; there may be a new one of its name.
    spaces.clear();
    return write_to_known(changes, durability);
  }

  [[nodiscard]] static Result<void> add(Batch& batch, const Space& space, const Change& change) {
    switch (change.kind) {
      case Change::Kind::put:
        return batch.put(space, change.key, change.value);
      case Change::Kind::erase:
        return batch.erase(space, change.key);
    }
    // From another process.
    return fail(ErrorCode::invalid_argument, "a change of the batch is neither a put nor an erasure, but of kind " +
                                                 std::to_string(static_cast<int>(change.kind)) +
                                                 "; nothing was changed");
  }

  /// Never waits for the disk: who asked for it does. But the store has to refuse a
  /// `sync` that none of the spaces could give.
  [[nodiscard]] Result<Seq> write_to_known(const std::vector<Change>& changes, Durability durability) {
    Batch batch;
    bool logged = false;
    for (const Change& change : changes) {
      const Result<const Known*> at = space(change.space);
      if (!at) return std::unexpected(at.error());
      Result<void> added = add(batch, (*at)->space, change);
      if (!added) return std::unexpected(std::move(added.error()));
      logged = logged || (*at)->logged;
    }
    return tree->store().write(batch, {.durability = logged ? Durability::async : durability, .no_wait = true});
  }
};

}  // namespace

StoreWorker::behavior_type store_worker(StoreWorker::pointer self, std::shared_ptr<Tree> tree,
                                        std::shared_ptr<Load> load, std::size_t spaces_max) {
  be_worker(self, load);
  const auto work = std::make_shared<Work>(Work{self, std::move(tree), std::move(load), spaces_max});
  return {
      [work](open_atom, const std::string& name) -> caf::result<SpaceActor> {
        const Taken taken(*work->load);
        return as_answer(work->tree->open(name, work->spaces_max));
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
        Result<Seq> written = work->write(changes, options.durability);
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
      [work](log_atom) -> caf::result<LogActor> {
        const Taken taken(*work->load);
        return work->tree->log_actor();
      },
      [work](const Stop&) { work->self->quit(); },
  };
}

}  // namespace actable::actors
