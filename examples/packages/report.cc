#include "examples/packages/report.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>

namespace packages {

void Report::add(std::string what, std::string result) {
  std::printf("  %s: %s\n", what.c_str(), result.c_str());
  std::fflush(stdout);
  lines_.emplace_back(std::move(what), std::move(result));
}

void Report::print() const {
  std::size_t width = 0;
  for (const auto& [what, result] : lines_) width = std::max(width, what.size());
  for (const auto& [what, result] : lines_) {
    std::printf("  %-*s  %s\n", static_cast<int>(width), what.c_str(), result.c_str());
  }
}

}  // namespace packages
