#pragma once

#include "tests/store/kill_history.h"

#include <string>

namespace actable::lab::kills {

/// What became of a key, in lines for people: what it held before the life,
/// every write to it as the journal tells, by number, and what was found.
[[nodiscard]] std::string trace(const test::killing::Life& life, test::killing::KeyId key,
                                const test::killing::Found& before, const test::killing::Recovered& after);

}  // namespace actable::lab::kills
