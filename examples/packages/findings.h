#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace packages {

/// What was found after a kill, compared with what was journalled.
///
/// Thread safety: *confined*; threads collect one each and add them up.
struct Findings {
  /// Operations that returned, by the durability they asked for.
  std::uint64_t sync_acknowledged = 0;
  std::uint64_t async_returned = 0;
  /// Of those, the ones at or above the cut.
  std::uint64_t async_lost = 0;
  /// From the beginning of the first lost one to the kill.
  std::chrono::nanoseconds lost_window{0};
  /// Operations that the kill hit inside a call, and those of them that are there.
  std::uint64_t unknown = 0;
  std::uint64_t unknown_kept = 0;
  std::uint64_t packages_present = 0;

  /// What must not be; the first of many.
  std::vector<std::string> problems{};
  std::uint64_t problem_count = 0;

  static constexpr std::size_t k_problems_kept = 10;

  void problem(std::string text) {
    if (++problem_count <= k_problems_kept) problems.push_back(std::move(text));
  }

  /// Adds what another thread found in its part of the packages.
  void add(const Findings& other) {
    packages_present += other.packages_present;
    problem_count += other.problem_count;
    for (const std::string& text : other.problems) {
      if (problems.size() < k_problems_kept) problems.push_back(text);
    }
  }
};

}  // namespace packages
