#pragma once

#include <chrono>

/// The wall clock as this process sees it. It alone: the program has its own
/// `clock_gettime`, `gettimeofday` and `time`, which the libraries call too.
namespace actable::lab::environment {

/// Sets the wall clock forward or back, compared to the true one. The steady
/// clocks go on as they were.
void set_wall_clock_off(std::chrono::seconds by) noexcept;

}  // namespace actable::lab::environment
