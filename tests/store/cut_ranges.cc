#include "tests/store/cut_ranges.h"

#include <algorithm>

namespace actable::test {

void CutRanges::add(Range range) {
  if (range.after >= range.up_to) return;
  ranges_.push_back(range);
  std::ranges::sort(ranges_, {}, &Range::after);
  std::vector<Range> joined;
  for (const Range& next : ranges_) {
    if (joined.empty() || joined.back().up_to < next.after)
      joined.push_back(next);
    else
      joined.back().up_to = std::max(joined.back().up_to, next.up_to);
  }
  ranges_ = std::move(joined);
}

CutRanges CutRanges::common_with(const CutRanges& other) const {
  CutRanges common;
  for (std::size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const Range& a = ranges_[i];
    const Range& b = other.ranges_[j];
    const Range both{std::max(a.after, b.after), std::min(a.up_to, b.up_to)};
    if (both.after < both.up_to) common.ranges_.push_back(both);
    if (a.up_to < b.up_to)
      ++i;
    else
      ++j;
  }
  return common;
}

bool CutRanges::contains(Seq cut) const {
  return std::ranges::any_of(ranges_, [&](const Range& r) { return r.after < cut && cut <= r.up_to; });
}

std::string CutRanges::text() const {
  std::string all;
  for (const Range& r : ranges_) all += " (" + std::to_string(r.after) + ", " + std::to_string(r.up_to) + "]";
  return all.empty() ? " none" : all;
}

}  // namespace actable::test
