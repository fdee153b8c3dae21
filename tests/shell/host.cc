// A service for the shell's tests to look into: `host DIR [load] [no-socket]`.
// Says "ready" and goes on until its standard input ends. With `load` a thread
// writes directly and asks an actor, in turn and without a pause.

#include <actable/actors.h>
#include <actable/typed.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace actable;

namespace {

struct Arguments {
  std::string directory;
  bool load = false;
  bool socket = true;
};

/// What the tests expect to find.
void fill(Store& store) {
  Space users = store.space("users").value();
  users.put("ada", "Lovelace").value();
  users.put("binary", std::string_view("\0\xff", 2)).value();
  users.put("grace", typed::pack(std::map<std::string, int>{{"age", 85}, {"ships", 3}}).value()).value();
  users.add("visits", 41).value();
  Space numbers = store.space("numbers").value();
  for (int i = 0; i < 1'000; ++i)
    numbers.put("n" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'x')).value();
  (void)store.space("scratch", {.logged = false}).value();
  (void)store.sync().value();
}

/// In turn, so that the key that is asked for is the hottest by far, however slow
/// the actors are.
void write_and_ask(caf::actor_system& system, StoreActors& store, const std::atomic<bool>& stopped) {
  Space busy = store.store().space("busy").value();
  const SpaceActor users = store.space_actor("users").value();
  caf::scoped_actor self(system);
  for (std::uint64_t i = 0; !stopped; ++i) {
    (void)busy.put("k" + std::to_string(i % 100'000), "some value");
    self->request(users, caf::infinite, get_atom::value, std::string("ada"), RequestOptions{})
        .receive([](const Found&) {}, [](const caf::error&) {});
  }
}

int serve(const Arguments& arguments) {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 2);
  caf::actor_system system(config);
  Options options;
  options.directory = arguments.directory;
  options.segment_bytes = std::uint64_t{1} << 20;
  options.debug_socket = arguments.socket;
  options.log = [](LogLevel, std::string_view line) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  };
  auto store = start(system, options);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    return 1;
  }
  fill(store->store());
  std::atomic<bool> stopped{false};
  std::thread load;
  if (arguments.load) load = std::thread([&] { write_and_ask(system, *store, stopped); });
  std::puts("ready");
  std::fflush(stdout);
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  stopped = true;
  if (load.joinable()) load.join();
  return store->stop() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.empty()) return 2;
  const auto said = [&words](std::string_view word) { return std::ranges::find(words, word) != words.end(); };
  return serve({.directory = std::string(words[0]), .load = said("load"), .socket = !said("no-socket")});
}
