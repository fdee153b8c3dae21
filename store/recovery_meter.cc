#include "store/recovery_meter.h"

#include <algorithm>

namespace actable::store {
namespace {

constexpr std::chrono::milliseconds k_tell_every{100};

}  // namespace

void RecoveryMeter::pass(std::uint64_t bytes) {
  if (!tell_) return;
  read_.fetch_add(bytes, std::memory_order_relaxed);
  // Where another thread is at it, that is enough.
  const std::unique_lock lock(telling_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  const base::TimePoint now = base::Clock::now();
  if (now - told_at_ < k_tell_every) return;
  told_at_ = now;
  tell(std::min(read_.load(std::memory_order_relaxed), total_), now);
}

void RecoveryMeter::finish() {
  if (tell_) tell(total_, base::Clock::now());
}

void RecoveryMeter::tell(std::uint64_t read, base::TimePoint now) const {
  RecoveryProgress progress{.bytes_read = read, .bytes_total = total_};
  const auto took = std::chrono::duration<double, std::milli>(now - began_at_);
  if (read == total_) {
    progress.left = std::chrono::milliseconds(0);
  } else if (read > 0) {
    const double left = took.count() * static_cast<double>(total_ - read) / static_cast<double>(read);
    progress.left = std::chrono::milliseconds(static_cast<std::int64_t>(left));
  }
  tell_(progress);
}

}  // namespace actable::store
