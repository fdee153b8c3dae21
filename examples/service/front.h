#pragma once

#include "examples/service/limiter.h"
#include "examples/service/sessions.h"

#include <caf/io/broker.hpp>

#include <cstddef>
#include <cstdint>

namespace service {

/// What connections ask. Handles, cheap to copy.
struct Backend {
  SessionsActor sessions;
  Limiter limiter;
};

/// Users that may be connected at the same time; the next is told so.
inline constexpr std::size_t k_connections_max = 64;
/// Longer lines are no requests.
inline constexpr std::size_t k_line_bytes_max = 4'096;

using listen_atom = caf::atom_constant<caf::atom("listen")>;

/// Takes connections from this machine, each of which gets an actor of its own.
/// `listen` with a port, 0 for any that is free, is answered with the port. When
/// it is ended it ends its connections.
///
/// A connection brings requests in lines, and gets a line for each, in order:
///   login USER          ok SESSION
///   buy SESSION ITEM    ok NUMBER items
///   show SESSION        ok USER: ITEM…
///   logout SESSION      ok USER
/// or "error" and why it was refused.
caf::behavior front(caf::io::broker* self, const Backend& backend);

}  // namespace service
