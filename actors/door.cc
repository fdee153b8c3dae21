#include "actors/door.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace actable::actors {
namespace {

/// Descriptors that are left to the host and to the store, whose log opens a file
/// now and then: 64, or a quarter of what there is where that is less. A new
/// descriptor is the lowest that is free, so its number tells how many are in use.
[[nodiscard]] bool is_one_of_the_last(int descriptor) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  const rlim_t kept = std::min<rlim_t>(64, limit.rlim_cur / 4);
  return static_cast<rlim_t>(descriptor) >= limit.rlim_cur - kept;
}

}  // namespace

bool Door::admits(int socket) {
  std::string why;
  {
    const std::lock_guard lock(mutex_);
    if (connections_.size() >= limits_.connections_max) {
      why = "there are " + std::to_string(connections_.size()) + " (NetworkOptions::connections_max)";
    } else if (is_one_of_the_last(socket)) {
      why = "the process has few descriptors left (RLIMIT_NOFILE)";
    }
    if (why.empty()) {
      turns_away_ = false;
      return true;
    }
    if (std::exchange(turns_away_, true)) return false;
  }
  report(LogLevel::warning, "connections from other processes are closed as they come: " + why);
  return false;
}

void Door::enter(int socket) {
  const std::lock_guard lock(mutex_);
  connections_[socket] = {.since = Clock::now()};
}

void Door::introduced(int socket) {
  const std::lock_guard lock(mutex_);
  if (const auto found = connections_.find(socket); found != connections_.end()) found->second.introduced = true;
}

void Door::leave(int socket) {
  const std::lock_guard lock(mutex_);
  connections_.erase(socket);
}

void Door::pause(std::function<void()> resume) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) resume_.swap(resume);
  }
  // What was swapped out, if anything, goes here: it may hold the last of a doorman.
}

std::size_t Door::disconnect_silent(Clock::time_point before) {
  std::size_t count = 0;
  for (auto& [socket, connection] : connections_) {
    if (connection.introduced || connection.disconnected || connection.since > before) continue;
    // CAF finds that the other side has ended, and closes it. It cannot be another
    // connection's by now: who closes it leaves first, which takes our lock.
    (void)::shutdown(socket, SHUT_RDWR);
    connection.disconnected = true;
    ++count;
  }
  return count;
}

bool Door::look(Clock::time_point now) {
  std::function<void()> resume;
  std::size_t silent = 0;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    resume.swap(resume_);
    silent = disconnect_silent(now - limits_.handshake_max);
  }
  if (resume) resume();
  if (silent != 0) {
    report(LogLevel::warning, std::to_string(silent) + " connected and did not say who they are in " +
                                  std::to_string(limits_.handshake_max.count()) +
                                  " ms; they are disconnected (NetworkOptions::handshake_max)");
  }
  return true;
}

void Door::report(LogLevel level, const std::string& message, Clock::time_point now) {
  const std::lock_guard lock(log_mutex_);
  if (!log_) return;
  if (now - lines_since_ >= std::chrono::seconds(1)) {
    lines_since_ = now;
    lines_ = 0;
  }
  if (lines_ == k_lines_max) {
    ++lines_left_out_;
    return;
  }
  ++lines_;
  if (const std::uint64_t left_out = std::exchange(lines_left_out_, 0); left_out != 0) {
    log_(level, message + " (" + std::to_string(left_out) + " lines about other processes were left out before)");
  } else {
    log_(level, message);
  }
}

void Door::close() {
  std::function<void()> resume;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    resume.swap(resume_);
    (void)disconnect_silent(Clock::time_point::max());
  }
  const std::lock_guard lock(log_mutex_);
  log_ = nullptr;
}

}  // namespace actable::actors
