#include "base/pwrite_queue.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <utility>

namespace actable::base {
namespace {

// Waiting longer is waiting for ever; the sum with the clock must not overflow.
constexpr std::chrono::nanoseconds k_timeout_max = std::chrono::hours(24 * 365);

/// Thread safety: *confined* to the log's thread, but for `wake`.
class PwriteQueue final : public WriteQueue {
 public:
  void add_memory(std::span<std::byte>) override {}

  void submit_write(File& file, std::uint64_t offset, std::span<const std::byte> bytes, std::uint64_t tag) override {
    make_room();
    complete(tag, file.write(offset, bytes));
  }

  void submit_sync(File& file, std::uint64_t tag) override {
    make_room();
    complete(tag, file.sync());
  }

  void wait(std::optional<std::chrono::nanoseconds> timeout, std::vector<Completion>& done) override {
    if (ready_.empty()) sleep(timeout);
    // acq_rel: the acquire lets the caller see what was done before the wake()
    // that this one answers.
    wake_pending_.exchange(false, std::memory_order_acq_rel);
    done.insert(done.end(), std::make_move_iterator(ready_.begin()), std::make_move_iterator(ready_.end()));
    ready_.clear();
  }

  void wake() noexcept override {
    // acq_rel: the release publishes what the caller did before, to the exchange
    // in wait(). An exchange and not a load first: a load may be done before the
    // caller's own stores are visible, and wait() could miss both.
    if (wake_pending_.exchange(true, std::memory_order_acq_rel)) return;
    // The waiter looks at the flag with the mutex held, so by now it has either
    // seen the flag or is asleep and hears the notification.
    { const std::lock_guard lock(mutex_); }
    woken_.notify_one();
  }

  [[nodiscard]] std::string name() const override { return "pwrite"; }
  [[nodiscard]] bool memory_registered() const noexcept override { return false; }

 private:
  /// For a completion, before the request: what was done must be told.
  void make_room() {
    if (ready_.size() == ready_.capacity()) ready_.reserve(2 * ready_.size() + 1);
  }

  void complete(std::uint64_t tag, Result<void> outcome) {
    Completion completion{tag, std::nullopt};
    if (!outcome) completion.error = std::move(outcome).error();
    ready_.push_back(std::move(completion));
  }

  void sleep(std::optional<std::chrono::nanoseconds> timeout) {
    // relaxed: the exchange in wait() is what orders.
    const auto is_woken = [this] { return wake_pending_.load(std::memory_order_relaxed); };
    std::unique_lock lock(mutex_);
    if (!timeout) {
      woken_.wait(lock, is_woken);
    } else {
      woken_.wait_until(lock, std::chrono::steady_clock::now() + std::min(*timeout, k_timeout_max), is_woken);
    }
  }

  std::vector<Completion> ready_;
  std::atomic<bool> wake_pending_{false};
  std::mutex mutex_;
  std::condition_variable woken_;
};

}  // namespace

std::unique_ptr<WriteQueue> make_pwrite_queue() { return std::make_unique<PwriteQueue>(); }

}  // namespace actable::base
