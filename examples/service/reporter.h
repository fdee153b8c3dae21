#pragma once

#include "examples/service/limiter.h"

#include <actable/actors.h>

#include <caf/event_based_actor.hpp>

#include <chrono>

namespace service {

/// Prints a line on the store's log each `interval`, and sweeps the limiter. It
/// asks the store's actor, as anybody may who has its handle.
caf::behavior reporter(caf::event_based_actor* self, const actable::StoreActor& store, const Limiter& limiter,
                       std::chrono::milliseconds interval);

}  // namespace service
