#pragma once

#include "actors/feed.h"

#include <caf/mailbox_element.hpp>

#include <string>

namespace actable::actors {

/// One line: who sent the message, and its elements' kinds and sizes, not contents.
[[nodiscard]] std::string describe(const caf::mailbox_element& message);

/// What came to an actor's mailbox, as `describe` has it.
using Trace = Feed<std::string>;

}  // namespace actable::actors
