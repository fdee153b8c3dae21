#pragma once

#include "tests/lab/rot/small_log.h"
#include "tests/support/seed.h"

#include <functional>
#include <string>

namespace actable::lab::rot {

/// What was done to a log.
struct Damage {
  enum class Kind { flip, truncation, block, file } kind;
  /// "STORE byte 12 bit 3 flipped"; made only when someone asks.
  std::function<std::string()> what;
  /// False for bytes that no reader uses: then nothing may come of it.
  bool meaningful = true;
  /// True when the end of the log is gone as a whole: a shorter log is left,
  /// which nothing tells from one that was never longer.
  bool may_shorten = false;
};

/// Sees the log with one damage done to its disk. Leaves the disk as it is.
using Look = std::function<void(const Damage&)>;

/// Which bits of a byte.
enum class Bits { all, one };

/// Flips every bit that has a meaning: of STORE, of segment headers, of frames
/// with their records, void ones included; and of the rest all bits, or one of
/// each byte.
void flip_bits(SmallLog& log, Bits bits_of_the_rest, test::Random& random, const Look& look);

/// Cuts each file to each multiple of 512 bytes, and at each byte of the last
/// frames.
void truncate_files(SmallLog& log, const Look& look);

/// Zeroes each block, swaps each two, and copies each one over each other.
void move_blocks(SmallLog& log, const Look& look);

/// Takes each file away, swaps the names of each two, leaves a copy of each, and
/// puts a file of `other`, another store's log, in the place of each and beside
/// them.
void move_files(SmallLog& log, SmallLog& other, const Look& look);

}  // namespace actable::lab::rot
