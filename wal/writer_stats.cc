#include "wal/writer.h"

#include <chrono>

/// What the writer tells of itself to other threads.
namespace actable::wal {
namespace {

std::int64_t ticks(Clock::time_point at) { return at.time_since_epoch().count(); }

}  // namespace

void Writer::count() noexcept {
  counters_.segments.store(segments_->live_count(), std::memory_order_relaxed);
  counters_.spare.store(segments_->spare_count(), std::memory_order_relaxed);
  counters_.live_bytes.store(segments_->live_bytes(), std::memory_order_relaxed);
  counters_.spare_bytes.store(segments_->spare_bytes(), std::memory_order_relaxed);
  counters_.taken_max.store(taken_max_, std::memory_order_relaxed);
  counters_.registered.store(queue_->memory_registered(), std::memory_order_relaxed);
  next_frame_shared_.store(next_frame_, std::memory_order_release);
}

LogStats Writer::stats() const {
  LogStats stats;
  stats.io = queue_->name();
  stats.registered_buffers = counters_.registered.load(std::memory_order_relaxed);
  stats.direct_io = direct_io_;
  stats.rounds = counters_.rounds.load(std::memory_order_relaxed);
  stats.syncs = counters_.syncs.load(std::memory_order_relaxed);
  stats.frames = counters_.frames.load(std::memory_order_relaxed);
  stats.written_bytes = counters_.written_bytes.load(std::memory_order_relaxed);
  stats.segments = counters_.segments.load(std::memory_order_relaxed);
  stats.segments_spare = counters_.spare.load(std::memory_order_relaxed);
  stats.live_bytes = live_bytes();
  stats.spare_bytes = counters_.spare_bytes.load(std::memory_order_relaxed);
  stats.staging_bytes = pool_.bytes();
  stats.nice = counters_.nice.load(std::memory_order_relaxed);
  stats.sync_duration_last = std::chrono::microseconds(counters_.sync_last_us.load(std::memory_order_relaxed));
  stats.sync_duration_max = std::chrono::microseconds(counters_.sync_max_us.load(std::memory_order_relaxed));
  for (const auto& count : counters_.sync_durations) {
    stats.sync_durations.push_back(count.load(std::memory_order_relaxed));
  }
  return stats;
}

std::chrono::microseconds Writer::lag() const noexcept {
  const auto since = [now = ticks(Clock::now())](std::int64_t at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::duration(now - at));
  };
  const std::int64_t unsynced = unsynced_since_shared_.load(std::memory_order_relaxed);
  if (unsynced != 0) return since(unsynced);
  // Held up in a slow call, the thread may not have seen what was staged since.
  const bool at_rest = idle() || durable_.number() >= epochs_.next_seq();
  return at_rest ? std::chrono::microseconds{0} : since(passed_at_.load(std::memory_order_relaxed));
}

}  // namespace actable::wal
