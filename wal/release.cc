#include "base/failure.h"
#include "wal/writer.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

/// The writer's part that lets go of segments, and keeps them while they are copied.
namespace actable::wal {

void Writer::release_before(std::uint64_t frame_number, std::uint64_t spare_bytes_max,
                            std::function<Result<void>(std::uint64_t, std::uint64_t)> publish) {
  {
    const std::lock_guard lock(release_mutex_);
    release_ = Release{frame_number, spare_bytes_max, std::move(publish)};
  }
  wake();
}

void Writer::step_release() {
  // Where the log has failed somebody may be beginning another (wal/beginning.h), who says
  // where that begins.
  if (failed_) return;
  std::optional<Release> release;
  {
    const std::lock_guard lock(release_mutex_);
    if (holds_ != 0) return;
    release = std::exchange(release_, std::nullopt);
    if (!release || release_failed_) return;
    releasing_.store(true, std::memory_order_relaxed);
  }
  // Also when memory runs out on the way.
  struct End {
    std::atomic<bool>& releasing;
    // release: where the log begins now; pairs with the acquires in `hold_segments`.
    ~End() { releasing.store(false, std::memory_order_release); }
  } const end{releasing_};
  carry_out(*release);
}

void Writer::carry_out(const Release& release) {
  // The log must go on to begin with a segment that is on disk, a marker behind it.
  const std::uint64_t before = std::min(release.frame_number, synced_marker_frame_);
  const auto [generation, first_frame] = segments_->beginning_at(before);
  Result<void> published{};
  try {
    published = release.publish(generation, first_frame);
  } catch (const std::bad_alloc&) {
    published = base::failure(ErrorCode::no_memory, "no memory");
  }
  if (published) {
    segments_->release_before(before);
    // The log may grow so far again.
    spare_bytes_max_ = std::max(release.spare_bytes_max, segments_->live_bytes());
    surplus_ = true;
    return;
  }
  // Where the log begins may be as it was or as it should be. Nothing is lost as long as
  // no segment is used again; and a later success would not say what is on disk.
  release_failed_ = true;
  if (!config_.log) return;
  const Error told = base::make_error(published.error().code, [&published] {
    return "the log lets go of no more segments until the store is opened again: " + published.error().message;
  });
  config_.log(LogLevel::warning, told.message);
}

/// One file in a pass: giving its blocks back may take the file system milliseconds.
void Writer::step_surplus() {
  if (surplus_) surplus_ = !failed_ && segments_->remove_surplus(spare_bytes_max_);
}

}  // namespace actable::wal
