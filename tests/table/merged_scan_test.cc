// A scan of a merged segment of which one entry leads to what has replaced it, and
// another one does not yet: two threads are stopped for that.

#include "base/park.h"
#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

using namespace actable;
using namespace actable::test;

namespace {

/// A thread that stops when it comes to a step for the `nth` time; there may be
/// several.
///
/// Thread safety: *confined* to the test.
class StoppedThread {
 public:
  StoppedThread(std::string point, unsigned nth, std::function<void()> work)
      : point_(std::move(point)), left_(nth), thread_([this, work = std::move(work)] {
          t_own = this;
          work();
          const std::lock_guard lock(mutex_);
          over_ = true;
          changed_.notify_all();
        }) {}
  ~StoppedThread() { resume(); }
  StoppedThread(const StoppedThread&) = delete;
  StoppedThread& operator=(const StoppedThread&) = delete;

  /// Waits until it has; false when it has ended instead.
  [[nodiscard]] bool stopped() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || over_; });
    return stopped_;
  }
  /// Lets it go and waits until it has ended.
  void resume() {
    {
      const std::lock_guard lock(mutex_);
      goes_on_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  /// Any thread has come to a step.
  static void reach(std::string_view step) {
    if (t_own != nullptr) t_own->come_to(step);
  }

 private:
  void come_to(std::string_view step) {
    if (step != point_ || left_ == 0 || --left_ != 0) return;
    std::unique_lock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return goes_on_; });
  }

  static thread_local StoppedThread* t_own;

  const std::string point_;
  unsigned left_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  bool goes_on_ = false;
  bool over_ = false;
  std::jthread thread_;
};

thread_local StoppedThread* StoppedThread::t_own = nullptr;

/// Has every thread's steps come to `StoppedThread`; time and chance stay real.
class Steps final : public base::Simulation {
 public:
  Steps() { base::park::simulate(this); }
  ~Steps() override { base::park::simulate(nullptr); }
  [[nodiscard]] base::TimePoint now() noexcept override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] std::uint64_t random_word() override { return random_(); }
  void reach(std::string_view step) override { StoppedThread::reach(step); }
  void await(std::string_view, const std::function<bool()>&, std::optional<base::TimePoint>) override {}

 private:
  Random random_{seed()};
};

}  // namespace

TEST_CASE("a scan takes a merged segment's records from what has replaced it, whatever entry it came through") {
  constexpr std::uint64_t k_stay = 50;
  Table table;
  const auto key_in = [&table](std::uint64_t half, std::uint64_t i) {
    return table.key_at((half << 63 | i << 20) + i % 128, half << 32 | i);
  };
  // One segment for either half of all hashes, and one entry: they have not been split
  // further.
  std::uint64_t keys = 0;
  for (; table.stats().segments < 2; ++keys) {
    for (const std::uint64_t half : {0, 1}) table.put(key_in(half, keys), "v");
  }
  Content due;
  for (std::uint64_t i = 0; i < keys; ++i) {
    for (const std::uint64_t half : {0, 1}) {
      if (i < k_stay) {
        due[key_in(half, i)] = Held{"v", table.last_number(key_in(half, i))};
      } else {
        table.erase(key_in(half, i));
      }
    }
  }
  table.epochs.advance();
  table.epochs.advance();
  REQUIRE(table.stats().segments == 2);

  const Steps steps;
  // They are merged, and the left half's entry leads to the merged segment.
  StoppedThread merger("table.swing", 2, [&] {
    const base::ReadPin pin(table.epochs, table.slot());
    table::TidyPosition position;
    expect(table.under_test().tidy(table.cache(), position, 1'000), "memory is exhausted");
  });
  REQUIRE(merger.stopped());
  // The left half grows until the merged segment is split; no entry shows that yet.
  StoppedThread writer("table.swing", 1, [&] {
    for (std::uint64_t i = 0; i < 2'000; ++i) table.put(key_in(0, 5'000 + i), "passing");
    for (std::uint64_t i = 0; i < 2'000; ++i) table.erase(key_in(0, 5'000 + i));
  });
  REQUIRE(writer.stopped());
  REQUIRE(table.stats().merges == 1);
  // Now the right half's entry leads to its part of what was split.
  merger.resume();
  for (std::uint64_t i = 0; i < k_stay; i += 2) {
    const std::string key = key_in(1, i);
    due[key] = Held{"new", table.put(key, "new")};
  }
  table.erase(key_in(1, 1));
  due.erase(key_in(1, 1));

  Content found;
  for (table::ScanPosition position; !position.done;) {
    table.scan(position, [&](const table::Record& record) {
      if (record.value() == "passing") return;
      CHECK(found.emplace(record.key(), Held{std::string(record.value()), record.seq()}).second);
    });
  }
  CHECK(difference(found, due) == "");
  writer.resume();
  CHECK(differs_from(table, due) == "");
}
