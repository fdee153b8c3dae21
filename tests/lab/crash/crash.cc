// Crashes at every change of a simulated disk: see case.h for what is done at
// each, history.h for what is held to be right, scheduler.h for why a seed
// repeats it all.

#include "tests/lab/crash/case.h"
#include "tests/lab/leg.h"

#include <string>
#include <vector>

namespace actable::lab {
namespace {

/// Every program of one to three steps.
std::vector<Program> all_short_programs() {
  std::vector<Program> programs;
  std::vector<std::vector<Step>> longer{{}};
  for (int length = 1; length <= 3; ++length) {
    std::vector<std::vector<Step>> shorter = std::exchange(longer, {});
    for (const auto& steps : shorter) {
      for (std::size_t step = 0; step < k_enumerated_steps; ++step) {
        longer.push_back(steps);
        longer.back().push_back(static_cast<Step>(step));
        programs.push_back({.clients = {longer.back()}});
      }
    }
  }
  return programs;
}

/// Several clients, each with steps of its own; whoever writes much makes the
/// log rotate.
Program random_program(test::Random& random, std::uint64_t steps, unsigned clients) {
  Program program;
  program.crash_one_in = 1 + steps / 25;
  program.switch_one_in = 2 + random.below(8);
  for (unsigned i = 0; i < clients; ++i) {
    auto& own = program.clients.emplace_back();
    for (std::uint64_t s = 0; s < steps / clients; ++s) {
      auto step = static_cast<Step>(random.below(k_steps));
      const bool rare = step == Step::rotate || step == Step::put_large || step == Step::round;
      if (step == Step::reopen || (rare && !random.one_in(6))) step = Step::put;
      own.push_back(step);
    }
  }
  return program;
}

void run_case(std::uint64_t seed, const std::vector<Program>& lives, Tally& tally, bool print) {
  const auto once = [&](Tally& count) {
    Case one(seed, count, print);
    for (const Program& program : lives) one.live(program);
    return one.hash();
  };
  const std::uint64_t hash = once(tally);
  // One in so many is run twice, to see that a seed says it all.
  constexpr std::uint64_t k_repeat_one_in = 50;
  if (seed % k_repeat_one_in != 0) return;
  Tally again;
  require(once(again) == hash, "the same seed took another course");
}

std::vector<Program> random_lives(std::uint64_t seed) {
  test::Random random(seed);
  const bool large = random.one_in(24);
  std::vector<Program> lives;
  const std::uint64_t count = large ? 1 : 2 + random.below(2);
  for (std::uint64_t i = 0; i < count; ++i) {
    lives.push_back(random_program(random, large ? 5'000 : 200, 1 + static_cast<unsigned>(random.below(4))));
  }
  return lives;
}

std::string crash(const LegOptions& options) {
  Tally tally;
  const std::vector<Program> programs = all_short_programs();
  const Budget budget(options, 60'000, 3'000'000);
  for (std::uint64_t i = 0; !options.replay && budget.in_time() && i < programs.size(); ++i) {
    run_case(i + 1, {programs[static_cast<std::size_t>(i)]}, tally, false);
  }
  const std::uint64_t before = tally.crashes;
  for (std::uint64_t i = 0; budget.goes_on(tally.crashes - before); ++i) {
    const std::uint64_t seed = options.seed + i;
    const bool is_short = seed >= 1 && seed <= programs.size();
    run_case(seed, is_short ? std::vector{programs[static_cast<std::size_t>(seed) - 1]} : random_lives(seed), tally,
             options.replay);
    if (options.replay) break;
  }
  return with_commas(tally.crashes) + " crashes, " + with_commas(tally.crashes_in_recovery) +
         " of them in recovery, in " + with_commas(tally.programs) + " programs of " + with_commas(tally.steps) +
         " writes, nothing lost";
}

}  // namespace
}  // namespace actable::lab

int main(int argc, char** argv) {
  return actable::lab::run_leg(argc, argv, "crash", "Crashes a simulated disk at every change of it, and recovers.",
                               actable::lab::crash);
}
