#pragma once

#include "base/descriptor.h"
#include "debug/local_socket.h"
#include "debug/protocol.h"
#include "debug/question.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace actable::debug {

using Clock = std::chrono::steady_clock;

/// What a client may take of the process's time and memory. There is a default
/// for each; tests have others.
struct ServerLimits {
  std::size_t clients_max = 8;
  /// From connecting to the last byte of the hello.
  std::chrono::milliseconds hello{5'000};
  /// From the first byte of a request to the last one.
  std::chrono::milliseconds request{10'000};
  /// From there until it is answered.
  std::chrono::milliseconds answer{30'000};
  /// For the client to read the reply.
  std::chrono::milliseconds reply{10'000};
};

/// One client's connection: at any time either its message is read, or an answer
/// is awaited, or one is written. While the second or third is the case nothing
/// is read, so that what a client has the process keep is one message and one reply.
///
/// Thread safety: *confined* to the server's thread.
class Session {
 public:
  enum class State : std::uint8_t {
    /// To `asking` with a request, or to its end.
    greeting,
    /// To `asked` with a request.
    asking,
    /// To `replying` with the answer.
    asked,
    /// To `asking` when all is written, or to its end if that was a refusal.
    replying,
  };

  Session(std::uint64_t client, base::Descriptor socket, const Peer& peer, const ServerLimits& limits,
          std::string directory);

  [[nodiscard]] const Asker& asker() const noexcept { return asker_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] int descriptor() const noexcept { return socket_.number(); }
  /// Until this time the state has to change; none if it may last.
  [[nodiscard]] std::optional<Clock::time_point> deadline() const noexcept { return deadline_; }

  /// What to wait for at the socket: events of poll.
  [[nodiscard]] short events() const noexcept;

  /// The socket has something to read or takes more: goes on. A request that
  /// has come whole is given out, once. False when the session is over.
  [[nodiscard]] bool proceed(std::optional<Request>& request);

  /// The request that was given out last is the server's question of that number.
  void number_question(std::uint64_t number) noexcept { question_ = number; }

  /// Answers that question, and gives out the next request if that has come
  /// already. An answer that nobody waits for is dropped. False when the session
  /// is over.
  [[nodiscard]] bool answer(std::uint64_t question, Result<Document> result, std::optional<Request>& request);

  /// The deadline has passed; as `answer`, where that was what it was for.
  [[nodiscard]] bool expire(std::optional<Request>& request);

  /// Says why, and ends once that is written.
  [[nodiscard]] bool refuse(const Error& error);

 private:
  [[nodiscard]] bool read(std::optional<Request>& request);
  [[nodiscard]] bool take(std::optional<Request>& request);
  [[nodiscard]] bool greet(const std::string& message);
  [[nodiscard]] bool reply(std::string message, bool last);
  [[nodiscard]] bool write();
  void enter(State state, std::optional<std::chrono::milliseconds> limit);

  Asker asker_;
  const base::Descriptor socket_;
  const ServerLimits& limits_;
  const std::string directory_;
  State state_ = State::greeting;
  std::optional<Clock::time_point> deadline_;
  FrameBuffer incoming_{k_request_bytes_max};
  std::string outgoing_;
  std::size_t written_ = 0;
  bool greeted_ = false;
  /// The session is over once this is written.
  bool last_ = false;
  std::uint64_t asked_id_ = 0;
  std::uint64_t question_ = 0;
};

}  // namespace actable::debug
