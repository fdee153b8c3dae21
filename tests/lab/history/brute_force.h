#pragma once

#include "tests/lab/history/checker.h"

namespace actable::lab::history {

/// The plain definition of what `check` looks for, to check it with: tries
/// every order. For histories of up to ten operations.
[[nodiscard]] bool some_order_explains(const KeyHistory& history);

}  // namespace actable::lab::history
