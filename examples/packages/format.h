#pragma once

#include <chrono>
#include <cstdint>
#include <string>

/// Numbers as people read them.
namespace packages {

using Clock = std::chrono::steady_clock;

/// 63987 as "63,987".
[[nodiscard]] std::string grouped(std::uint64_t number);

/// "50.1 MB", in powers of ten.
[[nodiscard]] std::string megabytes(std::uint64_t bytes);

/// Three figures and a unit from ns to s: "1.23 s", "45.6 ms".
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);

/// "206,000 records/s", from a count and the time it took.
[[nodiscard]] std::string rate(std::uint64_t count, std::chrono::nanoseconds duration, const char* what);

/// "161 MB/s".
[[nodiscard]] std::string bandwidth(std::uint64_t bytes, std::chrono::nanoseconds duration);

}  // namespace packages
