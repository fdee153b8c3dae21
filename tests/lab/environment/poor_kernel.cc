// A kernel or a sandbox without what the store uses where it can: membarrier,
// io_uring, direct writing, huge pages. Everything has to work without each and
// without all, and what one life wrote has to be read by the next in another.

#include "tests/lab/environment/lives.h"
#include "tests/lab/environment/sandbox.h"
#include "tests/lab/environment/scenario.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>
#include <vector>

namespace actable::lab::environment {
namespace {

struct Lack {
  std::string name;
  bool membarrier = false;
  bool io_uring = false;
  bool direct_io = false;
  bool huge_pages = false;
};

/// Takes it all from this process.
bool take_away(const Lack& lack, unsigned error) {
  if (lack.membarrier && !deny({{.call = SYS_membarrier, .error = error}})) return false;
  if (lack.io_uring && !deny({{.call = SYS_io_uring_setup, .error = error},
                              {.call = SYS_io_uring_enter, .error = error},
                              {.call = SYS_io_uring_register, .error = error}})) {
    return false;
  }
  // What a file system without direct writing says.
  if (lack.direct_io && !deny({{.call = SYS_openat, .error = EINVAL, .argument = 2, .bits = O_DIRECT}})) return false;
#if defined(SYS_open)
  if (lack.direct_io && !deny({{.call = SYS_open, .error = EINVAL, .argument = 1, .bits = O_DIRECT}})) return false;
#endif
  return !lack.huge_pages || ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0;
}

/// That the store noticed what is missing, and what is not.
void look_at(const StoreStats& stats, const Lack& lack) {
  if (lack.membarrier) require(!stats.membarrier, "membarrier is said to be in use and is not there");
  if (lack.io_uring) require(stats.log.io == "pwrite", "io_uring is said to be in use and is not there");
  if (lack.direct_io) require(!stats.log.direct_io, "direct writing is said to be in use and is not there");
}

}  // namespace

void the_kernel_is_a_poor_one(Scenario& scenario) {
  std::vector<Lack> lacks{{.name = "membarrier", .membarrier = true},
                          {.name = "io_uring", .io_uring = true},
                          {.name = "direct writing", .direct_io = true},
                          {.name = "huge pages", .huge_pages = true},
                          {"all of these", true, true, true, true}};
  Lives lives(scenario, scenario.fresh_directory());
  constexpr unsigned k_turns = 2;
  for (unsigned turn = 0; turn < k_turns; ++turn) {
    for (const Lack& lack : lacks) {
      const unsigned error = scenario.random.one_in(2) ? ENOSYS : EPERM;
      if (Process([&] { return take_away(lack, error) ? 0 : 1; }).wait(std::chrono::seconds(60)) != 0) {
        scenario.skip("seccomp filters");
        continue;
      }
      scenario.say("without " + lack.name);
      LifePlan plan = random_life(scenario.random);
      // Else there would be nothing to fall back from.
      plan.options.log_io = LogIo::automatic;
      plan.before_open = [&] { require(take_away(lack, error), "what went once went not again"); };
      plan.opened = [&](Store& store) { look_at(store.stats(), lack); };
      lives.live(std::move(plan));
      scenario.check(true, "the store noticed what is missing");
    }
  }
  lives.end();

  // Who insists on io_uring is told.
  Process insists([&] {
    if (!take_away({.name = "io_uring", .io_uring = true}, EPERM)) return 1;
    Options options = random_life(scenario.random).options;
    options.directory = scenario.fresh_directory();
    options.log_io = LogIo::io_uring;
    const auto store = Store::open(options);
    return !store && store.error().code == ErrorCode::unsupported ? 0 : 2;
  });
  const auto status = insists.wait(std::chrono::seconds(60));
  if (status != 1) scenario.check(status == 0, "without io_uring, asking for it is not `unsupported`");
}

}  // namespace actable::lab::environment
