// Signals by the thousand, on the host's threads and the store's, whose handlers
// do not restart calls; stops and continuations; and the host's own handlers,
// which the store has to leave alone.

#include "tests/lab/environment/lives.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;

std::atomic<std::uint64_t> handled{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

void on_signal(int) { handled.fetch_add(1, std::memory_order_relaxed); }

constexpr std::array k_signals{SIGALRM, SIGUSR1, SIGPIPE, SIGTERM, SIGHUP};

struct Dispositions {
  std::array<struct sigaction, NSIG> actions{};
  sigset_t blocked{};

  bool operator==(const Dispositions& other) const {
    for (int number = 1; number < NSIG; ++number) {
      const auto& mine = actions[static_cast<std::size_t>(number)];
      const auto& its = other.actions[static_cast<std::size_t>(number)];
      if (mine.sa_handler != its.sa_handler || mine.sa_flags != its.sa_flags) return false;
      if (sigismember(&blocked, number) != sigismember(&other.blocked, number)) return false;
    }
    return true;
  }
};

Dispositions dispositions_now() {
  Dispositions now;
  for (int number = 1; number < NSIG; ++number) {
    ::sigaction(number, nullptr, &now.actions[static_cast<std::size_t>(number)]);
  }
  ::pthread_sigmask(SIG_BLOCK, nullptr, &now.blocked);
  return now;
}

/// Signals for every thread of this process, the store's among them, in turn.
[[noreturn]] void storm(std::uint64_t seed) {
  // The storm's own thread goes on.
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  test::Random random(seed);
  const pid_t process = ::getpid();
  const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
  while (true) {
    std::error_code failed;
    std::filesystem::directory_iterator threads("/proc/self/task", failed);
    for (; !failed && threads != std::filesystem::directory_iterator(); threads.increment(failed)) {
      const pid_t thread = std::stoi(threads->path().filename().string());
      // One that has ended meanwhile is no harm.
      if (thread != self) (void)::syscall(SYS_tgkill, process, thread, k_signals[random.below(k_signals.size())]);
    }
    // To whichever thread takes it.
    ::kill(process, k_signals[random.below(k_signals.size())]);
    for (std::uint64_t i = random.skewed(64); i-- > 0;) std::this_thread::yield();
  }
}

void install_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;  // and not SA_RESTART
  for (const int number : k_signals) require(::sigaction(number, &action, nullptr) == 0, "no handler");
}

void start_storm(std::uint64_t seed) {
  std::thread([seed] { storm(seed); }).detach();
  constexpr timeval k_every{0, 300};
  const itimerval timer{k_every, k_every};
  require(::setitimer(ITIMER_REAL, &timer, nullptr) == 0, "no timer");
}

/// Opens and closes under the storm, in this process.
void open_and_close(const std::filesystem::path& directory, unsigned times) {
  install_handlers();
  const Dispositions before = dispositions_now();
  start_storm(times);
  Options options = test::small_store(directory);
  options.segment_bytes = std::uint64_t{1} << 20;
  for (unsigned i = 0; i < times; ++i) {
    options.log_io = i % 2 == 0 ? LogIo::automatic : LogIo::pwrite;
    Store store = test::must(Store::open(options));
    Space space = test::must(store.space("s"));
    for (unsigned had = 0; had < i; ++had) {
      require(test::must(space.get(std::to_string(had))) == test::sealed(had, 50'000), "a value is gone");
    }
    test::must(space.put(std::to_string(i), test::sealed(i, 50'000), test::k_sync));
    require(dispositions_now() == before, "the store changed a handler or what is blocked");
    test::must(store.close());
    require(dispositions_now() == before, "closing changed a handler or what is blocked");
  }
  require(handled.load() > 0, "no signal came");
}

}  // namespace

void signals_rain(Scenario& scenario) {
  constexpr unsigned k_openings = 20;
  const auto directory = scenario.fresh_directory();
  Process opener([&] {
    open_and_close(directory, k_openings);
    return 0;
  });
  scenario.check(opener.wait(120s) == 0, "opening and closing under a storm of signals failed");

  Lives lives(scenario, scenario.fresh_directory());
  constexpr unsigned k_lives = 6;
  for (unsigned i = 0; i < k_lives; ++i) {
    const bool stops = i % 2 == 1;
    scenario.say(stops ? "a storm, stops and continuations" : "a storm");
    LifePlan plan = random_life(scenario.random);
    const std::uint64_t seed = scenario.random();
    plan.before_open = [seed] {
      install_handlers();
      start_storm(seed);
    };
    if (stops) {
      plan.meanwhile = [](const Process& process) {
        process.signal(SIGSTOP);
        process.signal(SIGCONT);
      };
    }
    lives.live(std::move(plan));
  }
  lives.end();
}

}  // namespace actable::lab::environment
