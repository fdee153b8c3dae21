#pragma once

#include <string>
#include <utility>
#include <vector>

namespace packages {

/// The table at the end of a run.
///
/// Thread safety: *confined* to the main thread.
class Report {
 public:
  /// Prints the line at once, and keeps it for the table.
  void add(std::string what, std::string result);

  /// All lines, aligned.
  void print() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace packages
