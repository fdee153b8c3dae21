#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>

namespace packages {

/// Shows how far a phase has come: a bar on a terminal, in a pipe a plain line
/// at each quarter. Ends at the latest when it is destroyed.
///
/// Thread safety: `advance` is *synchronized*; the rest *confined* to the owner.
class Progress {
 public:
  Progress(std::string title, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t count) {
    // relaxed: only the display reads it.
    done_.fetch_add(count, std::memory_order_relaxed);
  }

  /// Shows the last state and stops; the line below it is free again.
  void finish();

 private:
  void show_until(const std::stop_token& stop);
  void show();
  void show_bar(unsigned percent);
  void show_quarters(unsigned percent);

  const std::string title_;
  const std::uint64_t total_;
  const bool terminal_;
  unsigned quarters_shown_ = 0;
  std::atomic<std::uint64_t> done_{0};
  std::jthread display_;
};

}  // namespace packages
