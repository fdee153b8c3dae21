#pragma once

#include "actors/door.h"

#include <caf/io/doorman.hpp>
#include <caf/io/network/default_multiplexer.hpp>

#include <memory>

namespace actable::actors {

/// Accepts connections at the socket, which it takes over, for CAF's network: what
/// comes over them is looked at before CAF reads it, and they come and go by the
/// door. With `tls` they are encrypted as CAF's are, and both sides show certificates.
///
/// In place of CAF's own, which takes the length that a peer announces as it comes,
/// and the memory for it; reads messages that its stack does not hold; keeps every
/// connection for ever, and is called again at once while there is no descriptor
/// for the next.
[[nodiscard]] caf::io::doorman_ptr make_doorman(caf::io::network::default_multiplexer& multiplexer,
                                                caf::io::network::native_socket socket, std::shared_ptr<Door> door,
                                                bool tls);

}  // namespace actable::actors
