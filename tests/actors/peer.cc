// A program that tests start: a client of a store in another process. Says on its
// standard output what came of each thing that it was told to do, in a line, and
// goes on until its standard input ends.
//
//   test_actors_peer PORT CERTIFICATES COMMAND…
//
// CERTIFICATES is a directory with client.pem, client.key and authority.pem, or
// `plain`. Commands: put:KEY:VALUE, sync:KEY:VALUE, late:KEY, get:KEY, pairs:COUNT:BYTES,
// open:SPACE, stats, subscribe, nonsense, nested, durability, wait.

#include "tests/support/results.h"

#include <actable/network.h>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace actable;
using namespace actable::test;

constexpr std::chrono::minutes k_patience{1};

// In one piece, whichever thread says it.
void say(const std::string& line) { std::cout << line + "\n" << std::flush; }

template <class T>
std::string text_of(const T& value) {
  return std::to_string(value);
}
std::string text_of(const Found& found) { return found ? found.value : "absent"; }
std::string text_of(const SpaceActor&) { return "space"; }
std::string text_of(const SpaceStats& stats) { return std::to_string(stats.keys) + " keys"; }

std::vector<std::string> parts_of(const std::string& command) {
  std::vector<std::string> parts{""};
  for (const char c : command) {
    if (c == ':') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  parts.resize(3);
  return parts;
}

/// Writes down what it is told, and answers.
DurableSubscriber::behavior_type subscriber(DurableSubscriber::pointer) {
  return {[](durable_atom, Seq seq) { say("durable " + std::to_string(seq)); },
          [](failed_atom, const std::string& reason) { say("failed " + reason); }};
}

class Peer {
 public:
  Peer(caf::actor_system& system, std::uint16_t port)
      : system_(system), self_(system), store_(must(connect(system, "127.0.0.1", port, k_patience))) {
    space_ = must(ask<SpaceActor>(store_, open_atom::value, std::string("s")));
  }

  // The actor system, which waits for its actors, would wait for ever; and CAF does
  // not survive one that others know of and that is still there after it.
  ~Peer() {
    for (const DurableSubscriber& actor : subscribers_) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void obey(const std::vector<std::string>& command) {
    const std::string &verb = command[0], &key = command[1], &value = command[2];
    const RequestOptions plain;
    if (verb == "put") tell<Seq>(space_, put_atom::value, key, value, plain);
    if (verb == "sync") tell<Seq>(space_, put_atom::value, key, value, RequestOptions{.durability = Durability::sync});
    if (verb == "late") tell<Seq>(space_, put_atom::value, key, key, RequestOptions{.deadline = system_.clock().now()});
    if (verb == "get") tell<Found>(space_, get_atom::value, key, plain);
    if (verb == "pairs") tell<Seq>(space_, put_atom::value, pairs(std::stoul(key), std::stoul(value)), plain);
    if (verb == "open") tell<SpaceActor>(store_, open_atom::value, key);
    if (verb == "nested") tell<Seq>(store_, caf::ping_atom::value, caf::make_message(caf::ping_atom::value));
    if (verb == "stats") tell<SpaceStats>(space_, stats_atom::value);
    if (verb == "nonsense") tell<Seq>(space_, caf::ping_atom::value, std::string("nonsense"));
    if (verb == "durability") {
      tell<Seq>(space_, put_atom::value, key, value, RequestOptions{.durability = static_cast<Durability>(7)});
    }
    if (verb == "subscribe") subscribe();
    // Nobody hears the answer.
    if (verb == "wait") {
      self_->send(caf::actor_cast<caf::actor>(space_), put_atom::value, key, value, plain);
      (void)self_->request(caf::actor_cast<caf::actor>(space_), caf::infinite, put_atom::value, key, value,
                           RequestOptions{.durability = Durability::sync});
      say("asked");
    }
  }

 private:
  static Pairs pairs(std::size_t count, std::size_t bytes) {
    Pairs pairs;
    for (std::size_t i = 0; i < count; ++i) pairs.add("pair-" + std::to_string(i), std::string(bytes, 'v'));
    return pairs;
  }

  template <class T, class Handle, class... Ts>
  Result<T> ask(const Handle& whom, Ts&&... message) {
    Result<T> came = fail(ErrorCode::indeterminate, "no answer");
    self_->request(caf::actor_cast<caf::actor>(whom), k_patience, std::forward<Ts>(message)...)
        .receive([&](T& value) { came = std::move(value); },
                 [&](const caf::error& error) { came = std::unexpected(to_error(error)); });
    return came;
  }

  template <class T, class Handle, class... Ts>
  void tell(const Handle& whom, Ts&&... message) {
    const Result<T> came = ask<T>(whom, std::forward<Ts>(message)...);
    say(came ? "ok " + text_of(*came) : std::string(to_string(came.error().code)));
  }

  void subscribe() {
    const LogActor log = must(ask<LogActor>(store_, log_atom::value));
    const DurableSubscriber actor = subscribers_.emplace_back(system_.spawn(subscriber));
    self_->request(log, k_patience, subscribe_atom::value, actor, Seq{0})
        .receive([] { say("subscribed"); }, [](const caf::error& error) { say(to_error(error).message); });
  }

  caf::actor_system& system_;
  caf::scoped_actor self_;
  const StoreActor store_;
  SpaceActor space_;
  std::vector<DurableSubscriber> subscribers_;
};

void run(std::uint16_t port, const std::filesystem::path& certificates, const std::vector<std::string>& commands) {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 2);
  if (certificates == "plain") {
    load_network(config);
  } else {
    must(load_network(config, {.certificate = certificates / "client.pem",
                               .key = certificates / "client.key",
                               .authority = certificates / "authority.pem"}));
  }
  caf::actor_system system(config);
  Peer peer(system, port);
  for (const std::string& command : commands) peer.obey(parts_of(command));
  for (char c = 0; std::cin.get(c);) continue;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(static_cast<std::uint16_t>(std::stoul(argv[1])), argv[2], {argv + 3, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    say(error.what());
    return 1;
  }
}
