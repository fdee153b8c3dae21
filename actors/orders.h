#pragma once

#include "debug/question.h"

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

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

/// Has who looks after the network's connections do so.
struct Look {};

/// Has an actor of the analytics look for samples from now on, if it does not.
struct Begin {};

/// What it tells itself: to enter the samples that came meanwhile. Of these only the
/// last one counts.
struct Tick {
  std::uint64_t number = 0;
};

/// Tells the actor of a shard that there may be maintenance to do.
struct Tend {};

/// What it tells itself: to do the next step.
struct GoOn {};
/// Has the actor of a space do the writes that it has gathered.
struct Gathered {};

/// Has the supervisor start the worker of a child again, without a crash.
struct Restart {
  std::size_t child = 0;
};

/// A request of a client of the debug socket.
struct Inquiry {
  std::shared_ptr<debug::Question> question;
};

/// Has the store healed, if its log has failed, and the question answered.
struct HealOrder {
  std::shared_ptr<debug::Question> question;
};

/// The client has gone.
struct Departure {
  std::uint64_t client = 0;
};

}  // namespace actable::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Renew)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Advanced)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Begin)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Tend)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Look)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::GoOn)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Gathered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Restart)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Inquiry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::HealOrder)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::actors::Departure)
