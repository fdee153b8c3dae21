#include "actors/workers.h"
#include "store/access.h"
#include "store/checks.h"

#include <caf/mailbox_element.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

namespace actable::actors {
namespace {

/// A one-way put, as senders of the public type make it.
using PutMessage = caf::mailbox_element_vals<caf::atom_value, std::string, std::string, RequestOptions>;

/// One that was taken up and is yet to be done.
struct GatheredPut {
  std::string key;
  std::string value;
  RequestOptions options;
};

/// One space, as its actor's handlers see it.
struct Work {
  SpaceWorker::pointer self;
  std::shared_ptr<Tree> tree;
  std::shared_ptr<Load> load;
  Space space;
  bool logged = false;
  // Of the message that is being done; kept for its memory.
  store::BatchOps batch{};
  // One-way puts that were taken up and are to be done together: with their keys
  // known, what they look at in the table is fetched at the same time, where one
  // after the other each would wait for memory. They are done before anything
  // else is, and at the latest when the messages that wait now have been taken up.
  std::vector<GatheredPut> gathered{};
  bool told_to_do_gathered = false;

  /// As many as `Access::fetch` takes; and what of a value is fetched ahead.
  static constexpr std::size_t k_gathered_max = 16;
  static constexpr std::size_t k_fetched_bytes_max = 256;

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

  /// Keeps the put that is being handled for `do_gathered`.
  void gather(const std::string& key, const std::string& value, const RequestOptions& options) {
    __builtin_prefetch(key.data());
    for (std::size_t at = 0; at < std::min(value.size(), k_fetched_bytes_max); at += 64) {
      __builtin_prefetch(value.data() + at);
    }
    // A message of this class is nobody else's, and is gone after this: its strings can
    // be had. Others hold a `caf::message`, which somebody may have as well.
    caf::mailbox_element* const element = self->current_mailbox_element();
    if (typeid(*element) == typeid(PutMessage)) [[likely]] {
      auto& content = static_cast<PutMessage*>(element)->data();
      gathered.push_back({std::move(std::get<1>(content)), std::move(std::get<2>(content)), options});
    } else {
      gathered.push_back({key, value, options});
    }
    if (gathered.size() == k_gathered_max) return do_gathered();
    if (std::exchange(told_to_do_gathered, true)) return;
    self->send(self, Gathered{});
  }

  void do_gathered() {
    if (gathered.empty()) return;
    std::array<std::string_view, k_gathered_max> keys;
    for (std::size_t i = 0; i < gathered.size(); ++i) keys[i] = gathered[i].key;
    store::Access::fetch(space, std::span(keys).first(gathered.size()));
    for (const GatheredPut& put : gathered) {
      // Nobody waits for an answer.
      (void)space.put(put.key, put.value, write_options(put.options));
    }
    gathered.clear();
  }

  /// All pairs, or none.
  [[nodiscard]] Result<Seq> put_all(const Pairs& pairs, const RequestOptions& options) {
    constexpr std::size_t k_kept_pairs_max = 1'024;
    // The bytes of the message before have gone.
    batch.clear();
    Result<void> added;
    const bool all = pairs.each([&](std::string_view key, std::string_view value) {
      added = store::Access::refer(batch, space, key, value);
      return added.has_value();
    });
    if (!added) return std::unexpected(std::move(added.error()));
    if (!all) {
      return fail(ErrorCode::invalid_argument,
                  "the lengths of the pairs are not those of their bytes; nothing was changed");
    }
    Result<Seq> written = store::Access::write(tree->store(), batch, write_options(options));
    if (pairs.size() > k_kept_pairs_max) batch = {};
    return written;
  }

  /// All values, or an error. What one message asks for is kept in memory at once,
  /// and may be the same large value as often as it has room for the key.
  [[nodiscard]] Result<std::vector<Found>> find_all(const std::vector<std::string>& keys) const {
    constexpr std::size_t k_overhead_bytes = 32;
    std::size_t bytes = keys.size() * k_overhead_bytes;
    std::vector<Found> values;
    if (bytes <= k_batch_bytes_max) values.reserve(keys.size());
    for (auto key = keys.begin(); key != keys.end() && bytes <= k_batch_bytes_max; ++key) {
      Result<Found> found = find(*key);
      if (!found) return std::unexpected(std::move(found.error()));
      bytes += found->value.size();
      values.push_back(*std::move(found));
    }
    if (bytes <= k_batch_bytes_max) return values;
    return fail(ErrorCode::too_large, "the values of these " + std::to_string(keys.size()) + " keys hold more than " +
                                          std::to_string(k_batch_bytes_max) +
                                          " bytes, which is what one answer may; ask for fewer at once");
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

/// Takes up what was sent, until the handler returns; first of all what was gathered
/// is done, for it was sent before.
class TakenUp {
 public:
  explicit TakenUp(Work& work) : taken_(*work.load) { work.do_gathered(); }

 private:
  const Taken taken_;
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
        if (!work->self->current_mailbox_element()->mid.is_request()) {
          const Taken taken(*work->load);
          if (!work->refusal(options)) work->gather(key, value, options);
          return Seq{0};
        }
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<Seq> put = work->space.put(key, value, work->write_options(options));
        if (!put) return as_caf(std::move(put.error()));
        return work->written(options, *put, *put);
      },
      [work](put_atom, const Pairs& pairs, const RequestOptions& options) -> caf::result<Seq> {
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<Seq> put = work->put_all(pairs, options);
        if (!put || *put == 0) return as_answer(std::move(put));
        return work->written(options, *put, *put);
      },
      [work](get_atom, const std::string& key, const RequestOptions& options) -> caf::result<Found> {
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options, false)) return refusal;
        return as_answer(work->find(key));
      },
      [work](get_atom, const std::vector<std::string>& keys,
             const RequestOptions& options) -> caf::result<std::vector<Found>> {
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options, false)) return refusal;
        return as_answer(store::guarded("the values", [&] { return work->find_all(keys); }));
      },
      [work](erase_atom, const std::string& key, const RequestOptions& options) -> caf::result<bool> {
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<bool> erased = work->space.erase(key, work->write_options(options));
        const bool changed = erased && *erased;
        return work->written(options, std::move(erased), changed);
      },
      [work](add_atom, const std::string& key, std::int64_t delta,
             const RequestOptions& options) -> caf::result<std::int64_t> {
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options)) return refusal;
        return work->written(options, work->space.add(key, delta, work->write_options(options)), true);
      },
      [work](cas_atom, const std::string& key, Seq expected, const std::string& value,
             const RequestOptions& options) -> caf::result<bool> {
        const TakenUp taken(*work);
        if (caf::error refusal = work->refusal(options)) return refusal;
        Result<bool> set = work->space.compare_and_set(key, expected, value, work->write_options(options));
        const bool changed = set && *set;
        return work->written(options, std::move(set), changed);
      },
      [work](stats_atom) -> caf::result<SpaceStats> {
        const TakenUp taken(*work);
        return work->space.stats();
      },
      [work](const Renew&) {
        const Busy busy(*work->load);
        work->do_gathered();
        work->renew();
      },
      [work](const Gathered&) {
        const Busy busy(*work->load);
        work->told_to_do_gathered = false;
        work->do_gathered();
      },
      [work](const Stop&) {
        work->do_gathered();
        work->self->quit();
      },
  };
}

}  // namespace actable::actors
