#include "wal/beginning.h"

#include "base/park.h"
#include "wal/format.h"
#include "wal/gather_block.h"
#include "wal/writer.h"

#include <algorithm>
#include <new>
#include <span>
#include <utility>

/// The two halves of a new beginning: its first segment, on the caller's thread, and the
/// writer that goes on there, on the log's.
namespace actable::wal {
namespace {

Result<void> write_first_frame(Beginning& beginning, std::uint64_t store_id) {
  const std::uint64_t bytes = frame_bytes(0);
  auto place = beginning.segments->place(bytes, beginning.first_frame, beginning.era);
  if (!place) return std::unexpected(std::move(place.error()));
  beginning.generation = place->generation;
  GatherBlock block;
  const auto frame = std::span(block.memory, static_cast<std::size_t>(bytes));
  std::ranges::fill(frame, std::byte{0});
  seal_frame({FrameHeader::k_recovery, place->generation, beginning.first_frame, beginning.era, beginning.cut, 0, 0, 0},
             store_id, frame);
  // A segment of the new log, with a header and nothing behind it.
  ACTABLE_FAIL_POINT("heal.segment.switched");
  if (auto written = place->file->write(place->offset, frame); !written) return written;
  // With its first frame, and perhaps not after a crash of the machine.
  ACTABLE_FAIL_POINT("heal.segment.written");
  for (base::File* const file : beginning.segments->take_dirty(beginning.first_frame)) {
    if (auto synced = file->sync(); !synced) return synced;
  }
  return {};
}

}  // namespace

Result<Beginning> write_beginning(base::FileSystem& files, const std::filesystem::path& directory,
                                  std::uint64_t segment_bytes, const BeginningNumbers& numbers) {
  Beginning beginning{.era = numbers.era, .first_frame = numbers.first_frame, .cut = numbers.cut};
  beginning.segments = std::make_unique<Segments>(files, directory, numbers.store_id, segment_bytes);
  Result<void> written{};
  try {
    written = beginning.segments->begin_beside(numbers.era);
    if (written) written = write_first_frame(beginning, numbers.store_id);
  } catch (const std::bad_alloc&) {
    written = std::unexpected(Error{ErrorCode::no_memory, "no memory"});
  }
  if (written) return beginning;
  beginning.segments->remove_all();
  return std::unexpected(std::move(written.error()));
}

std::unique_ptr<Segments> Writer::begin_anew(Beginning beginning) noexcept {
  // release: what it holds; pairs with the acquire in step_begin_anew.
  beginning_.store(&beginning, std::memory_order_release);
  wake();
  const auto begun = [this] { return beginning_.load(std::memory_order_acquire) == nullptr; };
  ACTABLE_AWAIT("log.begin_anew", begun);
  while (true) {
    const std::uint32_t heard = begun_.heard();
    if (begun()) break;
    begun_.wait(heard);
  }
  return std::move(beginning.segments);
}

/// Nobody stages: writers are refused until the durable number's keeper says otherwise,
/// which is the last step.
void Writer::step_begin_anew() noexcept {
  Beginning* const beginning = beginning_.load(std::memory_order_acquire);
  if (beginning == nullptr) return;
  drain();
  discard_staged();
  segments_.swap(beginning->segments);
  era_ = beginning->era;
  completed_through_ = synced_marker_frame_ = beginning->first_frame;
  next_frame_ = beginning->first_frame + 1;
  completed_ahead_.clear();
  markers_.clear();
  syncing_ = {};
  syncs_in_flight_ = 0;
  sync_for_ = 0;
  durable_marker_ = last_marker_cut_ = last_cut_ = sealed_cut_ = beginning->cut;
  taken_max_ = 0;
  sealed_ = true;
  round_ = Round::none;
  round_next_at_ = Clock::now();
  unsynced_since_.reset();
  unsynced_since_shared_.store(0, std::memory_order_relaxed);
  next_frame_shared_.store(next_frame_, std::memory_order_release);
  // release: before the durable number is raised, as in sync_completed.
  marker_on_disk_.store(synced_marker_frame_, std::memory_order_release);
  release_failed_ = failed_ = false;
  {
    // Of a checkpoint of before: it names frames that are gone.
    const std::lock_guard lock(release_mutex_);
    release_.reset();
  }
  pool_.reopen();
  durable_.resume(beginning->cut);
  // release: the old segments; pairs with the acquire in begin_anew.
  beginning_.store(nullptr, std::memory_order_release);
  begun_.ring();
}

/// Walks the stagers' lists as `take_frames` does, and writes nothing. A thread that is
/// being refused may still give up a buffer or begin one meanwhile.
void Writer::discard_staged() noexcept {
  for (const auto& block : gather_blocks_) {
    block->in_flight = false;
    block->payload_bytes = 0;
    block->records = 0;
  }
  stagers_.for_each([this](Stager& stager) {
    if (stager.reading == nullptr) stager.reading = stager.first.load(std::memory_order_acquire);
    while (stager.reading != nullptr) {
      Buffer& buffer = *stager.reading;
      Buffer* const next = buffer.next.load(std::memory_order_acquire);
      buffer.frames_taken = buffer.frame_count.load(std::memory_order_acquire);
      if (next != nullptr) buffer.finished = true;
      finish_buffer(buffer);
      if (next == nullptr) return;
      stager.reading = next;
    }
  });
}

}  // namespace actable::wal
