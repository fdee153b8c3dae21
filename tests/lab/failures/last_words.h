#pragma once

#include <string>

namespace actable::lab {

/// While it lives: a crash of the program, or no end of it within the limit of
/// time, ends the program with these words, which say how to repeat it.
///
/// Thread safety: *confined* to one thread; one at a time.
class LastWords {
 public:
  explicit LastWords(std::string words);
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;

 private:
  const std::string words_;
};

}  // namespace actable::lab
