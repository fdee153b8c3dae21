#pragma once

#include <cstddef>
#include <cstdint>

namespace actable::lab::history {

/// What was done so far.
///
/// Thread safety: *confined*.
struct Tally {
  std::uint64_t operations = 0;
  std::uint64_t cases = 0;
  std::uint64_t lives = 0;
  std::uint64_t crashes = 0;
  /// Writes with a number at or above the cut.
  std::uint64_t lost = 0;
  std::uint64_t promises = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t segments_replaced = 0;
  std::size_t widest = 0;
};

/// One store through several lives, each checked against the one before. The
/// threads are real: the seed repeats what each of them sets out to do, when
/// the crashes come, and what survives of unsynced blocks, but not how the
/// threads overtake each other. So a failure leaves its history in a file. With
/// `print` the history of every key in every life is printed.
/// Throws `Found` when the store is wrong.
void run_case(std::uint64_t seed, Tally& tally, bool print = false);

}  // namespace actable::lab::history
