#include "examples/packages/format.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>

namespace packages {

namespace {

/// Three significant figures for numbers below 1,000.
std::string three_figures(double number) {
  const int decimals = number < 10 ? 2 : number < 100 ? 1 : 0;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, number);
  return text.data();
}

double per_second(std::uint64_t count, std::chrono::nanoseconds duration) {
  const double seconds = std::max(std::chrono::duration<double>(duration).count(), 1e-9);
  return static_cast<double>(count) / seconds;
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string megabytes(std::uint64_t bytes) { return three_figures(static_cast<double>(bytes) / 1e6) + " MB"; }

std::string duration_text(std::chrono::nanoseconds duration) {
  struct Unit {
    double nanoseconds;
    const char* name;
  };
  constexpr std::array<Unit, 3> k_units{{{1e9, " s"}, {1e6, " ms"}, {1e3, " us"}}};
  const auto nanoseconds = static_cast<double>(duration.count());
  for (const Unit& unit : k_units) {
    if (nanoseconds >= unit.nanoseconds) return three_figures(nanoseconds / unit.nanoseconds) + unit.name;
  }
  return std::to_string(duration.count()) + " ns";
}

std::string rate(std::uint64_t count, std::chrono::nanoseconds duration, const char* what) {
  return grouped(static_cast<std::uint64_t>(per_second(count, duration))) + " " + what + "/s";
}

std::string bandwidth(std::uint64_t bytes, std::chrono::nanoseconds duration) {
  return three_figures(per_second(bytes, duration) / 1e6) + " MB/s";
}

}  // namespace packages
