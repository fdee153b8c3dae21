#include "actors/workers.h"
#include "store/checks.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace actable::actors {
namespace {

/// One space, as its actor's handlers see it.
struct Work {
  SpaceWorker::pointer self;
  std::shared_ptr<Tree> tree;
  std::shared_ptr<Load> load;
  Space space;
  bool logged = false;

  void serve(const Space& from_now_on) {
    space = from_now_on;
    logged = space.stats().logged && !tree->in_memory();
  }

  /// While there is no space of that name, the one that was dropped says so.
  void renew() {
    if (const Result<Space> now = tree->existing_space(space.name())) serve(*now);
  }

  /// Refuses what comes too late; what writes, where nothing may be written; and
  /// what would wait for the disk where too many do.
  [[nodiscard]] caf::error refusal(const RequestOptions& options, bool writes = true) const {
    if (caf::error late = too_late(self, options)) return late;
    if (!writes) return {};
    if (caf::error refused = tree->write_refusal()) return refused;
    return options.durability == Durability::sync && logged ? tree->board().full() : caf::error();
  }

  /// How the table is to be asked. The actor never waits for the disk, but the
  /// space has to refuse a `sync` that it cannot give.
  [[nodiscard]] WriteOptions write_options(const RequestOptions& options) const {
    return {.durability = logged ? Durability::async : options.durability, .no_wait = true};
  }

  /// The answer to a write: now, or when all up to `seq` is on disk.
  template <class T>
  [[nodiscard]] caf::result<T> written(const RequestOptions& options, Seq seq, T value) const {
    if (options.durability == Durability::async || !logged) return value;
    auto promise = self->make_response_promise<T>();
    tree->board().add(seq, promise, caf::make_message(std::move(value)));
    return promise;
  }

  /// As `written`, for a write whose number the table does not tell.
  template <class T>
  [[nodiscard]] caf::result<T> written(const RequestOptions& options, Result<T> result, bool changed) const {
    if (!result || !changed) return as_answer(std::move(result));
    return written(options, tree->store().last_seq(), *std::move(result));
  }

  [[nodiscard]] Result<Found> find(const std::string& key) const {
    return store::guarded("the value", [&]() -> Result<Found> {
      Found found;
      auto seen = space.visit(key, [&found](const Entry& entry) {
        found.seq = entry.seq;
        found.value = entry.value;
      });
      if (!seen) return std::unexpected(std::move(seen.error()));
      return found;
    });
  }
};

}  // namespace

SpaceWorker::behavior_type space_worker(SpaceWorker::pointer self, std::shared_ptr<Tree> tree,
                                        std::shared_ptr<Load> load, const Space& space) {
  be_worker(self, load);
  const auto work = std::make_shared<Work>(Work{self, std::move(tree), std::move(load), space});
  work->serve(space);
  return {
      [work](put_atom, const std::string& key, const std::string& value,
             const RequestOptions& options) -> caf::result<Seq> {
        const Taken taken(*work->load);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<Seq> put = work->space.put(key, value, work->write_options(options));
        if (!put) return as_caf(std::move(put.error()));
        return work->written(options, *put, *put);
      },
      [work](get_atom, const std::string& key, const RequestOptions& options) -> caf::result<Found> {
        const Taken taken(*work->load);
        if (caf::error refusal = work->refusal(options, false)) return refusal;
        return as_answer(work->find(key));
      },
      [work](get_atom, const std::vector<std::string>& keys,
             const RequestOptions& options) -> caf::result<std::vector<Found>> {
        const Taken taken(*work->load);
        if (caf::error refusal = work->refusal(options, false)) return refusal;
        std::vector<Found> values;
        values.reserve(keys.size());
        for (const std::string& key : keys) {
          Result<Found> found = work->find(key);
          if (!found) return as_caf(std::move(found.error()));
          values.push_back(*std::move(found));
        }
        return values;
      },
      [work](erase_atom, const std::string& key, const RequestOptions& options) -> caf::result<bool> {
        const Taken taken(*work->load);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<bool> erased = work->space.erase(key, work->write_options(options));
        const bool changed = erased && *erased;
        return work->written(options, std::move(erased), changed);
      },
      [work](add_atom, const std::string& key, std::int64_t delta,
             const RequestOptions& options) -> caf::result<std::int64_t> {
        const Taken taken(*work->load);
        if (caf::error refusal = work->refusal(options)) return refusal;
        return work->written(options, work->space.add(key, delta, work->write_options(options)), true);
      },
      [work](cas_atom, const std::string& key, Seq expected, const std::string& value,
             const RequestOptions& options) -> caf::result<bool> {
        const Taken taken(*work->load);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<bool> set = work->space.compare_and_set(key, expected, value, work->write_options(options));
        const bool changed = set && *set;
        return work->written(options, std::move(set), changed);
      },
      [work](stats_atom) -> caf::result<SpaceStats> {
        const Taken taken(*work->load);
        return work->space.stats();
      },
      [work](const Renew&) { work->renew(); },
      [work](const Stop&) { work->self->quit(); },
  };
}

}  // namespace actable::actors
