#include "debug/session.h"

#include "debug/printable.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace actable::debug {
namespace {

constexpr std::size_t k_read_bytes = std::size_t{64} << 10;

}  // namespace

Session::Session(std::uint64_t client, base::Descriptor socket, const Peer& peer, const ServerLimits& limits,
                 std::string directory)
    : asker_{.client = client, .peer = peer},
      socket_(std::move(socket)),
      limits_(limits),
      directory_(std::move(directory)) {
  enter(State::greeting, limits_.hello);
}

void Session::enter(State state, std::optional<std::chrono::milliseconds> limit) {
  state_ = state;
  deadline_ = limit ? std::optional(Clock::now() + *limit) : std::nullopt;
}

short Session::events() const noexcept {
  switch (state_) {
    case State::greeting:
    case State::asking:
      return POLLIN;
    case State::asked:
      // Only whether the client has gone.
      return POLLRDHUP;
    case State::replying:
      return POLLOUT;
  }
  return 0;
}

bool Session::proceed(std::optional<Request>& request) {
  switch (state_) {
    case State::greeting:
    case State::asking:
      return read(request);
    case State::asked:
      // It has closed its side: nobody reads the answer.
      return false;
    case State::replying:
      return write() && (state_ == State::replying || take(request));
  }
  return false;
}

bool Session::read(std::optional<Request>& request) {
  std::array<char, k_read_bytes> bytes;
  const ssize_t got =
      base::uninterrupted([&] { return recv(socket_.number(), bytes.data(), bytes.size(), MSG_DONTWAIT); });
  if (got == 0) return false;
  if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
  if (state_ == State::asking && !incoming_.partial()) enter(State::asking, limits_.request);
  incoming_.append({bytes.data(), static_cast<std::size_t>(got)});
  return take(request);
}

/// Goes on with what has been read, as far as a message is whole.
bool Session::take(std::optional<Request>& request) {
  auto message = incoming_.take();
  if (!message) return refuse(message.error());
  if (!*message) return true;
  if (state_ == State::greeting) {
    if (!greet(**message)) return false;
    // What came behind it is taken when the welcome is written.
    return state_ == State::replying || take(request);
  }
  Result<Request> decoded = decode_request(**message);
  if (!decoded) return refuse(decoded.error());
  asked_id_ = decoded->id;
  request = *std::move(decoded);
  enter(State::asked, limits_.answer);
  return true;
}

bool Session::greet(const std::string& message) {
  const Result<Hello> hello = decode_hello(message);
  if (!hello) return refuse(hello.error());
  asker_.writes = hello->writes;
  asker_.name = cut(hello->client, k_client_bytes_max);
  const std::string welcome = encode(
      Welcome{.writes = asker_.writes, .process = static_cast<std::uint64_t>(getpid()), .directory = directory_});
  greeted_ = true;
  return reply(welcome, false);
}

bool Session::answer(std::uint64_t question, Result<Document> result, std::optional<Request>& request) {
  if (state_ != State::asked || question != question_) return true;
  std::string message = encode(Reply{asked_id_, std::move(result)});
  return reply(std::move(message), false) && (state_ == State::replying || take(request));
}

bool Session::expire(std::optional<Request>& request) {
  if (state_ != State::asked) return false;
  return answer(
      question_,
      fail(ErrorCode::indeterminate, "the debug actor has not answered in " + std::to_string(limits_.answer.count()) +
                                         " ms: the scheduler's threads are busy; what was asked for may "
                                         "have been done or not"),
      request);
}

bool Session::refuse(const Error& error) {
  return reply(greeted_ ? encode(Reply{0, std::unexpected(error)}) : encode(Welcome{}, error), true);
}

bool Session::reply(std::string message, bool last) {
  outgoing_ = frame(message);
  written_ = 0;
  last_ = last;
  enter(State::replying, limits_.reply);
  return write();
}

bool Session::write() {
  while (written_ < outgoing_.size()) {
    const ssize_t done = base::uninterrupted([&] {
      return send(socket_.number(), outgoing_.data() + written_, outgoing_.size() - written_,
                  MSG_DONTWAIT | MSG_NOSIGNAL);
    });
    if (done < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    written_ += static_cast<std::size_t>(done);
  }
  if (last_) return false;
  // The memory of a large reply goes back.
  outgoing_ = {};
  written_ = 0;
  enter(State::asking, incoming_.partial() ? std::optional(limits_.request) : std::nullopt);
  return true;
}

}  // namespace actable::debug
