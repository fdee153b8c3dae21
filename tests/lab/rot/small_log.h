#pragma once

#include "tests/wal/log_fixture.h"

#include <actable/options.h>

#include <memory>
#include <string>
#include <vector>

namespace actable::lab::rot {

/// A log small enough for each of its bits to be flipped, in the state that its
/// last life left it in: two spaces and the catalog, puts, erasures, batches and
/// a counter. All but one log go over several segments of 24 KiB and three
/// lives, of which the first lost its tail in a crash and the second closed
/// cleanly; the other has two lives in one segment.
///
/// Thread safety: *confined*.
struct SmallLog {
  /// How the last life ended, in words.
  std::string state;
  std::unique_ptr<test::SimulatedDisk> disk;
  /// The disk's names.
  std::vector<std::string> names;
  /// Every whole frame, void ones included.
  std::vector<test::FrameOnDisk> frames;
  /// What the log gives back while it is whole, in the order of the numbers.
  test::Records records;
  /// Of those, the ones numbered below it had been reported to be on disk.
  Seq durable = 0;
};

/// Options with segments smaller than a store takes.
[[nodiscard]] Options small_options();

/// One log for each state. Throws when one does not read back as it was written.
[[nodiscard]] std::vector<SmallLog> make_small_logs(std::uint64_t seed);

}  // namespace actable::lab::rot
