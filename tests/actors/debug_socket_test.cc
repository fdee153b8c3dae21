// The debug socket of a running store, with real threads.

#include "debug/client.h"
#include "debug/local_socket.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/wait.h"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

using namespace actable;
using namespace actable::test;
using debug::Bytes;
using debug::Client;
using debug::Document;
using namespace std::chrono_literals;

namespace {

namespace fs = std::filesystem;

/// A service with a debug socket, whose log is kept.
class Service {
 public:
  explicit Service(fs::path directory) : directory_(std::move(directory)), system_(config_), store_(start_in()) {}

  [[nodiscard]] Client client(bool writes = true) {
    return must(Client::connect(directory_, {.writes = writes, .name = "test", .patience = 60s}));
  }
  [[nodiscard]] StoreActors& store() noexcept { return store_; }
  [[nodiscard]] caf::actor_system& system() noexcept { return system_; }
  [[nodiscard]] unsigned lines_with(std::string_view part) {
    const std::lock_guard lock(mutex_);
    return static_cast<unsigned>(std::ranges::count_if(
        lines_, [part](const std::string& line) { return line.find(part) != std::string::npos; }));
  }

 private:
  struct Config : caf::actor_system_config {
    Config() { set("scheduler.max-threads", 2); }
  };
  StoreActors start_in() {
    Options options = lazy_store(directory_);
    options.write_interval = 1ms;
    options.sync_interval = 5ms;
    options.debug_socket = true;
    options.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.emplace_back(line);
    };
    return must(start(system_, options));
  }

  const fs::path directory_;
  std::mutex mutex_;
  std::vector<std::string> lines_;
  Config config_;
  caf::actor_system system_;
  StoreActors store_;
};

/// Asks until the debug actor is there again.
Result<Document> ask_patiently(Client& client, const std::string& command) {
  Result<Document> answer = fail(ErrorCode::overloaded, "");
  until("the debug actor answers", [&] {
    answer = client.ask(command);
    const auto code = answer ? ErrorCode::closed : answer.error().code;
    return code != ErrorCode::overloaded && code != ErrorCode::indeterminate;
  });
  return answer;
}

