#include "examples/packages/read_back.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "examples/packages/format.h"
#include "examples/packages/progress.h"
#include "examples/packages/threads.h"

namespace packages {

using actable::Result;

namespace {

/// Times that each thread reads everything: enough for a p99 that repeats.
constexpr unsigned k_passes = 4;
/// Reads between two notices to the progress display.
constexpr std::size_t k_notice = 1024;

struct Reader {
  const actable::Space& space;
  std::span<const Package> packages;
  Progress& progress;

  Result<void> check(const Package& package, std::string& value) const {
    const Result<bool> found = space.get(package.key, value);
    if (!found) return std::unexpected(found.error());
    if (*found && value == package.stanza) return {};
    return actable::fail(actable::ErrorCode::corrupt,
                         "package " + package.key +
                             (*found ? " came back with other bytes than" : " is missing, though it") +
                             " was loaded: this is a bug in the store");
  }

  /// Appends how long each read and its comparison took.
  Result<void> run(std::uint64_t seed, std::vector<std::chrono::nanoseconds>& durations) const {
    std::vector<std::uint32_t> order(packages.size());
    std::iota(order.begin(), order.end(), 0U);
    std::mt19937_64 random(seed);
    std::string value;
    for (unsigned pass = 0; pass < k_passes; ++pass) {
      std::ranges::shuffle(order, random);
      for (std::size_t i = 0; i < order.size(); ++i) {
        const auto begin = Clock::now();
        const Result<void> checked = check(packages[order[i]], value);
        durations.push_back(Clock::now() - begin);
        if (!checked) return checked;
        if ((i + 1) % k_notice == 0) progress.advance(k_notice);
      }
      progress.advance(order.size() % k_notice);
    }
    return {};
  }
};

}  // namespace

Result<void> read_back(const actable::Space& space, const PackageIndex& index, std::uint64_t seed, Report& report) {
  const unsigned threads = worker_threads();
  const std::size_t reads = std::size_t{threads} * k_passes * index.packages().size();
  std::vector<std::vector<std::chrono::nanoseconds>> durations(threads);
  for (auto& own : durations) own.reserve(reads / threads);

  Progress progress("reading", reads);
  const Reader reader{space, index.packages(), progress};
  const auto begin = Clock::now();
  const Result<void> read = in_threads(threads, [&](unsigned t) { return reader.run(seed + t, durations[t]); });
  const auto took = Clock::now() - begin;
  if (!read) return read;
  progress.finish();

  std::vector<std::chrono::nanoseconds> all;
  for (const auto& own : durations) all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all);
  report.add("read back", grouped(reads) + " reads in random order, every byte compared, in " + duration_text(took) +
                              ": " + rate(reads, took, "reads"));
  report.add("a read with its comparison",
             "p50 " + duration_text(all[all.size() / 2]) + ", p99 " + duration_text(all[all.size() * 99 / 100]));
  return {};
}

}  // namespace packages
