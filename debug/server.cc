#include "debug/server.h"

#include "base/file_error.h"
#include "base/signals.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

namespace actable::debug {

Result<std::unique_ptr<Server>> Server::start(const std::filesystem::path& directory, ServerHooks hooks,
                                              ServerLimits limits) {
  Result<Listener> listener = Listener::open(directory);
  if (!listener) return std::unexpected(std::move(listener.error()));
  base::Descriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) {
    return std::unexpected(
        base::file_error(ErrorCode::io_error, "make an event for", directory / k_socket_name, errno));
  }
  std::unique_ptr<Server> server(
      new Server(*std::move(listener), std::move(event), std::move(hooks), limits, directory.string()));
  if (auto begun = server->begin(); !begun) return std::unexpected(std::move(begun.error()));
  return server;
}

Server::Server(Listener listener, base::Descriptor event, ServerHooks hooks, ServerLimits limits, std::string directory)
    : hooks_(std::move(hooks)),
      limits_(limits),
      directory_(std::move(directory)),
      listener_(std::make_unique<Listener>(std::move(listener))),
      answers_(std::make_shared<Answers>(std::move(event))) {}

Server::~Server() { stop(); }

Result<void> Server::begin() {
  try {
    // The host's handlers run on the host's threads.
    const base::AllSignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
    return {};
  } catch (const std::system_error& error) {
    return fail(ErrorCode::no_memory, std::string("the system gives no thread for the debug socket (") + error.what() +
                                          "); raise its limits");
  }
}

void Server::stop() {
  const std::lock_guard lock(stop_mutex_);
  if (!thread_.joinable()) return;
  // release: nothing but itself; the thread ends where it sees it.
  stopping_.store(true, std::memory_order_release);
  answers_->wake();
  thread_.join();
}

void Server::run() {
  while (!stopping_.load(std::memory_order_acquire)) {
    try {
      turn();
    } catch (const std::bad_alloc&) {
      // Clients are worth less than the store: all of them go.
      while (!sessions_.empty()) end(sessions_.begin()->first);
    }
  }
  while (!sessions_.empty()) end(sessions_.begin()->first);
  listener_.reset();
}

void Server::turn() {
  std::vector<pollfd> polled;
  std::vector<std::uint64_t> clients;
  polled.push_back({answers_->event(), POLLIN, 0});
  if (accept_again_at_ && *accept_again_at_ <= Clock::now()) accept_again_at_.reset();
  // A negative one is passed over.
  polled.push_back({accept_again_at_ ? -1 : listener_->descriptor(), POLLIN, 0});
  for (const auto& [client, session] : sessions_) {
    polled.push_back({session->descriptor(), session->events(), 0});
    clients.push_back(client);
  }
  if (poll(polled.data(), polled.size(), time_to_wait()) < 0) return;
  deliver_answers();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (polled[i + 2].revents == 0) continue;
    go_on(clients[i], [](Session& session, std::optional<Request>& request) { return session.proceed(request); });
  }
  if (polled[1].revents != 0) accept_all();
  expire();
}

/// Has the session make a step, asks what it then gives out, and lets it go where
/// it is over.
template <class Step>
void Server::go_on(std::uint64_t client, Step&& step) {
  const auto found = sessions_.find(client);
  if (found == sessions_.end()) return;
  Session& session = *found->second;
  std::optional<Request> request;
  bool lives = step(session, request);
  while (lives && request) {
    session.number_question(++last_question_);
    const auto question = std::make_shared<Question>(session.asker(), *std::move(request), last_question_, answers_);
    request.reset();
    if (hooks_.ask(question)) return;
    question->withdraw();
    lives = session.answer(last_question_,
                           fail(ErrorCode::overloaded,
                                "the debug actor is not there: it crashed and is about to be started again or was "
                                "given up, or the store is being closed; nothing was changed, try again later"),
                           request);
  }
  if (!lives) end(client);
}

void Server::deliver_answers() {
  for (Answers::Answer& answer : answers_->take()) {
    go_on(answer.client, [&answer](Session& session, std::optional<Request>& request) {
      return session.answer(answer.question, std::move(answer.result), request);
    });
  }
}

void Server::expire() {
  const Clock::time_point now = Clock::now();
  std::vector<std::uint64_t> expired;
  for (const auto& [client, session] : sessions_) {
    if (session->deadline() && *session->deadline() <= now) expired.push_back(client);
  }
  for (const std::uint64_t client : expired) {
    go_on(client, [](Session& session, std::optional<Request>& request) { return session.expire(request); });
  }
}

/// Milliseconds as poll has them: until the first deadline, rounded up.
int Server::time_to_wait() const {
  std::optional<Clock::time_point> first = accept_again_at_;
  for (const auto& [client, session] : sessions_) {
    if (session->deadline()) first = first ? std::min(*first, *session->deadline()) : *session->deadline();
  }
  if (!first) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - Clock::now()).count();
  constexpr std::int64_t k_hour_ms = 3'600'000;
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, k_hour_ms));
}

void Server::accept_all() {
  constexpr std::chrono::seconds k_pause{1};
  while (true) {
    auto socket = listener_->accept();
    if (!socket) {
      // Else `poll` would say at once that somebody waits.
      accept_again_at_ = Clock::now() + k_pause;
      return;
    }
    if (!*socket) return;
    welcome(**std::move(socket));
  }
}

void Server::welcome(base::Descriptor socket) {
  const std::optional<Peer> peer = peer_of(socket.number());
  // The system lets nobody else connect to a socket of mode 0600, unless the file
  // system knows no permissions.
  if (!peer || !Listener::may_connect(*peer)) {
    report(LogLevel::warning, "the debug socket turned a client of user " +
                                  (peer ? std::to_string(peer->user) : std::string("?")) + " away");
    return;
  }
  auto session = std::make_unique<Session>(++last_client_, std::move(socket), *peer, limits_, directory_);
  if (sessions_.size() >= limits_.clients_max) {
    // What fits into the socket at once, which is all of it.
    (void)session->refuse({ErrorCode::overloaded, "this process serves " + std::to_string(limits_.clients_max) +
                                                      " debug clients already: end one of them, or try again later"});
    return;
  }
  sessions_.emplace(last_client_, std::move(session));
}

void Server::end(std::uint64_t client) {
  sessions_.erase(client);
  try {
    hooks_.gone(client);
  } catch (const std::bad_alloc&) {
    // What it had open stays until the next time the actor is started.
  }
}

void Server::report(LogLevel level, const std::string& message) const noexcept {
  try {
    hooks_.report(level, message);
  } catch (...) {
    // It is a function of the host's, which is not to throw.
  }
}

}  // namespace actable::debug
