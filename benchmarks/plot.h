#pragma once

#include "benchmarks/report.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// The program that draws.
inline constexpr std::string_view k_gnuplot = "gnuplot";

/// What gnuplot is to do: bars of the rates, benchmark by benchmark, and below
/// them a curve of latency for each benchmark on each engine. What did no
/// operations is left out.
[[nodiscard]] std::string plot_script(const std::vector<Summary>& summaries, const std::filesystem::path& file);

/// Draws it. Throws `Failure` where gnuplot does not; it has said why by then.
void draw_plot(const std::vector<Summary>& summaries, const std::filesystem::path& file);

}  // namespace bench
