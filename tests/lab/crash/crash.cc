// Crashes at every change of a simulated disk: see case.h for what is done at
// each, history.h for what is held to be right, scheduler.h for why a seed
// repeats it all.

#include "tests/lab/crash/case.h"
#include "tests/lab/last_words.h"
#include "tests/lab/leg.h"

#include <algorithm>
#include <string>
#include <vector>

namespace actable::lab {
namespace {

constexpr std::uint64_t k_middle_steps = 200;
constexpr std::uint64_t k_large_steps = 5'000;
// Of the random cases.
constexpr std::uint64_t k_large_one_in = 24;
// While there are short ones.
constexpr std::uint64_t k_short_for_a_random = 3;

// In random programs; the short ones, which are always all run, come beside them.
constexpr std::uint64_t k_usual_crashes = 60'000;
constexpr std::uint64_t k_nightly_crashes = 3'000'000;
constexpr std::uint64_t k_least_crashes = 100'000;
// A crash, and two while it is recovered from: three openings.
constexpr std::uint64_t k_least_in_a_row = 3;

// So many runs of a program come to all of its courses that count.
constexpr unsigned k_overtaking_runs = 16;

/// An erasure that is in the log before what it erases, and in a segment that a checkpoint
/// lets go of: behind it there is so much that the log's thread takes it before a round.
Program overtaking() {
  constexpr int k_enough_to_wake = 16;
  std::vector<Step> eraser{Step::sync, Step::shared_erase};
  eraser.insert(eraser.end(), k_enough_to_wake, Step::rotate);
  for (const Step step : {Step::breath, Step::checkpoint, Step::put_sync, Step::put_sync}) eraser.push_back(step);
  return {.clients = {{Step::sync, Step::shared_put}, eraser}, .switch_one_in = 2, .crash_one_in = 12};
}

/// Every program of one to three steps, and some that are known to matter.
std::vector<Program> all_short_programs() {
  std::vector<Program> programs(k_overtaking_runs, overtaking());
  std::vector<std::vector<Step>> longer{{}};
  for (int length = 1; length <= 3; ++length) {
    std::vector<std::vector<Step>> shorter = std::exchange(longer, {});
    for (const auto& steps : shorter) {
      for (std::size_t step = 0; step < k_enumerated_steps; ++step) {
        longer.push_back(steps);
        longer.back().push_back(static_cast<Step>(step));
        programs.push_back({.clients = {longer.back()}});
        if (length == 3) continue;
        programs.push_back(programs.back());
        for (const Step then : {Step::heal, Step::put_sync}) programs.back().clients.front().push_back(then);
      }
    }
  }
  return programs;
}

/// Half of the kinds of steps, so that a program holds more of each: some faults need
/// several of a few kinds, close together (Groce et al., "Swarm Testing", 2012).
std::vector<Step> some_kinds(test::Random& random) {
  std::vector<Step> kinds{Step::put};
  for (std::size_t step = 0; step < k_steps; ++step) {
    if (random.one_in(2)) kinds.push_back(static_cast<Step>(step));
  }
  return kinds;
}

/// Several clients, each with steps of its own; whoever writes much makes the
/// log rotate.
Program random_program(test::Random& random, std::uint64_t steps, unsigned clients) {
  Program program;
  program.crash_one_in = 1 + steps / 25;
  program.switch_one_in = 2 + random.below(8);
  const std::vector<Step> kinds = some_kinds(random);
  for (unsigned i = 0; i < clients; ++i) {
    auto& own = program.clients.emplace_back();
    for (std::uint64_t s = 0; s < steps / clients; ++s) {
      Step step = kinds[static_cast<std::size_t>(random.below(kinds.size()))];
      const bool rare = step == Step::rotate || step == Step::put_large || step == Step::round ||
                        step == Step::checkpoint || step == Step::backup;
      if (step == Step::heal && (clients != 1 || !random.one_in(6))) step = Step::put;
      if (step == Step::reopen || (rare && !random.one_in(6))) step = Step::put;
      own.push_back(step);
    }
  }
  return program;
}

// The seed of a short program's case: this bit, then those of the run's seed,
// then the program's number. Other cases' seeds lack the bit.
constexpr std::uint64_t k_short_flag = std::uint64_t{1} << 63;
constexpr unsigned k_program_bits = 11;

std::uint64_t short_seed(std::uint64_t seed, std::uint64_t program) {
  return k_short_flag | ((seed << k_program_bits) & ~k_short_flag) | program;
}

/// What came of the cases of each size.
struct Tallies {
  Tally short_programs;
  Tally middle;
  Tally large;

