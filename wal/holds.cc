#include "base/park.h"
#include "wal/writer.h"

#include <mutex>
#include <thread>

/// Who copies the log keeps its segments from being let go of meanwhile.
namespace actable::wal {

void Writer::hold_segments() {
  {
    const std::lock_guard lock(release_mutex_);
    ++holds_;
  }
  // One that was begun before ends by itself; none begins any more.
  const auto none_is_let_go = [this] { return !releasing_.load(std::memory_order_acquire); };
  ACTABLE_AWAIT("log.released", none_is_let_go);
  while (!none_is_let_go()) std::this_thread::yield();
}

void Writer::end_hold() noexcept {
  {
    const std::lock_guard lock(release_mutex_);
    --holds_;
  }
  wake();
}

}  // namespace actable::wal