/// A client that asks for all there is, over and over, and reads nothing of it.
class DeafClient {
 public:
  explicit DeafClient(const fs::path& directory) : socket_(must(debug::connect_in(directory))) {
    send(debug::encode(debug::Hello{.client = "deaf"}));
    const Document::Map monitor{{"count", 1'000'000}};
    const Document::Map scan{{"space", "s"}, {"prefix", Bytes{""}}, {"limit", 1'000}};
    send(debug::encode(debug::Request{.id = 1, .command = "monitor", .arguments = Document(monitor)}));
    for (std::uint64_t id = 2; id < 1'000; ++id) {
      debug::Request request{.id = id, .command = "next"};
      if (id % 2 != 0) request = {.id = id, .command = "scan", .arguments = Document(scan)};
      if (!send(debug::encode(request))) return;
    }
  }

 private:
  /// False when the process takes no more.
  bool send(const std::string& message) const {
    const std::string bytes = debug::frame(message);
    return ::send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(bytes.size());
  }

  base::Descriptor socket_;
};

/// Operations a second of one thread in a third of a second.
double rate_of(const std::function<void(std::uint64_t)>& operation) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  std::uint64_t done = 0;
  std::chrono::duration<double> seconds{};
  while (seconds < 333ms) {
    for (int i = 0; i < 1'000; ++i) operation(done++);
    seconds = Clock::now() - began;
  }
  return static_cast<double>(done) / seconds.count();
}

}  // namespace

TEST_CASE("a client looks into the running store and changes it", "[debug_socket]") {
  const TemporaryDirectory directory;
  Service service(directory / "store");
  Space space = must(service.store().store().space("s"));
  Client client = service.client();
  CHECK(client.welcome().directory == directory / "store");
  CHECK(client.welcome().writes);

  const Seq seq = must(client.ask("put", {{"space", "s"}, {"key", Bytes{"k"}}, {"value", Bytes{"v"}}})).number();
  CHECK(must(space.get("k")) == "v");
  CHECK(must(client.ask("sync"))["durable"].number() >= seq);
  CHECK(must(client.ask("get", {{"space", "s"}, {"key", Bytes{"k"}}}))["durable"] == Document(true));
  CHECK(service.lines_with("put \"k\"") == 1);
  CHECK(service.lines_with("sync") >= 1);
  const Document actors = must(client.ask("actors"));
  CHECK(std::ranges::any_of(actors.list(), [](const Document& actor) { return actor["name"].text() == "debug"; }));
}

TEST_CASE("the debug actor may crash; its clients stay, and ask again", "[debug_socket]") {
  const TemporaryDirectory directory;
  Service service(directory / "store");
  Client client = service.client();
  for (int i = 0; i < 5; ++i) {
    must(ask_patiently(client, "stats"));
    must(client.ask("crash", {{"actor", "debug"}}));
  }
  must(ask_patiently(client, "stats"));
  must(client.ask("restart", {{"actor", "debug"}}));
  must(ask_patiently(client, "stats"));
}

TEST_CASE("a debug actor that was given up leaves the store as it is", "[debug_socket]") {
  const TemporaryDirectory directory;
  Service service(directory / "store");
  Client client = service.client();
  until("it is given up", [&] {
    (void)client.ask("crash", {{"actor", "debug"}});
    return service.lines_with("the store goes on without it") == 1;
  });
  CHECK(outcome(client.ask("stats")) == "overloaded");
  Space space = must(service.store().store().space("s"));
  must(space.put("k", "v", {.durability = Durability::sync}));
  CHECK_FALSE(service.store().store().stats().read_only);
}

TEST_CASE("stopping the store disconnects clients and removes the socket", "[debug_socket]") {
  const TemporaryDirectory directory;
  Service service(directory / "store");
  Client client = service.client();
  must(service.store().stop());
  CHECK(outcome(client.ask("stats")) == "closed");
  CHECK_FALSE(fs::exists(directory / "store" / debug::k_socket_name));
  CHECK(outcome(Client::connect(directory / "store", {})) == "not_found");
}

TEST_CASE("a system that ends closes the socket with the store", "[debug_socket]") {
  const TemporaryDirectory directory;
  {
    Service service(directory / "store");
    must(service.client().ask("stats"));
  }
  CHECK_FALSE(fs::exists(directory / "store" / debug::k_socket_name));
  must(Store::open(lazy_store(directory / "store")));
}

TEST_CASE("who opens a store without actors is told that nobody would serve the socket", "[debug_socket]") {
  const TemporaryDirectory directory;
  Options options = lazy_store(directory / "store");
  options.debug_socket = true;
  const auto opened = Store::open(options);
  CHECK(outcome(opened) == "unsupported");
  CHECK_THAT(message(opened), ContainsSubstring("actable::start"));
  CHECK_FALSE(fs::exists(directory / "store"));
}

TEST_CASE("a store without a directory has no place for a socket", "[debug_socket]") {
  caf::actor_system_config config;
  caf::actor_system system(config);
  Options options;
  options.debug_socket = true;
  CHECK(outcome(start(system, options)) == "invalid_argument");
}

TEST_CASE("a second host on the directory is refused, and the first one's socket stays", "[debug_socket]") {
  const TemporaryDirectory directory;
  Service service(directory / "store");
  Options options = lazy_store(directory / "store");
  options.debug_socket = true;
  CHECK(outcome(start(service.system(), options)) == "locked");
  must(service.client().ask("stats"));
}

TEST_CASE("a directory that others may write to is refused, and the store is closed again", "[debug_socket]") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "store");
  fs::permissions(directory / "store", fs::perms::owner_all | fs::perms::group_all);
  caf::actor_system_config config;
  caf::actor_system system(config);
  Options options = lazy_store(directory / "store");
  options.debug_socket = true;
  CHECK(outcome(start(system, options)) == "invalid_argument");
  options.debug_socket = false;
  must(must(start(system, options)).stop());
}

