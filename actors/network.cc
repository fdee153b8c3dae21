#include "actors/network.h"

#include "actors/connections.h"
#include "actors/orders.h"

#include <actable/network.h>

#include <caf/event_based_actor.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace actable::actors {
namespace {

namespace net = caf::io::network;

constexpr std::size_t k_request_bytes_least = std::size_t{64} << 10;
constexpr std::size_t k_request_bytes_most = std::size_t{64} << 20;

constexpr std::size_t k_connections_most = std::size_t{1} << 16;
constexpr std::chrono::milliseconds k_handshake_most{3'600'000};

[[nodiscard]] bool of_this_machine(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

[[nodiscard]] Result<void> check(const caf::actor_system& system, const NetworkOptions& options) {
  if (!system.has_middleman()) {
    return fail(ErrorCode::invalid_argument,
                "ActorOptions::network needs CAF's network: call load_network of <actable/network.h> with the "
                "configuration before the actor system is made");
  }
  if (options.request_bytes_max < k_request_bytes_least || options.request_bytes_max > k_request_bytes_most) {
    return fail(ErrorCode::invalid_argument, "NetworkOptions::request_bytes_max is " +
                                                 std::to_string(options.request_bytes_max) +
                                                 "; it takes 64 KiB to 64 MiB");
  }
  if (options.connections_max < 1 || options.connections_max > k_connections_most) {
    return fail(ErrorCode::invalid_argument, "NetworkOptions::connections_max is " +
                                                 std::to_string(options.connections_max) + "; it takes 1 to 65,536");
  }
  if (options.handshake_max.count() < 1 || options.handshake_max > k_handshake_most) {
    return fail(ErrorCode::invalid_argument, "NetworkOptions::handshake_max is " +
                                                 std::to_string(options.handshake_max.count()) +
                                                 " ms; it takes 1 ms to an hour");
  }
  if (!system.has_openssl_manager() && !of_this_machine(options.address)) {
    return fail(ErrorCode::invalid_argument,
                "NetworkOptions::address is '" + options.address +
                    "', where others than this machine could connect and would have to "
                    "show nothing; give load_network certificates, or listen at 127.0.0.1");
  }
  return {};
}

[[nodiscard]] std::unexpected<Error> cannot_listen(const NetworkOptions& options) {
  return fail(ErrorCode::invalid_argument, "cannot listen at " + options.address + ", port " +
                                               std::to_string(options.port) +
                                               ": the port is taken or not for this user, or the address is not one of "
                                               "this machine; choose another");
}

/// Looks after the door until that is closed or gone.
[[nodiscard]] caf::behavior keeper(caf::event_based_actor* self, const std::weak_ptr<Door>& door,
                                   std::chrono::milliseconds every) {
  self->delayed_send(self, every, Look{});
  return {[self, door, every](const Look&) {
    const auto kept = door.lock();
    if (kept == nullptr || !kept->look()) return self->quit();
    self->delayed_send(self, every, Look{});
  }};
}

/// How often: often enough for nobody to stay silent for much longer than he may.
[[nodiscard]] std::chrono::milliseconds look_every(std::chrono::milliseconds handshake_max) {
  return std::clamp(handshake_max / 4, std::chrono::milliseconds(10), std::chrono::milliseconds(1'000));
}

}  // namespace

Result<Network> Network::open(caf::actor_system& system, const StoreActor& store, const NetworkOptions& options,
                              Log log) {
  if (auto checked = check(system, options); !checked) return std::unexpected(std::move(checked.error()));
  auto* const multiplexer = dynamic_cast<net::default_multiplexer*>(&system.middleman().backend());
  if (multiplexer == nullptr) {
    return fail(ErrorCode::invalid_argument, "ActorOptions::network works over CAF's default multiplexer only");
  }
  auto socket = net::new_tcp_acceptor_impl(options.port, options.address.c_str(), true);
  if (!socket) return cannot_listen(options);
  auto door = std::make_shared<Door>(
      Door::Limits{options.request_bytes_max, options.connections_max, options.handshake_max}, std::move(log));
  caf::io::doorman_ptr doorman = make_doorman(*multiplexer, *socket, door, system.has_openssl_manager());
  const std::uint16_t port = doorman->port();
  system.spawn<caf::hidden>(keeper, std::weak_ptr(door), look_every(options.handshake_max));
  // As CAF's own `publish` does when it has made its doorman.
  caf::anon_send(system.middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP")), caf::publish_atom::value,
                 std::move(doorman), port, caf::actor_cast<caf::strong_actor_ptr>(store),
                 system.message_types(caf::detail::type_list<StoreActor>{}));
  return Network(system.middleman().actor_handle().address(), std::move(door), port);
}

void Network::close() {
  door_->close();
  if (const auto manager = caf::actor_cast<caf::io::middleman_actor>(manager_)) {
    caf::anon_send(manager, caf::close_atom::value, port_);
  }
}

}  // namespace actable::actors
