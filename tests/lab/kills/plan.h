#pragma once

#include "tests/lab/kills/points.h"
#include "tests/store/kill_client.h"

#include <actable/options.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace actable::lab::kills {

/// How a life is lived, and where it ends. Leg and victim make the same of the
/// same words.
///
/// Thread safety: *immutable*.
struct Plan {
  std::uint64_t seed = 0;
  /// Null: somebody else ends it, at any time.
  const FailPoint* point = nullptr;
  /// It ends at this passage of the point.
  unsigned passage = 0;
  /// `directory` is still empty.
  Options options{};
  test::killing::Work work{};
  /// At the end of its writing its log fails so often, and is healed.
  unsigned heals = 0;
};

/// The plan that a seed stands for. `with_ring`: the machine has io_uring.
[[nodiscard]] Plan plan_of(std::uint64_t seed, bool with_ring, const FailPoint* point, unsigned passage);

/// The plan in a line.
[[nodiscard]] std::string to_text(const Plan& plan);

}  // namespace actable::lab::kills
