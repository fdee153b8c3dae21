#pragma once

#include <actable/options.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace actable::actors {

/// What the connections of one port have in common: how many there may be, which
/// of them have yet to introduce themselves, and where the host is told of those
/// that were closed.
///
/// Thread safety: *synchronized*.
class Door {
 public:
  using Clock = std::chrono::steady_clock;
  using Log = std::function<void(LogLevel, std::string_view)>;

  struct Limits {
    std::size_t message_bytes_max;
    std::size_t connections_max;
    /// Until the client's side of the handshake is done.
    std::chrono::milliseconds handshake_max;
  };

  Door(Limits limits, Log log) : limits_(limits), log_(std::move(log)) {}

  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }

  /// False for a socket that is to be closed at once: there are as many as may be,
  /// or it takes one of the last descriptors that the process may have. The host is
  /// told when that begins.
  [[nodiscard]] bool admits(int socket);

  /// There is a connection over the socket, which has yet to introduce itself.
  void enter(int socket);
  /// It has.
  void introduced(int socket);
  /// It is about to be closed.
  void leave(int socket);

  /// Accepting has stopped; `resume` is called at the next `look`.
  void pause(std::function<void()> resume);

  /// Disconnects who has not introduced himself in time, and resumes what paused.
  /// False after closing: there is nothing more to look for.
  [[nodiscard]] bool look(Clock::time_point now = Clock::now());

  /// Tells the host, up to `k_lines_max` lines a second: others choose how often
  /// there is something to tell. The next line says how many were left out.
  void report(LogLevel level, const std::string& message, Clock::time_point now = Clock::now());
  static constexpr unsigned k_lines_max = 10;

  /// The host is told nothing more once this has returned; it waits for who is
  /// just telling. Disconnects those who have not introduced themselves.
  void close();

 private:
  struct Connection {
    Clock::time_point since;
    bool introduced = false;
    bool disconnected = false;
  };

  /// How many were silent since before then, and are disconnected; `mutex_` is held.
  std::size_t disconnect_silent(Clock::time_point before);

  const Limits limits_;
  std::mutex mutex_;
  // By socket: it is not closed before it has left.
  std::map<int, Connection> connections_;
  bool turns_away_ = false;
  std::function<void()> resume_;
  bool closed_ = false;
  // Held while the host is told.
  std::mutex log_mutex_;
  Log log_;
  // Of the second that began then.
  Clock::time_point lines_since_{};
  unsigned lines_ = 0;
  std::uint64_t lines_left_out_ = 0;
};

}  // namespace actable::actors
