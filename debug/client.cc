#include "debug/client.h"

#include "debug/local_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace actable::debug {
namespace {

constexpr std::size_t k_read_bytes = std::size_t{64} << 10;

}  // namespace

Client::Client(base::Descriptor socket, Settings settings)
    : socket_(std::move(socket)), settings_(std::move(settings)) {}

Result<Client> Client::connect(const std::filesystem::path& directory, Settings settings) {
  Client client(base::Descriptor(), std::move(settings));
  client.give_up_at_ = std::chrono::steady_clock::now() + client.settings_.patience;
  if (auto reached = client.reach(directory); !reached) return std::unexpected(std::move(reached.error()));
  const std::string hello = encode(Hello{client.settings_.writes, client.settings_.name});
  // A process that turns us away need not have read it: what it says comes first.
  const auto sent = client.send_all(frame(hello));
  auto answer = client.receive();
  if (!answer) return std::unexpected(sent ? std::move(answer.error()) : sent.error());
  Result<Welcome> welcome = decode_welcome(*answer);
  if (!welcome) return std::unexpected(std::move(welcome.error()));
  client.welcome_ = *std::move(welcome);
  return client;
}

Result<Document> Client::ask(std::string command, Document::Map arguments) {
  if (!connected()) return ended();
  const Request request{++last_id_, std::move(command), Document(std::move(arguments))};
  const std::string message = encode(request);
  if (message.size() > k_request_bytes_max) {
    return fail(ErrorCode::too_large, "the request is " + std::to_string(message.size()) +
                                          " bytes long, and a request of the debug protocol may have 1 MiB");
  }
  give_up_at_ = std::chrono::steady_clock::now() + settings_.patience;
  if (auto sent = send_all(frame(message)); !sent) return std::unexpected(std::move(sent.error()));
  auto answer = receive();
  if (!answer) return std::unexpected(std::move(answer.error()));
  Result<Reply> reply = decode_reply(*answer);
  if (!reply) return lost(ErrorCode::corrupt, std::move(reply.error().message));
  if (reply->id != request.id && reply->result) return lost(ErrorCode::corrupt, "the process answered another request");
  return std::move(reply->result);
}

std::unexpected<Error> Client::lost(ErrorCode code, std::string message) {
  socket_ = base::Descriptor();
  return fail(code, std::move(message));
}

std::unexpected<Error> Client::ended() {
  return lost(ErrorCode::closed, "process " + std::to_string(welcome_.process) +
                                     " has ended or has closed the store; start actable-shell again to look at the "
                                     "files, or at the next process");
}

/// Connects, as soon as the process has taken some of those who wait before us.
Result<void> Client::reach(const std::filesystem::path& directory) {
  while (true) {
    auto socket = connect_in(directory);
    if (socket) {
      socket_ = *std::move(socket);
      return {};
    }
    if (socket.error().code != ErrorCode::overloaded) return std::unexpected(std::move(socket.error()));
    // Nothing tells when there is room: poll waits for its time alone.
    if (auto ready = look(0); !ready) return std::unexpected(std::move(ready.error()));
  }
}

Result<void> Client::wait(short events) {
  while (true) {
    auto ready = look(events);
    if (!ready) return std::unexpected(std::move(ready.error()));
    if (*ready) return {};
  }
}

/// Waits for the events, but no longer than people wait for an answer to Ctrl-C.
Result<bool> Client::look(short events) {
  const auto left = give_up_at_ - std::chrono::steady_clock::now();
  if (settings_.interrupted != nullptr && settings_.interrupted->load(std::memory_order_relaxed)) {
    return lost(ErrorCode::closed, "interrupted");
  }
  if (left <= left.zero()) {
    return lost(ErrorCode::indeterminate, "the process does not answer: it is stopped or very busy");
  }
  // A signal between the look at the flag and poll is noticed a moment later.
  constexpr std::int64_t k_look_ms = 100;
  const auto time = std::min(std::chrono::ceil<std::chrono::milliseconds>(left).count(), k_look_ms);
  // Of no socket poll sees nothing.
  pollfd polled{socket_.number(), events, 0};
  return poll(&polled, 1, static_cast<int>(time)) > 0;
}

Result<void> Client::send_all(const std::string& message) {
  std::size_t sent = 0;
  while (sent < message.size()) {
    if (auto ready = wait(POLLOUT); !ready) return ready;
    const ssize_t done = base::uninterrupted([&] {
      return send(socket_.number(), message.data() + sent, message.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (done < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      // It may have said why before it closed: the caller reads on.
      if (welcome_.process == 0) return fail(ErrorCode::closed, "the process closed the connection at once");
      return ended();
    }
    if (done > 0) sent += static_cast<std::size_t>(done);
  }
  return {};
}

Result<std::string> Client::receive() {
  while (true) {
    auto message = incoming_.take();
    if (!message) return lost(ErrorCode::corrupt, std::move(message.error().message));
    if (*message) return **std::move(message);
    if (auto ready = wait(POLLIN); !ready) return std::unexpected(std::move(ready.error()));
    std::array<char, k_read_bytes> bytes;
    const ssize_t got =
        base::uninterrupted([&] { return recv(socket_.number(), bytes.data(), bytes.size(), MSG_DONTWAIT); });
    if (got > 0) {
      incoming_.append({bytes.data(), static_cast<std::size_t>(got)});
    } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
      return ended();
    }
  }
}

}  // namespace actable::debug
