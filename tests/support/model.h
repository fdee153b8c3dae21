#pragma once

#include <actable/options.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace actable::test {

/// What a space should hold, as a plain map with the same operations. Each
/// returns what the space has to return; numbers are told with `numbered` once
/// they are known.
///
/// Thread safety: *confined* to one thread.
class Model {
 public:
  struct Held {
    std::string value;
    Seq seq = 0;
  };

  [[nodiscard]] std::optional<std::string> get(const std::string& key) const;
  /// 0 when absent.
  [[nodiscard]] Seq seq(const std::string& key) const;

  void put(const std::string& key, std::string value);
  bool erase(const std::string& key);
  bool put_if_absent(const std::string& key, std::string value);
  bool compare_and_set(const std::string& key, Seq expected, std::string value);
  /// Empty where the space has to refuse: no counter, or an overflow.
  std::optional<std::int64_t> add(const std::string& key, std::int64_t delta);
  std::optional<std::string> take(const std::string& key);

  /// Tells the number of the last write to the key. False when it is not above
  /// the numbers of all writes to this key before, erasures included.
  [[nodiscard]] bool numbered(const std::string& key, Seq seq);

  [[nodiscard]] std::size_t size() const noexcept { return live_.size(); }
  [[nodiscard]] const std::unordered_map<std::string, Held>& live() const noexcept { return live_; }

 private:
  std::unordered_map<std::string, Held> live_;
  std::unordered_map<std::string, Seq> numbers_;
};

/// A counter's 8 bytes, little-endian.
[[nodiscard]] std::string counter_bytes(std::int64_t number);

}  // namespace actable::test
