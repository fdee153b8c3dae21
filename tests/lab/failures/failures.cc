// The n-th call to the disk and the n-th allocation fail: see life.h for what
// the store is held to, seam.h and allocations.h for what can fail, sites.h and
// source_calls.h for what must have been hit.

#include "tests/lab/failures/case.h"
#include "tests/lab/failures/source_calls.h"
#include "tests/lab/leg.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <malloc.h>

namespace actable::lab {
namespace {

// A case's seed says which it is: that of its script's run in the high bits,
// below them the case's number, from 1.
constexpr unsigned k_case_bits = 20;
// Each seed is another interleaving with the log's thread. The usual amount does
// one, in all its cases.
constexpr std::uint64_t k_seeds_usual = 1;
constexpr std::uint64_t k_seeds_nightly = 40;
// The usual amount fails every call to the disk in each way. Of the cases in which all that
// follow fail too, and of the allocations, it takes one in so many: which ones is the seed's.
constexpr std::uint64_t k_one_in_usual = 10;

/// Everything that can fail in a run of the script, in each of its ways.
std::vector<Failing> all_cases(const Came& count) {
  std::vector<Failing> cases;
  for (std::uint64_t nth = 1; nth <= count.calls.size(); ++nth) {
    for (const Fault fault : faults_of(count.calls[nth - 1].operation)) {
      for (const bool for_good : {false, true}) cases.push_back({.call = {nth, fault, for_good}});
    }
  }
  for (std::uint64_t nth = 1; nth <= count.allocations; ++nth) {
    for (const bool for_good : {false, true}) cases.push_back({.allocation = nth, .allocation_for_good = for_good});
  }
  return cases;
}

struct Tally {
  std::uint64_t calls = 0;
  std::uint64_t allocations = 0;
  std::uint64_t cases = 0;
  std::uint64_t recoveries = 0;
  std::vector<std::uint64_t> hits = std::vector<std::uint64_t>(all_sites().size());

  void add(const Came& came) {
    for (const auto site : came.failed) {
      if (site) ++hits[*site];
    }
    calls += came.failed.size();
    allocations += came.allocations_failed;
    recoveries += came.recoveries;
    ++cases;
  }
};

void run_one(std::uint64_t seed, std::uint64_t number, const std::vector<Failing>& cases, Tally& tally, bool print) {
  const std::uint64_t repeat = seed << k_case_bits | number;
  const std::string replay = "replay: tests/lab/run failures --replay --seed=" + std::to_string(repeat);
  const Failing& failing = cases[static_cast<std::size_t>(number) - 1];
  const std::string what = describe(failing) + "\n" + replay;
  const std::int64_t before = test::allocations::live();
  {
    const Came came = run_case(seed, failing, replay, print);
    require(!came.failed.empty() || came.allocations_failed != 0, "nothing failed: " + what);
    tally.add(came);
  }
  const std::int64_t kept = test::allocations::live() - before;
  require(kept == 0, std::to_string(kept) + " blocks of memory were not given back: " + what);
}

/// False for a case that the seed leaves out.
bool chosen(const Failing& failing, std::uint64_t seed, std::uint64_t one_in) {
  if (failing.allocation != 0) return (failing.allocation + seed) % one_in == 0;
  return !failing.call.for_good ||
         (failing.call.nth + static_cast<std::uint64_t>(failing.call.fault) + seed) % one_in == 0;
}

/// The cases of one seed.
void run_all(std::uint64_t seed, std::uint64_t one_in, const Budget& budget, Tally& tally) {
  const std::vector<Failing> cases = all_cases(run_case(seed, {}, "nothing was to fail", false));
  for (std::uint64_t number = 1; number <= cases.size() && budget.goes_on(0); ++number) {
    if (!chosen(cases[static_cast<std::size_t>(number) - 1], seed, one_in)) continue;
    run_one(seed, number, cases, tally, false);
  }
}

/// Each site was made to fail.
void check_sites(const Tally& tally) {
  std::string missed;
  for (std::size_t i = 0; i < tally.hits.size(); ++i) {
    if (tally.hits[i] == 0) missed.append("\n  ").append(all_sites()[i]);
  }
  require(missed.empty(), "call sites that were never made to fail:" + missed);
}

std::string replay(std::uint64_t options_seed) {
  const std::uint64_t seed = options_seed >> k_case_bits;
  const std::uint64_t number = options_seed & ((std::uint64_t{1} << k_case_bits) - 1);
  const std::vector<Failing> cases = all_cases(run_case(seed, {}, "nothing was to fail", false));
  require(number >= 1 && number <= cases.size(), "--replay wants the seed of a case, as it was printed");
  Tally tally;
  run_one(seed, number, cases, tally, true);
  return describe(cases[static_cast<std::size_t>(number) - 1]) + ", nothing lost";
}

std::string failures(const LegOptions& options) {
  if (options.replay) return replay(options.seed);
  const std::size_t lines = check_source_calls(ACTABLE_SOURCE_DIR);
  // So that a case's number finds room beside it.
  const std::uint64_t first = options.seed & 0xffff'ffff;
  Tally tally;
  const Budget budget(options, k_seeds_usual, k_seeds_nightly);
  const std::uint64_t one_in = options.amount == Amount::usual ? k_one_in_usual : 1;
  for (std::uint64_t seed = 0; budget.goes_on(seed); ++seed) run_all(first + seed, one_in, budget, tally);
  const bool cut_short = options.limit.count() != 0 && budget.elapsed() >= options.limit;
  if (!cut_short) check_sites(tally);
  return with_commas(tally.cases) + " runs, " + with_commas(tally.calls) + " failed calls from " +
         (cut_short ? "some" : "all") + " of " + std::to_string(all_sites().size()) + " sites in " +
         std::to_string(lines) + " lines, " + with_commas(tally.allocations) + " failed allocations, " +
         with_commas(tally.recoveries) + " reopenings judged, nothing lost";
}

}  // namespace
}  // namespace actable::lab

int main(int argc, char** argv) {
  // Images of disks come and go by the thousand: not by way of the system each time.
  (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
  (void)mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  return actable::lab::run_leg(argc, argv, "failures", "Fails each call to the disk and each allocation in turn.",
                               actable::lab::failures);
}
