#pragma once

#include "tests/lab/failures/seam.h"

#include <cstdint>
#include <string>
#include <vector>

namespace actable::lab {

/// What fails in one run of the script: a call, an allocation, or nothing.
struct Failing {
  Order call{};
  /// 1: the first. 0: none.
  std::uint64_t allocation = 0;
  bool allocation_for_good = false;
};

[[nodiscard]] std::string describe(const Failing& failing);

/// What one run came to.
struct Came {
  std::vector<Call> calls;
  /// Sites of the calls that failed.
  std::vector<std::optional<std::size_t>> failed;
  std::uint64_t allocations = 0;
  std::uint64_t allocations_failed = 0;
  std::uint64_t recoveries = 0;
};

/// Runs the script with what is to fail, and recovers from each disk that a
/// crash could have left at the end of each of its lives. Throws `Found`, or
/// ends the program (see Scheduler::run), with the trace, `replay`, and what is
/// wrong. `print`: every step.
[[nodiscard]] Came run_case(std::uint64_t seed, const Failing& failing, const std::string& replay, bool print);

}  // namespace actable::lab
