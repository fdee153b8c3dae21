#pragma once

#include "benchmarks/engines/actor_run.h"
#include "benchmarks/remote.h"

#include <actable/actors.h>

#include <cstddef>
#include <memory>
#include <string_view>

namespace bench {

/// What each of the actors of a run is given.
struct SenderOptions {
  Way way;
  Durability durability;
  /// Pairs of one message, of `Way::batches`.
  std::size_t batch;
  /// Actors there are in all.
  std::size_t senders;
  std::size_t key_bytes;
  std::size_t value_bytes;
  /// Outlives the run, and is at least a value long.
  std::string_view noise;
};

/// Messages that may be on their way from all senders together: no more than
/// the store's actors take in, since one-way messages beyond that are lost.
inline constexpr std::size_t k_messages_max = 4'096;

/// Makes an actor that sends what the part's plan says, and begins when it is
/// told `caf::ok_atom`. It never has more messages on their way than its share
/// of `k_messages_max`: of one-way puts it sends a window, of which the last is a
/// request, and the next window when that was answered. What is timed is each
/// message that is answered, from its sending to the answer.
///
/// What the store refuses because the disk does not keep up is not sent again,
/// and the next is sent a little later. It does not count as done, but for
/// one-way puts, of which the sender learns nothing: those are for the caller to
/// take off. `part` outlives the sender.
[[nodiscard]] caf::actor spawn_sender(caf::actor_system& system, const RemotePart& part, const SenderOptions& options,
                                      const actable::SpaceActor& to, const std::shared_ptr<ActorRun>& run);

}  // namespace bench
