#pragma once

#include <string_view>

namespace actable::lab {

/// While it lives, a crash or a hang of this process is something that the leg
/// found: it says what it was about, and the process ends with status 1.
///
/// Thread safety: *confined* to one thread, one at a time.
class LastWords {
 public:
  explicit LastWords(std::string_view leg) noexcept;
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

  /// What comes now (a thousand bytes of it are kept); and the time that it may
  /// take, a minute, begins.
  void now(std::string_view what) noexcept;
};

}  // namespace actable::lab
