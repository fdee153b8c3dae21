#pragma once

#include "tests/lab/history/checker.h"
#include "tests/support/seed.h"

#include <cstdint>
#include <string>
#include <vector>

namespace actable::lab::history {

/// A history of which it is known whether it is right.
///
/// Thread safety: *confined*.
struct Known {
  std::string name{};
  bool right = true;
  KeyHistory history{};
};

/// Small ones, for each operation and each way in which a store can be wrong.
[[nodiscard]] std::vector<Known> known_by_hand();

/// Checks the checker: against those, against trying every order on many small
/// random ones, right or not, and against long random ones that are right, and
/// are spoilt in a way that no order can explain. Throws `Found` when the
/// checker is wrong. Returns how many histories it was right on.
[[nodiscard]] std::uint64_t check_the_checker(std::uint64_t seed);

}  // namespace actable::lab::history
