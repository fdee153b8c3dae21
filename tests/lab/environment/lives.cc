#include "tests/lab/environment/lives.h"

#include "tests/store/vocabulary.h"

#include <algorithm>
#include <utility>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;
using test::killing::Journal;
using test::killing::Life;
using test::killing::Phase;

constexpr auto k_patience = 120s * test::k_slowness;
constexpr unsigned k_writes_max = 1'500;
constexpr unsigned k_writes_last = 200;

bool waits_for_its_end(const Life& life) {
  const Phase phase = life.phase.load();
  return phase == Phase::closed || phase == Phase::failed;
}

}  // namespace

LifePlan random_life(test::Random& random) {
  LifePlan plan;
  plan.work.seed = random();
  plan.work.threads = static_cast<unsigned>(1 + random.below(6));
  plan.work.writes = static_cast<unsigned>(test::scaled(100 + random.below(k_writes_max)));
  plan.work.synchronous_one_in = static_cast<unsigned>(20 + random.below(80));
  if (random.one_in(2)) plan.work.checkpoint_one_in = static_cast<unsigned>(50 + random.below(400));
  plan.work.closes = random.one_in(2);
  plan.options = test::small_store({});
  plan.options.segment_bytes = std::uint64_t{1} << 20;
  plan.options.log_io = random.one_in(2) ? LogIo::pwrite : LogIo::automatic;
  plan.options.write_interval = std::chrono::milliseconds(1 + random.below(10));
  plan.options.sync_interval = plan.options.write_interval + std::chrono::milliseconds(random.below(40));
  plan.options.write_deadline = 60s;  // Only a hang may use it up.
  if (!plan.work.closes) plan.killed_after = std::chrono::microseconds(random.skewed(200'000));
  return plan;
}

void Lives::live(LifePlan plan) {
  ++number_;
  auto next = std::make_unique<Journal>(scenario_.fresh_directory().string() + "-journal", true);
  Life& life = next->life();
  plan.options.directory = directory_;
  errors_->store(0);
  if (plan.work.expects) {
    plan.work.expects = [this, expects = plan.work.expects](const Error& error) {
      if (!expects(error)) return false;
      errors_->fetch_add(1);
      return true;
    };
  }
  scenario_.say("life " + std::to_string(number_) + ": " + std::to_string(plan.work.threads) + " threads, " +
                std::to_string(plan.work.writes) + " writes each");
  Process process([&] {
    plan.before_open();
    test::killing::live(life, number_, plan.work, [&] {
      auto store = Store::open(plan.options);
      if (store) plan.opened(*store);
      return store;
    });
    return 0;
  });
  const auto began_at = std::chrono::steady_clock::now();
  std::optional<std::chrono::steady_clock::time_point> dumped_at;
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    const Phase phase = life.phase.load();
    if (phase >= Phase::dumped && !dumped_at) dumped_at = now;
    if (plan.killed_after && dumped_at && now - *dumped_at >= *plan.killed_after) break;
    if (waits_for_its_end(life) || (phase == Phase::wrote && !plan.work.closes)) break;
    require(now - began_at < k_patience, "a life hangs");
    plan.meanwhile(process);
    if (const auto status = process.wait(1ms)) {
      if (life.phase.load() != Phase::failed) throw Found("a life ended by itself with " + std::to_string(*status));
    }
  }
  process.signal(SIGCONT);
  process.kill();
  require(life.phase.load() != Phase::failed, std::string("a life failed: ") + life.failure.data());
  scenario_.lived();
  judge({.found = life.found, .cut = life.cut, .cut_max = life.cut, .last_seq = life.last_seq});
  last_ = std::move(next);
}

void Lives::judge(test::killing::Recovered recovered) {
  if (std::exchange(opened_elsewhere_, false)) recovered.cut.reset();
  const auto problems = last_ ? history_.verify(last_->life(), recovered) : history_.verify_unchanged(recovered);
  std::string all;
  for (const auto& problem : problems) all += "\n  " + problem.what;
  scenario_.check(problems.empty(), "what was recovered is not what was written:" + all);
}

void Lives::end() {
  LifePlan plan;
  plan.options = test::small_store({});
  // One that writes, as if nothing had been, and one that reads what it wrote.
  for (const unsigned writes : {k_writes_last, 0U}) {
    plan.work = {.seed = scenario_.random(), .threads = 1, .writes = writes, .closes = true};
    live(plan);
  }
  scenario_.check(history_.kept() > 0, "no write survived any life");
  last_.reset();
}

}  // namespace actable::lab::environment
