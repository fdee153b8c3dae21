#pragma once

#include "tests/lab/history/checker.h"

#include <cstdint>
#include <string>

namespace actable::lab::history {

/// The cut in a line; empty without one.
[[nodiscard]] std::string cut_text(const std::optional<Cut>& cut);

/// What the key held before, the cut, and a line for each operation.
[[nodiscard]] std::string whole_text(const KeyHistory& history);

/// Writes the whole history into a file and returns what is to be said of it:
/// why it is wrong, the shortest part that is wrong, and the file's name.
[[nodiscard]] std::string evidence(const std::string& key, const KeyHistory& history, const Verdict& verdict,
                                   std::uint64_t seed);

}  // namespace actable::lab::history
