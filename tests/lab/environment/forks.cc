// A host that forks while its threads write: children that end at once, run the
// destructors of static objects, read, write, close, open stores of their own,
// become other programs, are killed, or live on. The store stays the parent's.

#include "tests/lab/environment/filling.h"
#include "tests/lab/environment/process.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <thread>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;

constexpr auto k_patience = 60s * test::k_slowness;

/// What hosts do: the store is a static object.
std::optional<Store>& the_store() {
  static std::optional<Store> instance;
  return instance;
}

struct Host {
  Options options;
  std::filesystem::path childs_directory;
  std::optional<Space> space{};
};

constexpr std::string_view k_key = "the host's";
constexpr std::string_view k_value = "value of the host";

/// What a child does, and the status that it ends with when all is well.
struct ChildKind {
  const char* name;
  int (*run)(const Host& host);
  int due = 0;
};

int ends_at_once(const Host&) { ::_exit(0); }
int runs_destructors(const Host&) { std::exit(0); }  // NOLINT: the child has one thread

int reads(const Host& host) {
  for (unsigned i = 0; i < 100; ++i) {
    if (test::must(host.space->get(k_key)) != k_value) return 1;
  }
  return 0;
}

/// Against the rules: it must not reach the parent or the disk.
int writes(const Host& host) {
  Space space = *host.space;
  for (unsigned i = 0; i < 20; ++i) (void)space.put("a child's " + std::to_string(i), "value");
  return 0;
}

int closes(const Host&) {
  if (test::outcome(the_store()->close()) != "closed") return 1;
  the_store().reset();
  return 0;
}

int opens_its_own(const Host& host) {
  Options options = host.options;
  options.directory = host.childs_directory;
  for (int life = 0; life < 2; ++life) {
    Store store = test::must(Store::open(options));
    Space space = test::must(store.space("own"));
    if (life == 1 && test::must(space.get("k")) != "own value") return 1;
    test::must(space.put("k", "own value", test::k_sync));
    test::must(store.close());
  }
  return 0;
}

int opens_the_parents(const Host& host) {
  const auto second = Store::open(host.options);
  if (test::outcome(second) != "locked") return 1;
  return test::message(second).find("process " + std::to_string(::getppid())) != std::string::npos ? 0 : 2;
}

int becomes_another_program(const Host&) {
  ::execlp("true", "true", nullptr);
  return 127;
}

int is_killed(const Host& host) {
  (void)test::must(host.space->get(k_key));
  ::raise(SIGKILL);
  return 1;
}

constexpr std::array k_kinds{
    ChildKind{"ends at once", ends_at_once},
    ChildKind{"runs destructors", runs_destructors},
    ChildKind{"reads", reads},
    ChildKind{"writes", writes},
    ChildKind{"closes", closes},
    ChildKind{"opens a store of its own", opens_its_own},
    ChildKind{"opens its parent's store", opens_the_parents},
    ChildKind{"becomes another program", becomes_another_program},
    ChildKind{"is killed", is_killed, -SIGKILL},
};

/// The host: two threads fill the store while this one forks.
int be_host(Host host, Filling& filling, std::uint64_t writes, std::uint64_t seed, Scenario& scenario) {
  test::Random random(seed);
  the_store() = test::must(Store::open(host.options));
  host.space = test::must(the_store()->space("host"));
  test::must(host.space->put(k_key, k_value));
  const auto never = [](const Error& error) -> bool {
    throw Found("a write failed beside forks: " + test::describe(error));
  };
  std::atomic<unsigned> busy{2};
  std::vector<std::jthread> crew;
  for (unsigned i = 0; i < 2; ++i) {
    crew.emplace_back([&, i] {
      filling.write(*the_store(), i, writes, never);
      --busy;
    });
  }
  for (unsigned forks = 0; busy != 0 || forks < 2 * k_kinds.size(); ++forks) {
    const ChildKind& kind = k_kinds.at(forks < k_kinds.size() ? forks : random.below(k_kinds.size()));
    Process child([&] { return kind.run(host); });
    const auto status = child.wait(k_patience);
    scenario.check(status.has_value(), std::string("a forked child hangs that ") + kind.name);
    scenario.check(*status == kind.due,
                   "a forked child that " + std::string(kind.name) + " ended with " + std::to_string(*status));
  }
  crew.clear();

  // One that lives on has the lock's file open and not the lock.
  Process lives_on([] {
    for (;;) ::pause();
    return 0;
  });
  test::must(the_store()->sync());
  scenario.check(filling.written() == 2 * writes, "writes beside forks were lost");
  scenario.check(test::must(host.space->get(k_key)) == k_value, "the parent's value changed");
  test::must(the_store()->close());
  the_store() = test::must(Store::open(host.options));
  filling.check_prefix(*the_store(), the_store()->stats().recovery.cut, scenario);
  ::_exit(0);  // As a kill would be.
}

}  // namespace

void the_host_forks(Scenario& scenario) {
  for (const LogIo io : {LogIo::automatic, LogIo::pwrite}) {
    Host host{.options = test::small_store(scenario.fresh_directory(), io),
              .childs_directory = scenario.fresh_directory()};
    Filling filling(scenario.random(), Lengths::mixed);
    const std::uint64_t seed = scenario.random();
    const std::uint64_t writes = test::scaled(20'000);
    Process process([&] { return be_host(host, filling, writes, seed, scenario); });
    const auto status = process.wait(k_patience);
    scenario.check(status.has_value(), "a host that forks hangs");
    scenario.check(*status == 0, "a host that forks failed with " + std::to_string(*status));
    scenario.lived();
    Process reader([&] {
      Store store = test::must(Store::open(host.options));
      filling.check_prefix(store, store.stats().recovery.cut, scenario);
      return 0;
    });
    scenario.check(reader.wait(k_patience) == 0, "a store whose host forked is not what was written");
    scenario.lived();
  }
}

}  // namespace actable::lab::environment
