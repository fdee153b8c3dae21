#pragma once

#include "tests/lab/leg.h"
#include "tests/support/seed.h"

#include <cstdint>
#include <functional>
#include <string>

namespace actable::lab::rot {

/// How many damages to a checkpoint were refused, and how many changed nothing.
struct CheckpointVerdicts {
  std::uint64_t flips = 0;
  std::uint64_t truncations = 0;
  std::uint64_t moves = 0;
  std::uint64_t refused = 0;
  std::uint64_t harmless = 0;
};

/// Flips every bit of a small checkpoint's manifest and files, cuts each of them short,
/// takes each away, and puts each into the place of each other and of another store's.
/// What reads back has to be refused, naming the file, or be what was written. Opening a
/// store has to agree; it is tried with all damages but most of the flipped bits.
///
/// Every fault is told to `found` with the damage's words.
[[nodiscard]] CheckpointVerdicts damage_checkpoint(
    std::uint64_t seed, const Budget& budget, const std::function<void(const std::string&, const std::string&)>& found);

}  // namespace actable::lab::rot
