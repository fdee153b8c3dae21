// Kills of real processes, on the real file system: see series.h for what is
// done with one directory, plan.h for how a life is lived, points.h for the
// places at which lives end, tests/store/kill_history.h for what is held to be
// right.

#include "tests/lab/kills/plan.h"
#include "tests/lab/kills/points.h"
#include "tests/lab/kills/series.h"
#include "tests/lab/leg.h"
#include "tests/store/vocabulary.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <string>
#include <string_view>

namespace actable::lab::kills {
namespace {

/// Lives of one directory: its log is never cut short, so that recovery takes
/// longer with each.
constexpr unsigned k_lives_max = 48;

/// A point is tried so often before the leg says that nobody comes to it.
constexpr unsigned k_tries_max = 24;

/// Points by turns, so that each has its dead. A point that was missed is tried
/// again at once, at its first passage.
///
/// Thread safety: *confined*.
class Turns {
 public:
  struct Turn {
    const FailPoint* point;
    bool again;
  };

  [[nodiscard]] Turn next() {
    if (missed_ != nullptr) return {missed_, true};
    const auto points = fail_points();
    while (points[at_ % points.size()].when == When::creating) ++at_;
    return {&points[at_++ % points.size()], false};
  }

  void ended(const FailPoint& point, bool reached) {
    missed_ = reached ? nullptr : &point;
    tries_ = reached ? 0 : tries_ + 1;
    require(tries_ < k_tries_max, "no life came to the fail point " + std::string(point.name));
  }

 private:
  const FailPoint* missed_ = nullptr;
  unsigned tries_ = 0;
  std::size_t at_ = 0;
};

/// Thread safety: *confined*.
struct Tally {
  std::map<std::string_view, std::uint64_t> at_point{};
  std::uint64_t at_random = 0;
  std::uint64_t at_points = 0;
  std::uint64_t at_rest = 0;
  std::uint64_t stores = 0;
  std::uint64_t kept = 0;
  std::uint64_t lost = 0;
  std::uint64_t recovered = 0;
  std::uint64_t died_recovering = 0;

  [[nodiscard]] std::uint64_t kills() const { return at_random + at_points + at_rest; }
};

/// Thread safety: *confined*.
class Leg {
 public:
  explicit Leg(const LegOptions& options)
      : options_(options),
        random_(options.seed),
        with_ring_(std::ranges::count(test::every_log_io(), LogIo::io_uring) != 0) {}

  std::string run() {
    LegOptions amount = options_;
    amount.replay = false;  // The plan is that of the whole run.
    const Budget budget(amount, 320, 5'000);
    while (budget.goes_on(tally_.kills())) {
      Series series(random_(), with_ring_);
      ++tally_.stores;
      try {
        use(series, budget);
      } catch (const Found& found) {
        throw Found(evidence(series, found.what()));
      }
      tally_.kept += series.history().kept();
      tally_.lost += series.history().lost();
      tally_.recovered += series.recovered();
      tally_.died_recovering += series.died_recovering();
    }
    if (options_.limit.count() == 0) require_coverage();
    return summary();
  }

 private:
  void use(Series& series, const Budget& budget) {
    for (const FailPoint& point : fail_points()) {
      if (point.when == When::creating) (void)live(series, &point, 1);
    }
    for (unsigned life = 0; life < k_lives_max && budget.goes_on(tally_.kills()); ++life) {
      if (random_.below(5) < 2) {
        (void)live(series, nullptr, 0);
      } else {
        const auto [point, again] = turns_.next();
        if (!point->behind.empty()) (void)live(series, fail_point(point->behind), 1);
        const auto passage = again ? 1 : 1 + static_cast<unsigned>(random_.skewed(point->passages_max - 1));
        turns_.ended(*point, live(series, point, passage) == End::at_fail_point);
      }
      if (random_.one_in(6)) series.reopen(random_());
    }
    // Twice: the second opens what was closed.
    series.reopen(random_());
    series.reopen(random_());
  }

  End live(Series& series, const FailPoint* point, unsigned passage) {
    plan_ = plan_of(random_(), with_ring_, point, passage);
    if (options_.replay) {
      std::printf("store %llu, life %llu: %s\n", static_cast<unsigned long long>(tally_.stores),
                  static_cast<unsigned long long>(tally_.kills() + 1), to_text(plan_).c_str());
    }
    const End end = series.live_and_die(plan_);
    switch (end) {
      case End::at_fail_point:
        ++tally_.at_points;
        ++tally_.at_point[point->name];
        break;
      case End::at_random:
        ++tally_.at_random;
        break;
      case End::at_rest:
        ++tally_.at_rest;
        break;
    }
    return end;
  }

  void require_coverage() const {
    for (const FailPoint& point : fail_points()) {
      require(tally_.at_point.contains(point.name), "nobody was killed at the fail point " + std::string(point.name));
    }
  }

  [[nodiscard]] std::string evidence(const Series& series, const std::string& what) const {
    const auto kept = std::filesystem::temp_directory_path() / ("actable-kills-" + std::to_string(options_.seed));
    std::filesystem::remove_all(kept);
    series.keep_as(kept);
    return what + "\nThis was found behind kill " + std::to_string(tally_.kills() + 1) +
           ". The last life began with: " + to_text(plan_) + ".\nStore and journals are kept in " + kept.string() +
           ".\nA real kill is not deterministic: the seed repeats the lives and their options, and not the moments "
           "at which they end. --replay prints them.";
  }

  [[nodiscard]] std::string summary() const {
    return with_commas(tally_.kills()) + " kills of " + with_commas(tally_.stores) + " stores, " +
           with_commas(tally_.at_random) + " at random times, " + with_commas(tally_.at_points) + " at " +
           with_commas(tally_.at_point.size()) + " fail points and " + with_commas(tally_.at_rest) + " at rest, " +
           with_commas(tally_.died_recovering) + " of all while recovering; " + with_commas(tally_.kept + tally_.lost) +
           " writes judged, " + with_commas(tally_.lost) + " of them asynchronous and lost, " +
           with_commas(tally_.recovered) + " recoveries right" + (with_ring_ ? "" : ", without io_uring");
  }

  const LegOptions options_;
  test::Random random_;
  const bool with_ring_;
  Turns turns_;
  Tally tally_;
  Plan plan_{};
};

}  // namespace
}  // namespace actable::lab::kills

int main(int argc, char** argv) {
  using namespace actable::lab;
  return run_leg(argc, argv, "kills",
                 "Kills real processes at any time and at named places, and reopens what they left.",
                 [](const LegOptions& options) { return kills::Leg(options).run(); });
}
