#pragma once

#include <actable/options.h>

#include <string>
#include <vector>

namespace actable::test {

/// The cuts that would explain what recovery left: a set of numbers, kept as
/// ranges that do not touch.
///
/// Thread safety: *confined* to one thread.
class CutRanges {
 public:
  /// Numbers above `after`, up to and with `up_to`.
  struct Range {
    Seq after = 0;
    Seq up_to = ~Seq{0};
  };

  CutRanges() = default;
  explicit CutRanges(Range only) { add(only); }

  void add(Range range);
  [[nodiscard]] CutRanges common_with(const CutRanges& other) const;
  [[nodiscard]] bool contains(Seq cut) const;
  [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
  /// The highest; the set must not be empty.
  [[nodiscard]] Seq highest() const { return ranges_.back().up_to; }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Range> ranges_;  // ascending
};

}  // namespace actable::test
