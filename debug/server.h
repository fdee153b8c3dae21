#pragma once

#include "base/descriptor.h"
#include "debug/local_socket.h"
#include "debug/protocol.h"
#include "debug/question.h"
#include "debug/session.h"

#include <actable/options.h>
#include <actable/result.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace actable::debug {

/// What the server calls, on its own thread. None of them may wait, or throw
/// anything but std::bad_alloc.
struct ServerHooks {
  /// Has somebody answer, now or later. False: nobody is there.
  std::function<bool(std::shared_ptr<Question>)> ask;
  /// The client has gone; what it had open may go, too.
  std::function<void(std::uint64_t client)> gone;
  /// For the host's log.
  std::function<void(LogLevel, const std::string&)> report;
};

/// Serves the clients of a store's debug socket: moves bytes, and knows nothing
/// of what they ask for. One thread, asleep while nobody asks; a client that
/// sends rubbish, stops in the middle or does not read is given up after a time
/// and costs nobody else anything.
///
/// Thread safety: *synchronized*.
class Server {
 public:
  /// The caller holds the directory's lock. Fails as Listener::open, and with
  /// no_memory where the system gives no thread.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(const std::filesystem::path& directory, ServerHooks hooks,
                                                             ServerLimits limits = {});
  /// Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Closes all connections and ends the thread. Not from a hook. Questions that
  /// are still open may be answered, to nobody.
  void stop();

 private:
  Server(Listener listener, base::Descriptor event, ServerHooks hooks, ServerLimits limits, std::string directory);
  [[nodiscard]] Result<void> begin();
  void run();
  void turn();
  void expire();
  [[nodiscard]] int time_to_wait() const;
  void accept_all();
  void welcome(base::Descriptor socket);
  void deliver_answers();
  template <class Step>
  void go_on(std::uint64_t client, Step&& step);
  void end(std::uint64_t client);
  void report(LogLevel level, const std::string& message) const noexcept;

  const ServerHooks hooks_;
  const ServerLimits limits_;
  const std::string directory_;
  // The thread's own.
  std::unique_ptr<Listener> listener_;
  std::map<std::uint64_t, std::unique_ptr<Session>> sessions_;
  std::uint64_t last_client_ = 0;
  std::uint64_t last_question_ = 0;
  // Until then no client is accepted: the system had no means for one.
  std::optional<Clock::time_point> accept_again_at_;

  // Shared with the questions that are open.
  const std::shared_ptr<Answers> answers_;
  std::atomic<bool> stopping_{false};
  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace actable::debug
