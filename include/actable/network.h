#pragma once

#include <actable/actors.h>
#include <actable/result.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

/// A store's message interface from other processes, over CAF's own network.
///
/// The host asks for it in `ActorOptions::network`, a client calls `connect`;
/// both call `load_network` before they make their actor systems, and have the
/// same version of Actable and of CAF. What a client gets is the `StoreActor`,
/// and from it, by message, the actors of spaces and of the log. Requests,
/// answers and errors are those of `<actable/actors.h>`, but that:
///   - a deadline (`RequestOptions`) travels as the time that is left, for the
///     clocks of two machines have nothing to do with each other: the time on
///     the way is not part of it;
///   - when the connection ends, handles are of no use any more, which those who
///     monitor them are told: connect again. Requests that were on their way are
///     not answered by CAF, and neither is a message that it cannot read: give
///     requests a time-out. Subscriptions of the client end.
///
/// A client ends the actors that others know of (its subscribers) before its actor
/// system ends, which CAF would not survive otherwise.
///
/// CAF trusts who is connected: such a process can reach every actor whose
/// handle it was sent, and those that the host has registered by name. So a
/// store listens to this machine only unless it has certificates. What comes over
/// the store's port is bounded, with TLS or without (`NetworkOptions`): the length of
/// messages, connections, the time until a client has introduced himself, and spaces
/// that clients make. Who sends one of CAF's messages that may hold others in turn
/// (`caf::message`, `caf::config_value`, those of streams, an error with one of them
/// or with another error) is disconnected, for CAF 0.17 reads them with as much of
/// its stack as the sender likes. This goes for all that the host's actors are sent
/// over this port. Not bounded is what the host does beside it: connections that it
/// makes itself, ports that it publishes other actors at, and types of its own that
/// hold a `caf::message`. Neither is what waits for a client that does not read.
namespace actable {

/// Files in the PEM format, for TLS: connections are encrypted, and both sides
/// have to show a certificate that the authority has signed.
///
/// Thread safety: *confined* to whoever fills it in.
struct Certificates {
  std::filesystem::path certificate{};
  std::filesystem::path key{};
  /// Of the key; empty if it has none.
  std::string passphrase{};
  /// The authority's certificate.
  std::filesystem::path authority{};
};

/// Has the actor system that is made with `config` know the messages of stores,
/// and load CAF's network.
void load_network(caf::actor_system_config& config);

/// The same with TLS: every store and every client of this system uses it.
/// Fails with invalid_argument where a file is missing or cannot be read.
[[nodiscard]] Result<void> load_network(caf::actor_system_config& config, const Certificates& certificates);

/// The store's actor at a port of a host's, which may be of another process.
/// Blocks until the connection is there, so not in an actor. Fails with
///   invalid_argument  `load_network` was not called for this system
///   not_found         nobody listens there, or the host is not to be reached
///   unsupported       what listens there is no store of this version of Actable
///                     over this version of CAF's protocol, or one of the two
///                     uses TLS and the other does not
///   overloaded        there was no answer within `patience`
[[nodiscard]] Result<StoreActor> connect(caf::actor_system& system, const std::string& host, std::uint16_t port,
                                         std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace actable