TEST_CASE("without the option there is no socket", "[debug_socket]") {
  const TemporaryDirectory directory;
  caf::actor_system_config config;
  caf::actor_system system(config);
  StoreActors store = must(start(system, lazy_store(directory / "store")));
  CHECK_FALSE(fs::exists(directory / "store" / debug::k_socket_name));
}

TEST_CASE("actors tell how long they were busy", "[debug_socket]") {
  const TemporaryDirectory directory;
  Service service(directory / "store");
  const SpaceActor actor = must(service.store().space_actor("s"));
  Client client = service.client();
  const auto busy = [&] {
    const Document actors = must(client.ask("actors"));
    for (const Document& of : actors.list()) {
      if (of["name"].text() == "space s") return of["busy_us"].number();
    }
    return std::uint64_t{0};
  };
  // The clock ticks every few milliseconds, and a request takes as long.
  must(must(service.store().store().space("s")).put("k", std::string(500'000, 'v')));
  const std::vector<std::string> keys(30, "k");
  until("the clock has ticked in a request", [&] {
    caf::scoped_actor self(service.system());
    self->request(actor, caf::infinite, get_atom::value, keys, RequestOptions{})
        .receive([](std::vector<Found>& values) { expect(values.size() == 30, "30 values"); },
                 [](const caf::error& error) { fail_test(to_error(error).message); });
    return busy() > 0;
  });
}

TEST_CASE("clients that come, ask and go while the store is stopped harm nothing", "[debug_socket]") {
  const TemporaryDirectory directory;
  for (int round = 0; round < 5; ++round) {
    Service service(directory / "store");
    std::atomic<bool> stopped{false};
    std::vector<std::thread> clients;
    std::atomic<unsigned> answers{0};
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        while (!stopped) {
          auto client = Client::connect(directory / "store", {.writes = true, .patience = 60s});
          if (!client) continue;
          for (const char* const command : {"stats", "actors", "sync", "config"}) {
            if (client->ask(command)) ++answers;
          }
        }
      });
    }
    until("some were answered", [&] { return answers > 20; });
    const auto closed = service.store().stop();
    stopped = true;
    for (std::thread& client : clients) client.join();
    must(closed);
  }
}

// Asked for by name only: its figures want a machine that does nothing else.
TEST_CASE("what a client that does not read takes from others", "[.figure]") {
  constexpr std::uint64_t k_keys = 1'000'000;
  constexpr int k_pairs = 41;
  const TemporaryDirectory directory;
  Service service(directory / "store");
  Space space = must(service.store().store().space("s"));
  const auto key_of = [](std::uint64_t i) { return "key" + std::to_string(i * 0x9e3779b97f4a7c15u % k_keys); };
  const std::string value(100, 'v');
  for (std::uint64_t i = 0; i < k_keys; ++i) must(space.put("key" + std::to_string(i), value));
  const auto measure = [&](const char* name, const std::function<void(std::uint64_t)>& operation) {
    std::vector<double> shares;
    for (int i = 0; i < k_pairs; ++i) {
      // Which of the two is first changes: whatever else slows down is fair to both.
      double with = 0;
      double without = 0;
      for (int half = 0; half < 2; ++half) {
        if ((half + i) % 2 == 0) {
          without = rate_of(operation);
        } else {
          const DeafClient deaf(directory / "store");
          with = rate_of(operation);
        }
      }
      shares.push_back(with / without);
    }
    std::ranges::sort(shares);
    std::cout << name << " beside a client that does not read, against none: median of " << k_pairs << " pairs "
              << shares[k_pairs / 2] << ", quartiles " << shares[k_pairs / 4] << " and " << shares[k_pairs * 3 / 4]
              << "\n";
    CHECK(shares[k_pairs / 2] >= 0.97);
  };
  measure("get", [&](std::uint64_t i) { must(space.get(key_of(i))); });
  measure("put", [&](std::uint64_t i) { must(space.put(key_of(i), value)); });
}
