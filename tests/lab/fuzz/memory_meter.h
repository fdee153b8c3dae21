#pragma once

#include <cstddef>

namespace actable::lab::fuzz {

/// The most memory that was held at once since it was made, beyond what was
/// held then. Counts all threads.
///
/// Thread safety: *confined*; one at a time.
class MemoryMeter {
 public:
  MemoryMeter() noexcept;

  [[nodiscard]] std::size_t peak() const noexcept;

  /// Ends the process when the peak is above `base` and `factor` times the
  /// `input_bytes`.
  void expect_within(std::size_t input_bytes, std::size_t factor, std::size_t base) const;
};

}  // namespace actable::lab::fuzz
