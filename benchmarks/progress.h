#pragma once

#include <string>

namespace bench {

/// One line on the terminal that is written over and over. Where standard error
/// is not a terminal nothing is written.
///
/// Thread safety: *confined*.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const std::string& text);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
};

}  // namespace bench
