#pragma once

#include <actable/result.h>

#include <expected>
#include <string>
#include <utility>

/// actable-shell: looks into a store, in a running process or in closed files.
namespace shell {

/// The statuses that the program ends with.
inline constexpr int k_status_done = 0;
/// The store was asked and said no, or has not what was asked for.
inline constexpr int k_status_failed = 1;
/// The question was no proper one, or nobody was there to ask.
inline constexpr int k_status_not_asked = 2;
/// It was done, with what was left: something had been lost before.
inline constexpr int k_status_lost = 3;
/// As shells have it: 128 and the number of SIGINT.
inline constexpr int k_status_interrupted = 130;

/// Why a command came to nothing, in one line.
struct Failure {
  int status = k_status_failed;
  std::string message{};
  /// Nothing was changed, and the same may be possible a little later.
  bool overloaded = false;
};

template <class T>
using Got = std::expected<T, Failure>;

[[nodiscard]] inline std::unexpected<Failure> failed(std::string message, int status = k_status_failed) {
  return std::unexpected(Failure{.status = status, .message = std::move(message)});
}

/// What was refused for the way it was asked is told from what the store has not.
[[nodiscard]] inline std::unexpected<Failure> failed(const actable::Error& error) {
  const bool not_asked = error.code == actable::ErrorCode::invalid_argument ||
                         error.code == actable::ErrorCode::unsupported || error.code == actable::ErrorCode::closed;
  return std::unexpected(Failure{.status = not_asked ? k_status_not_asked : k_status_failed,
                                 .message = error.message,
                                 .overloaded = error.code == actable::ErrorCode::overloaded});
}

}  // namespace shell
