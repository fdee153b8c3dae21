#pragma once

#include "actors/door.h"

#include <actable/actors.h>

#include <caf/actor_addr.hpp>
#include <caf/actor_system.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace actable::actors {

/// A port at which other processes find the store's actor.
///
/// It is CAF's protocol that is spoken there, over connections that are bounded
/// where CAF's are not (connections.h).
///
/// Thread safety: *confined* to who starts and closes the tree.
class Network {
 public:
  /// Told of connections that were closed, and why.
  using Log = Door::Log;

  /// Fails with invalid_argument, and says what to do: there is no network in the
  /// system, the options are out of range, or there is no listening.
  [[nodiscard]] static Result<Network> open(caf::actor_system& system, const StoreActor& store,
                                            const NetworkOptions& options, Log log);

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Takes no more connections. Those that there are end with their processes; the
  /// log is told nothing more once this has returned.
  void close();

 private:
  Network(caf::actor_addr manager, std::shared_ptr<Door> door, std::uint16_t port)
      : manager_(std::move(manager)), door_(std::move(door)), port_(port) {}

  // Not kept alive: it goes with the system.
  caf::actor_addr manager_;
  std::shared_ptr<Door> door_;
  std::uint16_t port_;
};

}  // namespace actable::actors
