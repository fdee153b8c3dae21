#pragma once

#include <string_view>

namespace actable::lab::rot {

/// While it lives, a crash or a hang of this process says what it was about.
///
/// Thread safety: *confined* to one thread, one at a time.
class LastWords {
 public:
  LastWords();
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

  /// What comes now; and the time that it may take, half a minute, begins.
  void now(std::string_view what) noexcept;
};

}  // namespace actable::lab::rot
