#include "examples/packages/progress.h"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <utility>

namespace packages {

namespace {
constexpr unsigned k_bar_width = 40;
constexpr std::chrono::milliseconds k_refresh_ms{40};
}  // namespace

Progress::Progress(std::string title, std::uint64_t total)
    : title_(std::move(title)), total_(total), terminal_(::isatty(STDOUT_FILENO) == 1) {
  display_ = std::jthread([this](const std::stop_token& stop) { show_until(stop); });
}

Progress::~Progress() { finish(); }

void Progress::finish() {
  if (!display_.joinable()) return;
  display_.request_stop();
  display_.join();
  show();
  if (terminal_) std::printf("\n");
}

void Progress::show_until(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    show();
    std::this_thread::sleep_for(k_refresh_ms);
  }
}

void Progress::show() {
  // relaxed: a moment late is good enough for a display.
  const std::uint64_t done = done_.load(std::memory_order_relaxed);
  const auto percent = total_ == 0 ? 100U : static_cast<unsigned>(done * 100 / total_);
  if (terminal_) {
    show_bar(percent);
  } else {
    show_quarters(percent);
  }
  std::fflush(stdout);
}

void Progress::show_bar(unsigned percent) {
  const std::size_t filled = std::size_t{k_bar_width} * percent / 100;
  const std::string bar = std::string(filled, '#') + std::string(k_bar_width - filled, '.');
  std::printf("\r%s [%s] %3u %%", title_.c_str(), bar.c_str(), percent);
}

void Progress::show_quarters(unsigned percent) {
  while (quarters_shown_ < percent / 25) {
    ++quarters_shown_;
    std::printf("%s: %u %%\n", title_.c_str(), quarters_shown_ * 25);
  }
}

}  // namespace packages
