#pragma once

#include "actors/gate.h"
#include "actors/orders.h"
#include "actors/tree.h"

#include <actable/actors.h>

#include <caf/typed_event_based_actor.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

/// What the actors do. None of them has a state that its crash could lose.
namespace actable::actors {

using SpaceWorker = SpaceActor::extend<caf::reacts_to<Renew>, caf::reacts_to<Gathered>, caf::reacts_to<Stop>>;
using StoreWorker = StoreActor::extend<caf::reacts_to<Stop>>;
/// Nobody but the tree asks it for anything.
using AnalyticsActor = caf::typed_actor<caf::reacts_to<Begin>>;
using AnalyticsWorker = AnalyticsActor::extend<caf::reacts_to<Tick>, caf::reacts_to<Stop>>;
/// Nobody outside has its handle: the debug socket's thread asks it.
using DebugActor = caf::typed_actor<caf::reacts_to<Inquiry>, caf::reacts_to<Departure>>;
using DebugWorker = DebugActor::extend<caf::reacts_to<GoOn>, caf::reacts_to<Stop>>;
using LogWorker = LogActor::extend<caf::reacts_to<Advanced>, caf::reacts_to<Stop>>;
/// Nobody but the tree has its handle.
using CheckpointActor = caf::typed_actor<caf::reacts_to<Tend>, caf::reacts_to<Begin>, caf::reacts_to<HealOrder>>;
using CheckpointWorker = CheckpointActor::extend<caf::reacts_to<Tick>, caf::reacts_to<Stop>>;
/// Nobody but the tree has its handle.
using ShardActor = caf::typed_actor<caf::reacts_to<Tend>>;
using ShardWorker = ShardActor::extend<caf::reacts_to<GoOn>, caf::reacts_to<Stop>>;

[[nodiscard]] SpaceWorker::behavior_type space_worker(SpaceWorker::pointer self, std::shared_ptr<Tree> tree,
                                                      std::shared_ptr<Load> load, const Space& space);
/// One for this process and one for others, whose `open` makes spaces only while there
/// are fewer than `spaces_max`.
[[nodiscard]] StoreWorker::behavior_type store_worker(StoreWorker::pointer self, std::shared_ptr<Tree> tree,
                                                      std::shared_ptr<Load> load, std::size_t spaces_max);
[[nodiscard]] LogWorker::behavior_type log_worker(LogWorker::pointer self, std::shared_ptr<Tree> tree,
                                                  std::shared_ptr<Load> load);
/// The one of that number, from 0 on.
[[nodiscard]] AnalyticsWorker::behavior_type analytics_worker(AnalyticsWorker::pointer self, std::shared_ptr<Tree> tree,
                                                              std::shared_ptr<Load> load, std::size_t number);
[[nodiscard]] ShardWorker::behavior_type shard_worker(ShardWorker::pointer self, std::shared_ptr<Tree> tree,
                                                      std::shared_ptr<Load> load, unsigned shard);

[[nodiscard]] CheckpointWorker::behavior_type checkpoint_worker(CheckpointWorker::pointer self,
                                                                std::shared_ptr<Tree> tree, std::shared_ptr<Load> load);

[[nodiscard]] DebugWorker::behavior_type debug_worker(DebugWorker::pointer self, std::shared_ptr<Tree> tree,
                                                      std::shared_ptr<Load> load);

/// Starts children again, one for one, with backoff and a limit.
[[nodiscard]] caf::behavior supervisor(caf::event_based_actor* self, std::weak_ptr<Tree> tree);
/// Tells the supervisor of the worker of child number `index`.
using worker_atom = caf::atom_constant<caf::atom("worker")>;

[[nodiscard]] inline caf::error as_caf(Error error) { return make_error(error.code, std::move(error.message)); }

/// The value or the error.
template <class T>
[[nodiscard]] caf::result<T> as_answer(Result<T> result) {
  if (!result) return as_caf(std::move(result.error()));
  return *std::move(result);
}

/// The error for a request that was taken up too late, or that came from another
/// process with options that there are not; none otherwise.
template <class Self>
[[nodiscard]] caf::error too_late(Self* self, const RequestOptions& options) {
  if (options.durability != Durability::async && options.durability != Durability::sync) {
    return make_error(ErrorCode::invalid_argument, "RequestOptions::durability is " +
                                                       std::to_string(static_cast<int>(options.durability)) +
                                                       ", which is neither async nor sync; nothing was changed");
  }
  if (options.deadline == caf::actor_clock::time_point::max() || self->clock().now() <= options.deadline) return {};
  return make_error(ErrorCode::overloaded, "the request's deadline passed before its turn came; nothing was changed");
}

/// What every worker does besides its requests.
template <class Self>
void be_worker(Self* self, const std::shared_ptr<Load>& load) {
  // A request that the actor's type does not have came through the gate all the same.
  self->set_default_handler([load](caf::scheduled_actor*, caf::message_view&) -> caf::result<caf::message> {
    const Taken taken(*load);
    return caf::sec::unexpected_message;
  });
  // The default one writes to the host's standard output. The supervisor tells of it.
  self->set_exception_handler([](caf::scheduled_actor*, std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
      return caf::make_error(caf::sec::runtime_error, std::string(exception.what()));
    } catch (...) {
      return caf::make_error(caf::sec::runtime_error, std::string("an exception of unknown type"));
    }
  });
}

}  // namespace actable::actors