  [[nodiscard]] std::uint64_t sum(std::uint64_t Tally::*count) const {
    return short_programs.*count + middle.*count + large.*count;
  }
};

/// Runs a case, and once more: the seed must say it all.
void run_case(std::uint64_t seed, const std::vector<Program>& lives, Tally& tally, bool print) {
  const std::string replay = "replay: tests/lab/run crash --replay --seed=" + std::to_string(seed);
  LastWords last_words("crash");
  const auto once = [&](Tally& count, bool say) {
    last_words.now(replay);
    Case one(seed, count, say);
    for (const Program& program : lives) one.live(program);
    return one.hash();
  };
  const std::uint64_t hash = once(tally, print);
  Tally again;
  require(once(again, false) == hash, "the same seed took another course; " + replay);
}

void run_random(std::uint64_t seed, Tallies& tallies, bool print) {
  test::Random random(seed);
  const bool large = random.one_in(k_large_one_in);
  std::vector<Program> lives;
  const std::uint64_t count = large ? 1 : 2 + random.below(2);
  for (std::uint64_t i = 0; i < count; ++i) {
    lives.push_back(
        random_program(random, large ? k_large_steps : k_middle_steps, 1 + static_cast<unsigned>(random.below(4))));
  }
  run_case(seed, lives, large ? tallies.large : tallies.middle, print);
}

void run_short(std::uint64_t seed, const std::vector<Program>& programs, Tallies& tallies, bool print) {
  const std::uint64_t program = seed & ((std::uint64_t{1} << k_program_bits) - 1);
  require(program < programs.size(), "no case has this seed");
  run_case(seed, {programs[static_cast<std::size_t>(program)]}, tallies.short_programs, print);
}

std::string in_words(const Tally& tally, const std::string& of) {
  return with_commas(tally.crashes - tally.crashes_in_recovery) + " and " + with_commas(tally.crashes_in_recovery) +
         " in " + with_commas(tally.programs) + " of " + of + " steps";
}

std::string crash(const LegOptions& options) {
  Tallies tallies;
  const std::vector<Program> programs = all_short_programs();
  if (options.replay) {
    const bool is_short = (options.seed & k_short_flag) != 0;
    if (is_short) run_short(options.seed, programs, tallies, true);
    if (!is_short) run_random(options.seed, tallies, true);
  }
  const Budget budget(options, k_usual_crashes, k_nightly_crashes);
  const auto goes_on = [&] { return budget.goes_on(tallies.middle.crashes + tallies.large.crashes); };
  std::uint64_t next_random = options.seed;
  // In turns, so that those who stop early have seen both.
  bool more = !options.replay;
  for (std::uint64_t i = 0; more; ++i) {
    const bool is_short = i < programs.size();
    if (is_short) run_short(short_seed(options.seed, i), programs, tallies, false);
    more = is_short && budget.in_time();
    if (is_short && i % k_short_for_a_random != 0) continue;
    if (!goes_on()) continue;
    run_random(next_random++ & ~k_short_flag, tallies, false);
    more = true;
  }
  const std::uint64_t crashes = tallies.sum(&Tally::crashes);
  const std::uint64_t backups = tallies.sum(&Tally::backups);
  const std::uint64_t in_a_row = std::max(
      {tallies.short_programs.crashes_in_a_row, tallies.middle.crashes_in_a_row, tallies.large.crashes_in_a_row});
  const std::uint64_t recycled = tallies.sum(&Tally::segments_recycled);
  if (!options.replay && options.limit.count() == 0) {
    require(crashes >= k_least_crashes, "no more than " + with_commas(crashes) + " crashes");
    require(recycled != 0, "no segment was used again");
    require(backups != 0, "no backup was made");
    require(in_a_row >= k_least_in_a_row, "a recovery was crashed no more than once");
  }
  return with_commas(crashes) +
         " crashes, first ones and such in recovery: " + in_words(tallies.short_programs, "few") + ", " +
         in_words(tallies.middle, with_commas(k_middle_steps)) + ", " +
         in_words(tallies.large, with_commas(k_large_steps)) + ", at most " + std::to_string(in_a_row) + " in a row; " +
         with_commas(tallies.sum(&Tally::steps)) + " writes, " + with_commas(recycled) + " segments recycled, " +
         with_commas(backups) + " backups opened, nothing lost, each case the same twice";
}

}  // namespace
}  // namespace actable::lab

int main(int argc, char** argv) {
  return actable::lab::run_leg(argc, argv, "crash", "Crashes a simulated disk at every change of it, and recovers.",
                               actable::lab::crash);
}
