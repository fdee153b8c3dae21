// A small service built of actors around a store: sessions with typed values, a
// rate limiter on counters, an actor that answers only when what it promises is
// on disk, and a line on the log now and then. Users come over the loopback
// network with a line a request (front.h); SIGINT or SIGTERM stops it, and what
// it has said yes to is on disk then, and there when it runs again.
//
//   service DIRECTORY [PORT [SECONDS]]
//
// PORT 0, or none, takes one that is free; SECONDS lie between lines on the log.
// It has the debug socket: `actable-shell DIRECTORY` looks into it while it runs.

#include "examples/service/front.h"
#include "examples/service/limiter.h"
#include "examples/service/reporter.h"
#include "examples/service/sessions.h"

#include <actable/actors.h>

#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

namespace {

using namespace service;
using actable::Result;

constexpr std::int64_t k_requests_per_second_max = 20;

struct Arguments {
  std::filesystem::path directory;
  std::uint16_t port = 0;
  double report_s = 10;
};

template <class T>
bool read(const char* text, T& value) {
  const char* const end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, value);
  return error == std::errc() && at == end;
}

std::optional<Arguments> arguments_of(int argc, char** argv) {
  Arguments arguments;
  if (argc < 2 || argc > 4) return std::nullopt;
  arguments.directory = argv[1];
  if (argc > 2 && !read(argv[2], arguments.port)) return std::nullopt;
  if (argc > 3 && (!read(argv[3], arguments.report_s) || !(arguments.report_s >= 0.001) || arguments.report_s > 1e6)) {
    return std::nullopt;
  }
  return arguments;
}

/// In every thread of the process, those of the actor system too: they are
/// waited for in one place.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

/// The service's own actors.
struct Cast {
  SessionsActor sessions;
  caf::actor reporter;
  caf::actor front;
};

Result<Cast> spawn_all(caf::actor_system& system, actable::StoreActors& store, const Arguments& arguments) {
  auto spaces = SessionSpaces::open(store.store());
  if (!spaces) return std::unexpected(spaces.error());
  auto counters = store.store().space("requests", {.logged = false});
  if (!counters) return std::unexpected(counters.error());
  const Limiter limiter(*std::move(counters), k_requests_per_second_max);
  const auto interval = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.report_s * 1e3));
  Cast cast;
  cast.sessions = system.spawn(sessions, *std::move(spaces), store.log());
  cast.reporter = system.spawn(reporter, store.actor(), limiter, interval);
  cast.front = system.middleman().spawn_broker(front, Backend{cast.sessions, limiter});
  return cast;
}

Result<std::uint16_t> listen(caf::actor_system& system, const Cast& cast, std::uint16_t port) {
  Result<std::uint16_t> listening = 0;
  caf::scoped_actor self{system};
  self->request(cast.front, caf::infinite, listen_atom::value, port)
      .receive([&](std::uint16_t opened) { listening = opened; },
               [&](const caf::error&) {
                 listening = actable::fail(
                     actable::ErrorCode::invalid_argument,
                     "cannot listen on port " + std::to_string(port) + "; it is taken, or not for you: choose another");
               });
  return listening;
}

void end(const Cast& cast) {
  caf::anon_send_exit(cast.front, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(cast.reporter, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(cast.sessions, caf::exit_reason::user_shutdown);
}

/// Until a signal comes.
Result<void> serve(caf::actor_system& system, const Arguments& arguments, const sigset_t& signals) {
  auto store = actable::start(system, {.directory = arguments.directory, .debug_socket = true});
  if (!store) return std::unexpected(store.error());
  const auto cast = spawn_all(system, *store, arguments);
  if (!cast) return std::unexpected(cast.error());
  const auto port = listen(system, *cast, arguments.port);
  if (port) {
    std::printf("listening on 127.0.0.1:%u\n", *port);
    std::printf("to look inside: actable-shell %s\n", arguments.directory.c_str());
    std::fflush(stdout);
    int signal = 0;
    sigwait(&signals, &signal);
  }
  end(*cast);
  const auto stopped = store->stop();
  if (!port) return std::unexpected(port.error());
  return stopped;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = arguments_of(argc, argv);
  if (!arguments) {
    std::fprintf(stderr, "usage: %s DIRECTORY [PORT [SECONDS]]\n", argv[0]);
    return 2;
  }
  const sigset_t signals = block_signals();
  caf::actor_system_config config;
  config.load<caf::io::middleman>();
  // Threads without work sleep soon: <actable/actors.h> says why.
  config.set("work-stealing.moderate-poll-attempts", std::size_t{10});
  config.set("work-stealing.relaxed-sleep-duration", caf::timespan(std::chrono::milliseconds(50)));
  caf::actor_system system(config);
  const auto served = serve(system, *arguments, signals);
  if (!served) {
    std::fprintf(stderr, "service: %s\n", served.error().message.c_str());
    return 1;
  }
  std::printf("stopped; all is on disk\n");
  return 0;
}
