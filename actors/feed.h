#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

namespace actable::actors {

/// What somebody who looks at a running store is shown of what passes by. Over by
/// itself after so many items or a minute; takes so many a second, and so many
/// that nobody has fetched yet, and counts the rest.
///
/// Thread safety: *synchronized*.
template <class Item>
class Feed {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint64_t k_items_max = 10'000;
  static constexpr std::uint64_t k_per_second_max = 1'000;
  static constexpr std::size_t k_waiting_max = 1'000;
  static constexpr std::chrono::seconds k_time_max{60};

  explicit Feed(std::uint64_t items) : left_(items) {}

  /// Something passes by; `make()` says what, if it is wanted.
  template <class Make>
  void note(Make&& make) {
    const std::lock_guard lock(mutex_);
    if (over_now()) return;
    const std::int64_t second = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begun_).count();
    if (second != second_) {
      second_ = second;
      in_second_ = 0;
    }
    if (++in_second_ > k_per_second_max || waiting_.size() >= k_waiting_max) {
      ++dropped_;
      return;
    }
    waiting_.push_back(std::forward<Make>(make)());
    --left_;
  }

  /// Takes no more: all came, its time is up, or nobody fetches any more.
  [[nodiscard]] bool over() const {
    const std::lock_guard lock(mutex_);
    return over_now();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    left_ = 0;
  }

  struct Fetched {
    std::vector<Item> items;
    std::uint64_t dropped;
    bool more;
  };
  /// What came since the last call.
  [[nodiscard]] Fetched fetch() {
    const std::lock_guard lock(mutex_);
    Fetched fetched{
        {std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.end())}, dropped_, !over_now()};
    waiting_.clear();
    return fetched;
  }

 private:
  [[nodiscard]] bool over_now() const { return left_ == 0 || Clock::now() >= until_; }

  mutable std::mutex mutex_;
  std::uint64_t left_;
  const Clock::time_point begun_ = Clock::now();
  Clock::time_point until_ = begun_ + k_time_max;
  std::int64_t second_ = 0;
  std::uint64_t in_second_ = 0;
  std::uint64_t dropped_ = 0;
  std::deque<Item> waiting_;
};

}  // namespace actable::actors
