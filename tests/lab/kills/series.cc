#include "tests/lab/kills/series.h"

#include "store/access.h"
#include "tests/lab/kills/trace.h"
#include "tests/lab/leg.h"
#include "tests/support/wait.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace actable::lab::kills {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::killing::Journal;
using test::killing::Life;
using test::killing::Phase;
using test::killing::Recovered;

/// Long beyond any machine's bad day: only a hang comes to its end.
constexpr auto k_patience = 120s;

/// With so many keys in question the first ones tell enough.
constexpr std::size_t k_traces_max = 3;

}  // namespace

End Series::live_and_die(const Plan& plan) {
  const std::uint64_t number = ++lives_;
  auto next = std::make_unique<Journal>(file_of(number), true);
  std::vector<std::string> words{directory_ / "store", file_of(number), std::to_string(number),
                                 std::to_string(plan.seed), with_ring_ ? "1" : "0"};
  if (plan.point != nullptr) {
    words.emplace_back(plan.point->name);
    words.push_back(std::to_string(plan.passage));
  }
  test::Child victim(test::program_beside("lab_kills_victim"), words);
  if (plan.point != nullptr)
    await_fail_point(victim, next->life());
  else
    await_random_time(victim, next->life(), plan.work.closes);
  victim.kill();
  require(victim.wait() == -SIGKILL,
          "the process ended by itself with status " + std::to_string(victim.wait()) + ": " +
              (next->life().phase == Phase::failed ? next->life().failure.data() : "see what it printed"));
  const bool at_fail_point = next->life().at_fail_point;
  take_over(std::move(next));
  return at_fail_point ? End::at_fail_point : plan.point != nullptr ? End::at_rest : End::at_random;
}

void Series::await_fail_point(test::Child& victim, const Life& life) {
  const Phase last = Phase::wrote;
  const bool in_time = eventually(k_patience, [&] { return life.phase >= last || victim.ended(); });
  require(in_time, "the process hangs");
  // Some come only when the log is at rest, or closing.
  (void)eventually(500ms, [&] { return life.phase >= Phase::closed || victim.ended(); });
}

void Series::await_random_time(test::Child& victim, const Life& life, bool closes) {
  const auto reach = [&](Phase phase) {
    require(eventually(k_patience, [&] { return life.phase >= phase || victim.ended(); }), "the process hangs");
  };
  // When the kill comes is what is random here; nothing is waited for.
  const auto spare = [&](std::uint64_t most_us) {
    (void)eventually(std::chrono::microseconds(random_.below(most_us)), [&] { return victim.ended(); });
  };
  const std::uint64_t kind = random_.below(10);
  if (kind < 2) {
    reach(Phase::opening);
    spare(5'000);
  } else if (kind < 3) {
    reach(Phase::open);
    spare(500);
  } else if (closes) {
    reach(Phase::wrote);
    spare(kind < 7 ? 3'000 : 60'000);
  } else {
    reach(Phase::dumped);
    spare(kind < 5 ? 5'000 : 200'000);
  }
}

/// The last life is judged by what this one found, if it could say that.
void Series::take_over(std::unique_ptr<Journal> next) {
  const Life& life = next->life();
  const bool reported = life.phase >= Phase::dumped;
  if (!reported) {
    ++died_recovering_;
    // It wrote nothing. The first to recover saw what the last life left, and
    // whoever comes after it must find just that.
    if (unreported_++ == 0 && life.phase == Phase::open) first_cut_ = life.cut;
    std::filesystem::remove(file_of(lives_));
    return;
  }
  judge({.found = life.found, .cut = life.cut, .cut_max = life.cut, .last_seq = life.last_seq});
  if (last_) std::filesystem::remove(file_of(last_number_));
  last_ = std::move(next);
  last_number_ = lives_;
}

void Series::reopen(std::uint64_t seed) {
  Options options = plan_of(seed, with_ring_, nullptr, 0).options;
  options.directory = directory_ / "store";
  auto opened = store::Access::open_unchecked(options, base::posix_file_system());
  require(opened.has_value(), opened ? "" : "the store does not open: " + opened.error().message);
  Store store = std::move(*opened);
  const RecoveryStats recovery = store.stats().recovery;
  judge({.found = test::killing::dump(store),
         .cut = recovery.cut,
         .cut_max = recovery.cut,
         .last_seq = store.last_seq()});
  if (last_) std::filesystem::remove(file_of(last_number_));
  last_ = nullptr;
  const auto spaces = store.spaces();
  for (const std::string& name : history_.dropped()) {
    require(std::ranges::count(spaces, name) == 0, "the space " + name + " was dropped durably and is back");
  }
  const auto closed = store.close();
  require(closed.has_value(), closed ? "" : "the store does not close: " + closed.error().message);
}

void Series::judge(Recovered recovered) {
  if (unreported_ != 0) recovered.cut = std::exchange(first_cut_, {});
  unreported_ = 0;
  ++recovered_;
  const test::killing::Dump before = history_.base();
  const auto problems = last_ ? history_.verify(last_->life(), recovered) : history_.verify_unchanged(recovered);
  if (problems.empty()) return;
  std::string text = "a recovery is wrong:";
  std::vector<test::killing::KeyId> keys;
  for (const auto& problem : problems) {
    text += "\n" + problem.what;
    if (problem.key && std::ranges::count(keys, *problem.key) == 0) keys.push_back(*problem.key);
  }
  static const Life k_nothing_written;
  for (std::size_t i = 0; i < std::min(keys.size(), k_traces_max); ++i) {
    text += "\n" + trace(last_ ? last_->life() : k_nothing_written, keys[i], before[keys[i]], recovered);
  }
  throw Found(text);
}

}  // namespace actable::lab::kills
