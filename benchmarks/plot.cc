#include "benchmarks/plot.h"

#include "benchmarks/engine.h"
#include "benchmarks/json.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bench {

namespace {

constexpr unsigned k_width = 1'000;
constexpr unsigned k_height = 1'100;

/// In gnuplot's single quotes nothing is special but the quote.
std::string gnuplot_text(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

std::vector<std::string_view> distinct(const std::vector<Summary>& summaries, std::string_view Summary::*name) {
  std::vector<std::string_view> names;
  for (const Summary& summary : summaries) {
    if (std::ranges::find(names, summary.*name) == names.end()) names.push_back(summary.*name);
  }
  return names;
}

/// A line a benchmark, a column an engine, "-" where it did not run.
std::string rates_block(const std::vector<Summary>& summaries) {
  const auto engines = distinct(summaries, &Summary::engine);
  std::string block = "$rates << END\nbenchmark";
  for (const std::string_view engine : engines) block += " " + std::string(engine);
  for (const std::string_view benchmark : distinct(summaries, &Summary::benchmark)) {
    block += "\n" + std::string(benchmark);
    for (const std::string_view engine : engines) {
      const auto found = std::ranges::find_if(summaries, [&](const Summary& summary) {
        return summary.benchmark == benchmark && summary.engine == engine;
      });
      block += " " + (found == summaries.end() ? "-" : number_text(found->ops_per_s_median));
    }
  }
  return block + "\nEND\n";
}

/// Each part of all operations as the number of nines it has: the slow ones,
/// which matter, get as much room as the others.
std::string curve_block(const std::string& name, const LatencyCurve& curve) {
  std::string block = name + " << END\n";
  for (std::size_t i = 0; i < curve.size(); ++i) {
    if (curve[i] <= 0) continue;  // no logarithm
    block += number_text(-std::log10(1 - k_curve_fractions[i])) + " " + number_text(curve[i]) + "\n";
  }
  return block + "END\n";
}

std::string bars(const std::vector<Summary>& summaries) {
  return rates_block(summaries) +
         "set title 'Rates'\n"
         "set style data histograms\n"
         "set style histogram clustered gap 1\n"
         "set style fill solid 0.8 noborder\n"
         "set ylabel 'operations a second'\n"
         "set yrange [0:*]\n"
         "set format y '%.0s %c'\n"
         "set xtics rotate by -25\n"
         "set grid y\n"
         "set key outside right noenhanced\n"
         "plot for [i=2:" +
         std::to_string(distinct(summaries, &Summary::engine).size() + 1) +
         "] $rates using i:xtic(1) title columnheader(i)\n";
}

/// A colour for the benchmark and dashes for the engine, so that neither comes
/// twice where the other is the same. gnuplot counts both from 1.
std::string line_style(const std::vector<Summary>& summaries, const Summary& summary) {
  const auto benchmarks = distinct(summaries, &Summary::benchmark), engines = distinct(summaries, &Summary::engine);
  const auto place = [](const std::vector<std::string_view>& names, std::string_view name) {
    return std::to_string(std::ranges::find(names, name) - names.begin() + 1);
  };
  return "linewidth 2 linecolor " + place(benchmarks, summary.benchmark) + " dashtype " +
         place(engines, summary.engine);
}

std::string curves(const std::vector<Summary>& summaries) {
  std::string blocks, plot;
  for (const Summary& summary : summaries) {
    const auto timed = [](double ns) { return ns > 0; };
    if (std::ranges::none_of(summary.curve_ns_median, timed)) continue;
    const std::string name = "$curve" + std::to_string(&summary - summaries.data());
    blocks += curve_block(name, summary.curve_ns_median);
    plot += (plot.empty() ? "plot " : ", ") + name + " using 1:2 with lines " + line_style(summaries, summary) +
            " title " + gnuplot_text(std::string(summary.benchmark) + ", " + std::string(summary.engine));
  }
  if (plot.empty()) return {};
  return blocks +
         "set title 'Latencies'\n"
         "set xlabel 'part of all operations that took no longer'\n"
         "set ylabel 'nanoseconds'\n"
         "set logscale y\n"
         "set yrange [*:*]\n"
         "set xrange [0:5]\n"
         // The labels are formats.
         "set xtics norotate ('0' 0, '50 %%' 0.30103, '90 %%' 1, '99 %%' 2, '99.9 %%' 3, '99.99 %%' 4, '99.999 %%' 5)\n"
         "set grid x y\n" +
         plot + "\n";
}

}  // namespace

std::string plot_script(const std::vector<Summary>& summaries, const std::filesystem::path& file) {
  std::vector<Summary> shown = summaries;
  std::erase_if(shown, [](const Summary& summary) { return summary.ops_per_s_median <= 0; });
  std::string script = "set terminal svg size " + std::to_string(k_width) + "," + std::to_string(k_height) +
                       " background 'white'\nset output " + gnuplot_text(file.string()) +
                       "\nset datafile missing '-'\n";
  if (shown.empty()) return script + "set title 'nothing was measured'\nset xrange [0:1]\nset yrange [0:1]\nplot 1/0\n";
  return script + "set multiplot layout 2,1\n" + bars(shown) + curves(shown) + "unset multiplot\n";
}

void draw_plot(const std::vector<Summary>& summaries, const std::filesystem::path& file) {
  const std::string script = plot_script(summaries, file);
  FILE* gnuplot = ::popen((std::string(k_gnuplot) + " -").c_str(), "we");
  if (gnuplot == nullptr) throw Failure("cannot start gnuplot");
  const bool written = std::fwrite(script.data(), 1, script.size(), gnuplot) == script.size();
  if (const int status = ::pclose(gnuplot); status != 0 || !written) {
    throw Failure("gnuplot could not draw " + file.string() + "; what it said is above");
  }
}

}  // namespace bench
