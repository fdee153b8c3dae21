// A client of a process that does not take it.

#include "debug/client.h"
#include "debug/local_socket.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/temporary_directory.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace actable;
using namespace actable::debug;
using namespace actable::test;
using namespace std::chrono_literals;

namespace {

/// Listens as a process that is stopped: as many wait for it as may.
struct Stopped {
  TemporaryDirectory directory;
  Listener listener = must(Listener::open(directory.path()));
  std::vector<base::Descriptor> waiting = fill();

  std::vector<base::Descriptor> fill() {
    std::vector<base::Descriptor> all;
    while (true) {
      auto one = connect_in(directory.path());
      if (!one) {
        REQUIRE(outcome(one) == "overloaded");
        return all;
      }
      all.push_back(*std::move(one));
    }
  }
};

}  // namespace

TEST_CASE("who finds no room in the queue of a process gives up when its patience ends", "[client]") {
  const Stopped stopped;
  REQUIRE_FALSE(stopped.waiting.empty());
  const auto connected = Client::connect(stopped.directory.path(), {.patience = 50ms});
  CHECK(outcome(connected) == "indeterminate");
  CHECK_THAT(message(connected), ContainsSubstring("the process does not answer: it is stopped or very busy"));
}

TEST_CASE("who finds no room in the queue of a process can be interrupted", "[client]") {
  const Stopped stopped;
  std::atomic<bool> interrupted{false};
  std::thread presses([&] { interrupted = true; });
  const auto connected =
      Client::connect(stopped.directory.path(), {.patience = std::chrono::hours(1), .interrupted = &interrupted});
  presses.join();
  CHECK(outcome(connected) == "closed");
}

TEST_CASE("who finds no room in the queue of a process gets a place when there is one", "[client]") {
  Stopped stopped;
  std::thread goes_on([&] {
    // The client is the last one in the queue.
    for (std::size_t left = stopped.waiting.size() + 1; left > 0;) {
      pollfd polled{stopped.listener.descriptor(), POLLIN, 0};
      poll(&polled, 1, -1);
      auto accepted = must(stopped.listener.accept());
      if (!accepted) continue;
      --left;
      if (left == 0) {
        const std::string welcome = frame(encode(Welcome{.process = 42, .directory = "d"}));
        if (write(accepted->number(), welcome.data(), welcome.size()) != static_cast<ssize_t>(welcome.size())) return;
        // Until the client has read it.
        pollfd gone{accepted->number(), POLLRDHUP, 0};
        poll(&gone, 1, -1);
      }
    }
  });
  {
    const Client client = must(Client::connect(stopped.directory.path(), {.patience = 60s}));
    CHECK(client.welcome().process == 42);
  }
  goes_on.join();
}
