// The message interface from other processes, and what is refused there.

#include "actors/door.h"
#include "tests/actors/sockets.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/wait.h"

#include <actable/network.h>

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/io/middleman.hpp>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

using namespace actable;
using namespace actable::test;

namespace {

constexpr const char* k_peer = "test_actors_peer";

/// What a store said to its host. From any thread.
class Said {
 public:
  void operator()(LogLevel, std::string_view line) {
    const std::lock_guard lock(mutex_);
    lines_ += std::string(line) + "\n";
  }
  [[nodiscard]] bool has(const std::string& part) const { return count(part) != 0; }
  [[nodiscard]] std::size_t count(const std::string& part) const {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (auto at = lines_.find(part); at != std::string::npos; at = lines_.find(part, at + 1)) ++count;
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::string lines_;
};

struct Config : caf::actor_system_config {
  explicit Config(const std::optional<Certificates>& certificates = std::nullopt) {
    set("scheduler.max-threads", 2);
    if (certificates) {
      must(load_network(*this, *certificates));
    } else {
      load_network(*this);
    }
  }
};

/// A store that other processes reach.
class NetworkHost {
 public:
  explicit NetworkHost(const std::optional<Certificates>& certificates = std::nullopt, NetworkOptions network = {})
      : config_(certificates),
        system_(config_),
        tree_(must(actors::Tree::start(system_, options(), {.network = std::move(network)}, {.files = files_}))) {
    space_.emplace(must(tree_->store().space("s")));
  }
  ~NetworkHost() { (void)tree_->close(); }

  [[nodiscard]] std::uint16_t port() const { return tree_->port(); }
  [[nodiscard]] actors::Tree& tree() { return *tree_; }
  [[nodiscard]] FaultyFileSystem& files() { return files_; }
  [[nodiscard]] Space& space() { return *space_; }
  [[nodiscard]] const Said& said() const { return *said_; }

  /// Starts a client; what it says is in its lines.
  [[nodiscard]] std::unique_ptr<Child> peer(std::vector<std::string> commands,
                                            const std::string& certificates = "plain") {
    commands.insert(commands.begin(), {std::to_string(port()), certificates});
    return std::make_unique<Child>(program_beside(k_peer), commands);
  }

 private:
  Options options() {
    Options options = lazy_store(directory_ / "store");
    options.write_interval = std::chrono::milliseconds(1);
    options.sync_interval = std::chrono::milliseconds(5);
    options.log = [said = said_](LogLevel level, std::string_view line) { (*said)(level, line); };
    return options;
  }

