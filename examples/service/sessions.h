#pragma once

#include <actable/actors.h>
#include <actable/typed.h>

#include <caf/typed_event_based_actor.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace service {

/// A value. Fields are packed in this order; new ones go to the end, and old
/// values then read with the new field as it is initialised here.
struct Session {
  std::string user;
  std::vector<std::string> cart{};
  MSGPACK_DEFINE(user, cart)
};

/// Where sessions are kept. Handles, cheap to copy.
struct SessionSpaces {
  actable::TypedSpace<Session> active;
  actable::Space counters;

  /// Opens or creates them.
  static actable::Result<SessionSpaces> open(actable::Store& store);
};

using login_atom = caf::atom_constant<caf::atom("login")>;
using buy_atom = caf::atom_constant<caf::atom("buy")>;
using show_atom = caf::atom_constant<caf::atom("show")>;
using logout_atom = caf::atom_constant<caf::atom("logout")>;

/// Requests to the sessions. The last three fail with not_found where there is
/// no such session.
///   login   a user: begins a session, answers with its name, and not before it
///           is on disk: a user who was told a name is never told later that
///           there is no such session
///   buy     a session and an item: how many items are in the cart now
///   show    a session: user and cart
///   logout  a session: the user, whose session has ended; as durable as login
using SessionsActor = caf::typed_actor<caf::replies_to<login_atom, std::string>::with<std::string>,
                                       caf::replies_to<buy_atom, std::string, std::string>::with<std::uint64_t>,
                                       caf::replies_to<show_atom, std::string>::with<std::string>,
                                       caf::replies_to<logout_atom, std::string>::with<std::string>>;

/// The actor calls the store itself, at memory speed, and waits for nothing:
/// `log` is told whom to answer when the disk has caught up.
SessionsActor::behavior_type sessions(SessionsActor::pointer self, SessionSpaces spaces, actable::LogActor log);

}  // namespace service
