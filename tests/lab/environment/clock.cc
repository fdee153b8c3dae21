// A wall clock that jumps by an hour, forward and back, while the store runs and
// between its lives, and files from the future. Nothing but timestamps may tell.

#include "store/access.h"
#include "tests/lab/environment/lives.h"
#include "tests/lab/environment/scenario.h"
#include "tests/lab/environment/wall_clock.h"
#include "tests/store/vocabulary.h"
#include "tests/support/faulty_file_system.h"

#include <filesystem>
#include <thread>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using std::chrono::system_clock;

/// The clock jumps to and fro until the process ends.
[[noreturn]] void jump(std::uint64_t seed) {
  test::Random random(seed);
  while (true) {
    set_wall_clock_off(std::chrono::seconds(static_cast<std::int64_t>(random.below(2 * 3'600 + 1)) - 3'600));
    for (std::uint64_t i = random.below(100); i-- > 0;) std::this_thread::yield();
  }
}

/// Files whose times lie an hour or a year off.
void date_files(const std::filesystem::path& directory, std::chrono::hours off) {
  if (!std::filesystem::exists(directory)) return;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::filesystem::last_write_time(entry.path(), entry.last_write_time() + off);
  }
}

/// Each thing that the store waits for takes its time by the steady clock,
/// though the wall clock jumps by `off` while it waits.
void waits_are_kept(Scenario& scenario, std::chrono::seconds off) {
  constexpr auto k_deadline = 300ms;
  constexpr auto k_slack = 20s * test::k_slowness;
  test::FaultyFileSystem files;
  Options options = test::small_store(scenario.fresh_directory());
  options.staging_bytes = std::size_t{1} << 20;
  options.write_deadline = k_deadline;
  Store store = test::must(store::Access::open(options, files));
  Space space = test::must(store.space("s"));
  std::jthread jumper([&](const std::stop_token& stop) {
    for (bool there = true; !stop.stop_requested(); there = !there) {
      set_wall_clock_off(there ? off : 0s);
      std::this_thread::yield();
    }
  });
  const auto timed = [](auto&& work) {
    const auto began_at = steady_clock::now();
    work();
    return steady_clock::now() - began_at;
  };
  // Without anyone asking, what was written is on disk after the sync interval.
  const Seq asynchronous = test::must(space.put("a", "1"));
  const auto durable_after = timed([&] {
    scenario.check(test::eventually(k_slack, [&] { return store.durable_seq() >= asynchronous; }),
                   "an asynchronous write does not become durable when the wall clock jumps");
  });
  scenario.check(durable_after < k_slack, "an asynchronous write was durable late");
  scenario.check(timed([&] { test::must(space.put("b", "2", test::k_sync)); }) < k_slack, "a sync waited for an hour");
  scenario.check(store.stats().durable_lag < k_slack, "the lag takes the jump for time");

  // A slow disk: writers are turned away at the deadline, not before, not an hour later.
  files.delay(test::Call::write, 30s);
  const std::string value(60'000, 'v');
  std::optional<Error> refused;
  steady_clock::duration waited{};
  for (unsigned i = 0; !refused; ++i) {
    require(i < 1'000, "a disk that stands still takes everything");
    waited = timed([&] {
      if (auto put = space.put(std::to_string(i), value); !put) refused = put.error();
    });
  }
  scenario.check(refused->code == ErrorCode::overloaded,
                 "a slow disk and a jumping clock: " + test::describe(*refused));
  scenario.check(waited >= k_deadline && waited < k_slack, "the write deadline was not kept");
  const auto lag = store.stats().durable_lag;
  scenario.check(lag >= 0us && lag < k_slack, "the lag of a slow disk takes the jump for time");
  files.heal();
  test::must(store.sync());
  test::must(store.close());
  jumper.request_stop();
  jumper.join();
  set_wall_clock_off(0s);
  const StoreStats after = test::must(Store::open(options)).stats();
  scenario.check(after.recovery.duration < k_slack, "the recovery's duration takes the jump for time");
}

}  // namespace

void the_clock_jumps(Scenario& scenario) {
  const auto true_time = system_clock::now();
  const auto steady_time = steady_clock::now();
  set_wall_clock_off(1h);
  scenario.check(system_clock::now() - true_time > 59min, "the wall clock does not jump");
  scenario.check(steady_clock::now() - steady_time < 10min, "the steady clock jumps too");
  set_wall_clock_off(0s);

  Lives lives(scenario, scenario.fresh_directory());
  constexpr unsigned k_lives = 6;
  for (unsigned i = 0; i < k_lives; ++i) {
    date_files(lives.directory(), std::chrono::hours(scenario.random.one_in(2) ? 1 : -24 * 365));
    LifePlan plan = random_life(scenario.random);
    const std::uint64_t seed = scenario.random();
    if (i % 3 == 0) {
      scenario.say("an hour ahead from the start");
      plan.before_open = [] { set_wall_clock_off(1h); };
    } else if (i % 3 == 1) {
      scenario.say("an hour late from the start");
      plan.before_open = [] { set_wall_clock_off(-1h); };
    } else {
      scenario.say("to and fro");
      plan.before_open = [seed] { std::thread([seed] { jump(seed); }).detach(); };
    }
    lives.live(std::move(plan));
  }
  lives.end();
  // These start threads: last, because lives are forked.
  waits_are_kept(scenario, 1h);
  waits_are_kept(scenario, -1h);
}

}  // namespace actable::lab::environment