  const TemporaryDirectory directory_;
  FaultyFileSystem files_;
  const std::shared_ptr<Said> said_ = std::make_shared<Said>();
  Config config_;
  caf::actor_system system_;
  std::shared_ptr<actors::Tree> tree_;
  std::optional<Space> space_;
};

/// The next line of a client's but for those of durable numbers, which come when
/// they do.
std::string said_by(Child& client) {
  std::string line = client.line();
  while (line.starts_with("durable ")) line = client.line();
  return line;
}

/// What `connect` says of a host, in one line.
std::string refusal(std::uint16_t port, std::chrono::milliseconds patience = std::chrono::minutes(1)) {
  Config config;
  caf::actor_system system(config);
  const auto store = connect(system, "127.0.0.1", port, patience);
  REQUIRE_FALSE(store.has_value());
  CHECK(store.error().message.find('\n') == std::string::npos);
  return outcome(store) + ": " + store.error().message;
}

/// A header of CAF's protocol.
std::string header(std::uint8_t operation, std::uint32_t payload_bytes, std::uint64_t data,
                   std::uint64_t receiver = 0) {
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(operation);
  for (int i = 0; i < 4; ++i) bytes[4 + i] = static_cast<char>(payload_bytes >> (24 - 8 * i));
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(data >> (56 - 8 * i));
  bytes.append(8, '\0');
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(receiver >> (56 - 8 * i));
  return bytes;
}

constexpr std::uint8_t k_server_handshake = 0;
constexpr std::uint8_t k_client_handshake = 1;
constexpr std::uint8_t k_direct_message = 2;

const std::string k_nested = "it sent a message that holds a value of type @message";

/// A message of CAF's in `levels` others, for an actor that every system has.
std::string nested_message(std::size_t levels) {
  const std::string level = std::string("\0\0\x0c", 3) + "@<>+@message";
  std::string payload(1, '\0');
  for (std::size_t i = 0; i < levels; ++i) payload += level;
  payload += std::string("\0\0\x03", 3) + "@<>";
  std::string bytes = header(k_direct_message, static_cast<std::uint32_t>(payload.size()), 1,
                             static_cast<std::uint64_t>(caf::atom("ConfigServ")));
  // The receiver is one by name.
  bytes[3] = 1;
  return bytes + payload;
}

/// What a client says first.
std::string introduction() {
  std::string bytes = header(k_client_handshake, 8 + 4 + 20, 0);
  const auto kind = static_cast<std::uint64_t>(caf::atom("default"));
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(kind >> (56 - 8 * i));
  return bytes + std::string(4 + 20, '\x42');
}

/// True when the host has taken the connection: it introduces itself at once.
bool greeted(const Connection& connection) { return connection.receive(1).size() == 1; }

}  // namespace

TEST_CASE("what one process puts another gets, and a third sees what they did", "[network]") {
  NetworkHost host;
  const auto writer = host.peer({"put:k:v", "sync:durable:w", "pairs:100:1000", "get:absent"});
  CHECK(writer->line().starts_with("ok "));
  CHECK(writer->line().starts_with("ok "));
  CHECK(writer->line().starts_with("ok "));
  CHECK(writer->line() == "ok absent");
  CHECK(must(host.space().get("durable")) == "w");
  CHECK(must(host.space().get("pair-99")) == std::string(1000, 'v'));
  const auto reader = host.peer({"get:k", "stats", "put:k:again"});
  CHECK(reader->line() == "ok v");
  CHECK(reader->line() == "ok 102 keys");
  CHECK(reader->line().starts_with("ok "));
  CHECK(must(host.space().get("k")) == "again");
}

TEST_CASE("a client that dies leaves no subscription and nobody who waits", "[network]") {
  NetworkHost host;
  const auto living = host.peer({"subscribe"});
  CHECK(said_by(*living) == "subscribed");
  must(host.tree().store().sync());
  host.files().delay(Call::sync, std::chrono::seconds(60));
  const auto dying = host.peer({"subscribe", "wait:k:v"});
  CHECK(said_by(*dying) == "subscribed");
  CHECK(host.tree().board().subscribers() == 2);
  CHECK(said_by(*dying) == "asked");
  until("its request waits for the disk", [&] { return host.tree().board().waiting() == 1; });
  REQUIRE(dying->kill());
  until("its subscription has ended", [&] { return host.tree().board().subscribers() == 1; });
  host.files().heal();
  until("nobody waits", [&] { return host.tree().board().waiting() == 0; });
  // The other is still told.
  const Seq seq = must(host.space().put("later", "v"));
  for (Seq told = 0; told < seq;) {
    const std::string line = living->line();
    REQUIRE(line.starts_with("durable "));
    told = std::stoull(line.substr(8));
  }
  CHECK(must(host.space().get("k")) == "v");
}

TEST_CASE("a host that stops leaves nothing that listens, and its clients end as they like", "[network]") {
  std::optional<NetworkHost> host(std::in_place);
  const auto client = host->peer({"put:k:v", "subscribe"});
  CHECK(said_by(*client).starts_with("ok "));
  CHECK(said_by(*client) == "subscribed");
  const std::uint16_t port = host->port();
  host.reset();
  CHECK(refusal(port).starts_with("not_found: cannot connect to 127.0.0.1, port "));
  client->close_input();
  CHECK(client->wait() == 0);
}

TEST_CASE("requests from other processes that are too large or make no sense are refused, and others served",
          "[network]") {
  NetworkHost host;
  const auto client = host.peer({"pairs:1:5000000", "nonsense", "durability:k:v", "late:k", "put:k:v"});
  CHECK(client->line() == "too_large");
  CHECK(client->line() == "invalid_argument");
  CHECK(client->line() == "invalid_argument");
  CHECK(client->line() == "overloaded");
  CHECK(client->line().starts_with("ok "));
  const auto greedy = host.peer({"pairs:3:4000000"});
  until("it is refused", [&] { return host.said().has("announced a message of 12000"); });
  CHECK(host.space().size() == 1);
  CHECK(host.peer({"get:k"})->line() == "ok v");
}

TEST_CASE("who speaks no protocol, or announces more than there may be, is disconnected", "[network]") {
  NetworkHost host;
  for (const std::string& sent : {std::string("GET / HTTP/1.1\r\nHost: actable\r\n\r\n12345"),
                                  header(k_direct_message, 0xffffffff, 1, 1) + "x", std::string(1000, '\xff')}) {
    Connection connection(host.port());
    connection.send(sent);
    CHECK(connection.closed_by_peer());
  }
  CHECK(host.said().has("announced a message of 4294967295 bytes"));
  CHECK(host.peer({"put:k:v"})->line().starts_with("ok "));
}

TEST_CASE("a message in a message is not read, whoever sends it and however deep it is", "[network]") {
  NetworkHost host;
  for (const std::size_t levels : {1U, 40'000U}) {
    Connection connection(host.port());
    connection.send(nested_message(levels));
    CHECK(connection.closed_by_peer());
  }
  CHECK(host.said().count(k_nested) == 2);
  const auto client = host.peer({"put:k:v", "nested"});
  CHECK(client->line().starts_with("ok "));
  until("it is refused", [&] { return host.said().count(k_nested) == 3; });
  CHECK(host.peer({"get:k"})->line() == "ok v");
}

TEST_CASE("connections beyond those that there may be are closed as they come", "[network]") {
  NetworkHost host(std::nullopt, {.connections_max = 2, .handshake_max = std::chrono::hours(1)});
  const Connection one(host.port());
  std::optional<Connection> two(std::in_place, host.port());
  CHECK(greeted(one));
  CHECK(greeted(*two));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(greeted(Connection(host.port())));
  CHECK(host.said().has("there are 2 (NetworkOptions::connections_max)"));
  two.reset();
  until("there is room again", [&] { return greeted(Connection(host.port())); });
}

TEST_CASE("who connects and says nothing is disconnected after a while, and clients are not", "[network]") {
  NetworkHost host(std::nullopt, {.handshake_max = std::chrono::seconds(3)});
  const auto client = host.peer({"subscribe"});
  CHECK(said_by(*client) == "subscribed");
  const Connection silent(host.port());
  CHECK(silent.closed_by_peer());
  until("the host is told", [&] { return host.said().has("1 connected and did not say who they are in 3000 ms"); });
  // It is still told.
  const Seq seq = must(host.space().put("k", "v"));
  for (Seq told = 0; told < seq;) {
    const std::string line = client->line();
    REQUIRE(line.starts_with("durable "));
    told = std::stoull(line.substr(8));
  }
}

TEST_CASE("connections leave the last descriptors to the store", "[network]") {
  NetworkHost host(std::nullopt, {.connections_max = 1'000});
  const DescriptorLimit limit(160);
  std::vector<std::unique_ptr<Connection>> silent;
  do {
    REQUIRE(silent.size() < 160);
    silent.push_back(std::make_unique<Connection>(host.port()));
  } while (greeted(*silent.back()));
  CHECK(host.said().has("the process has few descriptors left"));
  // As many as a quarter less those of this test's side of the connections.
  CHECK(limit.left() >= 30);
  must(host.space().put("k", "v"));
  must(host.tree().store().sync());
}

TEST_CASE("without a descriptor for a connection it waits, and the host does not spin", "[network]") {
  NetworkHost host;
  const DescriptorLimit limit(160);
  std::optional<DescriptorLimit::All> all(std::in_place);
  all->give_one_back();
  const Connection waiting(host.port());
  until("the host is told", [&] { return host.said().has("no connection from other processes can be accepted now"); });
  CHECK(host.said().count("no connection from other processes can be accepted now") <= 2);
  all.reset();
  CHECK(greeted(waiting));
}

TEST_CASE("the host is told nothing more once its store has stopped", "[network]") {
  NetworkHost host;
  Connection connection(host.port());
  const std::string greeting = connection.receive(32);
  REQUIRE(greeting.size() == 32);
  std::size_t rest = 0;
  for (int i = 4; i < 8; ++i) rest = rest << 8 | static_cast<unsigned char>(greeting[i]);
  REQUIRE(connection.receive(rest).size() == rest);
  connection.send(introduction());
  // The host asks who introduced himself for more.
  REQUIRE(connection.receive(1).size() == 1);
  must(host.tree().close());
  connection.send(header(k_direct_message, 0xffffffff, 1, 1));
  CHECK(connection.closed_by_peer());
  CHECK_FALSE(host.said().has("4294967295"));
}

TEST_CASE("the host is told ten lines a second, and how many were left out", "[network]") {
  std::vector<std::string> lines;
  actors::Door door({}, [&lines](LogLevel, std::string_view line) { lines.emplace_back(line); });
  const actors::Door::Clock::time_point begin = actors::Door::Clock::now();
  for (int i = 0; i < 500; ++i) door.report(LogLevel::warning, "refused", begin + std::chrono::milliseconds(i));
  CHECK(lines == std::vector<std::string>(actors::Door::k_lines_max, "refused"));
  door.report(LogLevel::warning, "refused", begin + std::chrono::milliseconds(1'000));
  CHECK(lines.back() == "refused (490 lines about other processes were left out before)");
  door.report(LogLevel::warning, "refused", begin + std::chrono::milliseconds(1'001));
  CHECK(lines.back() == "refused");
  CHECK(lines.size() == actors::Door::k_lines_max + 2);
}

TEST_CASE("clients make spaces while there are few, and open those that there are", "[network]") {
  NetworkHost host(std::nullopt, {.spaces_max = 2});
  const auto client = host.peer({"open:one", "open:two", "open:one", "open:s"});
  CHECK(client->line() == "ok space");
  CHECK(client->line() == "not_found");
  CHECK(client->line() == "ok space");
  CHECK(client->line() == "ok space");
  CHECK(host.tree().store().spaces() == std::vector<std::string>{"one", "s"});
  must(host.tree().store().space("two"));
  CHECK(host.peer({"open:two"})->line() == "ok space");
}

TEST_CASE("what listens and is no store of this version is told in one line", "[network]") {
  Listener listener;
  CHECK(refusal(listener.port(), std::chrono::milliseconds(50)).starts_with("overloaded: no answer from 127.0.0.1"));
  // Another version of CAF, whose handshake has other contents; and another protocol.
  for (const std::string& greeting : {header(k_server_handshake, 4, 99) + "\xff\xff\xff\xff",
                                      std::string("HTTP/1.1 400 Bad Request\r\n\r\n12345678")}) {
    Listener server;
    server.greet_with(greeting);
    CHECK(refusal(server.port()).starts_with("unsupported: what listens at 127.0.0.1, port "));
  }
  Config config;
  caf::actor_system system(config);
  const caf::actor other =
      system.spawn<caf::hidden>([](caf::event_based_actor*) -> caf::behavior { return {[](caf::ping_atom) {}}; });
  const auto port = system.middleman().publish(other, 0, "127.0.0.1", true);
  REQUIRE(port);
  CHECK(refusal(*port).find("is no store of Actable") != std::string::npos);
  caf::anon_send_exit(other, caf::exit_reason::user_shutdown);
}

TEST_CASE("network options that cannot be are refused with what to do", "[network]") {
  const auto refused = [](caf::actor_system& system, NetworkOptions network) {
    const auto store = start(system, {}, {.network = std::move(network)});
    REQUIRE_FALSE(store.has_value());
    CHECK(outcome(store) == "invalid_argument");
    return store.error().message;
  };
  Config config;
  caf::actor_system system(config);
  CHECK(refused(system, {.address = "0.0.0.0"}).find("give load_network certificates") != std::string::npos);
  CHECK(refused(system, {.request_bytes_max = 1}).find("64 KiB to 64 MiB") != std::string::npos);
  CHECK(refused(system, {.connections_max = 0}).find("NetworkOptions::connections_max is 0") == 0);
  CHECK(refused(system, {.handshake_max = {}}).find("NetworkOptions::handshake_max is 0") == 0);
  const Listener taken;
  CHECK(refused(system, {.port = taken.port()}).find("choose another") != std::string::npos);
  caf::actor_system_config bare;
  caf::actor_system alone(bare);
  CHECK(refused(alone, {}).find("call load_network") != std::string::npos);
  CHECK(outcome(connect(alone, "127.0.0.1", 1)) == "invalid_argument");
  CHECK(message(load_network(bare, {.certificate = "/nowhere"})).find("Certificates::certificate") == 0);
  StoreActors unreachable = must(start(system, {}));
  CHECK(unreachable.port() == 0);
}

TEST_CASE("options and changes that there are not, from another process, are refused", "[network]") {
  Stage stage;
  const SpaceActor space = stage.space("s");
  const RequestOptions strange{.durability = static_cast<Durability>(7)};
  CHECK(outcome(stage.ask<Seq>(space, put_atom::value, "k", "v", strange)) == "invalid_argument");
  const std::vector<Change> changes{{Change::Kind::put, "s", "k", "v"}, {static_cast<Change::Kind>(7), "s", "k"}};
  CHECK(outcome(stage.ask<Seq>(stage.tree().store_actor(), write_atom::value, changes, RequestOptions{})) ==
        "invalid_argument");
  CHECK(must(stage.store().space("s")).size() == 0);
}

TEST_CASE("a deadline travels as the time that is left", "[network]") {
  Config config;
  caf::actor_system system(config);
  const auto sent = [&](RequestOptions options) {
    std::vector<char> bytes;
    caf::binary_serializer to(system, bytes);
    REQUIRE_FALSE(to(options));
    RequestOptions arrived;
    caf::binary_deserializer from(system, bytes);
    REQUIRE_FALSE(from(arrived));
    CHECK(arrived.durability == options.durability);
    return arrived.deadline;
  };
  using Clock = caf::actor_clock::clock_type;
  const auto soon = Clock::now() + std::chrono::minutes(1);
  const auto arrived = sent({.durability = Durability::sync, .deadline = soon});
  CHECK(arrived >= soon);
  CHECK(arrived <= Clock::now() + std::chrono::minutes(1));
  CHECK(sent({}) == caf::actor_clock::time_point::max());
  for (const auto past : {soon - std::chrono::hours(1), caf::actor_clock::time_point::min()}) {
    const auto passed = sent({.deadline = past});
    CHECK(passed < Clock::now());
  }
  CHECK(sent({.deadline = caf::actor_clock::time_point::max() - std::chrono::nanoseconds(1)}) > soon);
}

TEST_CASE("with certificates connections are encrypted, and who has none of the authority's is refused", "[network]") {
  const TemporaryDirectory directory;
  // The stranger trusts the host, whose authority does not know him.
  const std::string script =
      "set -e; cd '" + directory.path().string() +
      "'; authority() { openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=$1 -keyout $1.key -out $1.pem; }; "
      "sign() { openssl req -newkey rsa:2048 -nodes -subj /CN=$1 -keyout $1.key -out $1.csr; "
      "openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -out $1.pem; }; "
      "authority authority; sign host authority; sign client authority; "
      "mkdir stranger; cp authority.pem stranger; authority other; sign stranger other; "
      "mv stranger.pem stranger/client.pem; mv stranger.key stranger/client.key";
  Child maker("/bin/sh", {"-c", "exec 2>/dev/null >/dev/null; " + script});
  INFO("the program openssl makes the certificates: install it");
  REQUIRE(maker.wait() == 0);
  NetworkHost host(Certificates{
      .certificate = directory / "host.pem", .key = directory / "host.key", .authority = directory / "authority.pem"});
  const auto client = host.peer({"sync:k:v", "nested"}, directory.path().string());
  CHECK(client->line().starts_with("ok "));
  CHECK(must(host.space().get("k")) == "v");
  // What comes is looked at as without.
  until("it is refused", [&] { return host.said().has(k_nested); });
  const auto greedy = host.peer({"pairs:3:4000000"}, directory.path().string());
  until("it is refused", [&] { return host.said().has("announced a message of 12000"); });

  const auto stranger = host.peer({"put:stranger:v"}, (directory / "stranger").string());
  CHECK(stranger->wait() == 1);
  // What one that says nothing itself hears until it is disconnected: the host's
  // introduction, if he takes its certificate.
  const auto introductions = [&](const std::string& certificate) {
    Child listener("/bin/sh", {"-c", "cd '" + directory.path().string() + "'; openssl s_client -quiet " + certificate +
                                         " -CAfile authority.pem -connect 127.0.0.1:" + std::to_string(host.port()) +
                                         " </dev/null 2>/dev/null | grep -ac generic-caf-app"});
    return listener.line();
  };
  CHECK(introductions("-cert client.pem -key client.key") == "1");
  CHECK(introductions("-cert stranger/client.pem -key stranger/client.key") == "0");
  CHECK(introductions("") == "0");
  // In the clear: nothing that it sends makes sense to the host, or the other way round.
  const std::string refused = refusal(host.port(), std::chrono::seconds(2));
  CHECK((refused.starts_with("unsupported") || refused.starts_with("overloaded")));
  CHECK(host.space().size() == 1);
}
