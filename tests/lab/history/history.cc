#include "tests/lab/history/case.h"
#include "tests/lab/history/known.h"
#include "tests/lab/leg.h"

#include <string>

/// Clients on a few hot keys, crashes in between: everything that they were
/// told must have one explanation.
namespace actable::lab::history {

namespace {

/// Enough for the amount that continuous integration is to check; some forty
/// seconds of two cores that do nothing else.
constexpr std::uint64_t k_operations_usual = 1'048'576;

[[nodiscard]] std::string check_histories(const LegOptions& options) {
  const std::uint64_t known = check_the_checker(options.seed);
  Tally tally;
  const Budget budget(options, k_operations_usual, 50 * k_operations_usual);
  for (std::uint64_t seed = options.seed; budget.goes_on(tally.operations); ++seed) {
    try {
      run_case(seed, tally, options.replay);
    } catch (const Found& found) {
      throw Found(std::string(found.what()) +
                  "\nreplay: tests/lab/run history --replay --seed=" + std::to_string(seed) +
                  " (threads are real: it repeats what they set out to do, and prints what came of it)");
    }
  }
  constexpr std::uint64_t k_lives_without_growth = 20;
  require(tally.segments_replaced > 0 || tally.lives < k_lives_without_growth,
          "no table grew: this leg did not look where it should");
  require(tally.checkpoints > 0 || tally.lives < k_lives_without_growth, "no checkpoint was written");
  return with_commas(tally.operations) + " operations in " + with_commas(tally.lives) + " lives checked, " +
         with_commas(tally.crashes) + " crashes that lost " + with_commas(tally.lost) + " writes, " +
         with_commas(tally.promises) + " promises of durability kept, " + with_commas(tally.checkpoints) +
         " checkpoints written, " + with_commas(tally.segments_replaced) + " table segments replaced, at most " +
         with_commas(tally.widest) + " ways kept in mind, checker right on " + with_commas(known) + " known histories";
}

}  // namespace

}  // namespace actable::lab::history

int main(int argc, char** argv) {
  return actable::lab::run_leg(argc, argv, "history",
                               "Checks histories of eight clients on hot keys, with crashes in between, for "
                               "linearizability and for what was promised.",
                               actable::lab::history::check_histories);
}
