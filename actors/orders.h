#pragma once

#include <caf/allowed_unsafe_message_type.hpp>

/// What the floor tells its own workers. Types that no public header has, so
/// that whoever holds a handle can ask for what its type says, and nothing else.
namespace actable::actors {

/// Ends a worker once it has taken up what was in its mailbox before.
struct Stop {};

/// Has the actor of a space look for the space of its name that is there now:
/// the one before may have been dropped.
struct Renew {};

/// Tells the log's actor to look at the durable number.
struct Advanced {};

}  // namespace actable::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Renew)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Advanced)
