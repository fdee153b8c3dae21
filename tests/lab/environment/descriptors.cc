// Too few file descriptors: to open with, to go on with, to come back with.
// Errors are typed and say what to do, and nothing is half-done.

#include "tests/lab/environment/lives.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;

constexpr int k_descriptors_max = 256;

unsigned open_descriptors() {
  unsigned count = 0;
  for (int number = 0; number < k_descriptors_max; ++number) count += ::fcntl(number, F_GETFD) != -1;
  return count;
}

bool limit_descriptors(unsigned to) {
  const rlimit limits{to, to};
  return ::setrlimit(RLIMIT_NOFILE, &limits) == 0;
}

bool speaks_of_descriptors(const Error& error) { return error.message.find("ulimit -n") != std::string::npos; }

std::string key_of(unsigned i) { return "key" + std::to_string(i); }
std::string value_of(unsigned i) { return test::sealed(i, 300'000); }

// How an attempt with few descriptors ended.
enum Status : int { worked = 0, refused, odd_error, leaked, lost, no_limit };

/// Opens, reads the first `held` keys, and writes on over the end of segments.
Status try_with(unsigned descriptors, const Options& options, unsigned held) {
  if (!limit_descriptors(open_descriptors() + descriptors)) return no_limit;
  const unsigned before = open_descriptors();
  {
    auto store = Store::open(options);
    if (!store) {
      if (store.error().code != ErrorCode::io_error || !speaks_of_descriptors(store.error())) return odd_error;
      return open_descriptors() == before ? refused : leaked;
    }
    Space space = test::must(store->space("s"));
    for (unsigned i = 0; i < held; ++i) {
      if (test::must(space.get(key_of(i))) != value_of(i)) return lost;
    }
    for (unsigned i = 0; i < 10; ++i) {
      const auto put = space.put("more", value_of(i), test::k_sync);
      if (put) continue;
      if (!speaks_of_descriptors(put.error())) return odd_error;
      if (put.error().code != ErrorCode::read_only && put.error().code != ErrorCode::indeterminate) return odd_error;
      if (held != 0 && test::must(space.get(key_of(0))) != value_of(0)) return lost;
    }
    (void)store->close();
  }
  return open_descriptors() == before ? worked : leaked;
}

std::string meaning(int status) {
  switch (status) {
    case odd_error:
      return "another error than one that tells of descriptors";
    case leaked:
      return "a descriptor was not given back";
    case lost:
      return "a value was lost";
    case no_limit:
      return "the limit could not be set";
    default:
      return "status " + std::to_string(status);
  }
}

/// Every number of descriptors from none to enough, with a directory each for a
/// new store, or with one store of several segments.
void every_limit(Scenario& scenario, const Options& model, bool fresh) {
  constexpr unsigned k_held = 12;
  constexpr unsigned k_enough = 24;
  Options options = model;
  const auto attempt = [&](const std::function<Status()>& work) {
    Process process(work);
    const auto status = process.wait(60s);
    require(status.has_value(), "an attempt with few descriptors hangs");
    return *status;
  };
  options.directory = scenario.fresh_directory();
  const auto fill = [&] {
    Store store = test::must(Store::open(options));
    Space space = test::must(store.space("s"));
    for (unsigned i = 0; i < k_held; ++i) test::must(space.put(key_of(i), value_of(i), test::k_sync));
    test::must(store.close());
    return worked;
  };
  if (!fresh) require(attempt(fill) == worked, "no store to try");
  unsigned refusals = 0;
  bool opened = false;
  for (unsigned descriptors = 0; descriptors <= k_enough; ++descriptors) {
    if (fresh) options.directory = scenario.fresh_directory();
    const int status = attempt([&] { return try_with(descriptors, options, fresh ? 0 : k_held); });
    const std::string with = "with " + std::to_string(descriptors) + " descriptors: ";
    scenario.check(status == worked || status == refused, with + meaning(status));
    refusals += status == refused;
    opened = opened || status == worked;
    // With enough again it is as if nothing had been.
    const int after = attempt([&] { return try_with(k_descriptors_max / 2, options, fresh ? 0 : k_held); });
    scenario.check(after == worked, "after an attempt " + with + meaning(after));
    scenario.lived();
  }
  scenario.check(refusals > 0 && opened, "the limits that were tried do not matter");
}

/// Takes every descriptor that the process may still have.
void take_all_descriptors() {
  require(limit_descriptors(k_descriptors_max), "the limit cannot be set");
  while (::dup(STDERR_FILENO) >= 0) {
  }
  require(errno == EMFILE, "descriptors ran out for another reason");
}

}  // namespace

void descriptors_are_few(Scenario& scenario) {
  Options options = test::small_store({});
  options.segment_bytes = std::uint64_t{1} << 20;
  for (const LogIo io : {LogIo::automatic, LogIo::pwrite}) {
    options.log_io = io;
    scenario.say(io == LogIo::pwrite ? "pwrite" : "automatic");
    every_limit(scenario, options, true);
    every_limit(scenario, options, false);
  }

  scenario.say("the host takes all descriptors while the store writes");
  Lives lives(scenario, scenario.fresh_directory());
  constexpr unsigned k_lives = 4;
  for (unsigned i = 0; i < k_lives; ++i) {
    LifePlan plan = random_life(scenario.random);
    const bool poor = i % 2 == 1;
    if (poor) {
      plan.work.threads = test::killing::k_threads;
      plan.work.writes = test::killing::k_entries_max;
      plan.killed_after.reset();
      plan.opened = [](Store&) { take_all_descriptors(); };
      plan.work.expects = speaks_of_descriptors;
    }
    lives.live(std::move(plan));
    if (poor) scenario.check(lives.errors() > 0, "no descriptor was missing");
  }
  lives.end();
}

}  // namespace actable::lab::environment
