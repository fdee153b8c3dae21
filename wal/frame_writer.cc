#include "base/park.h"
#include "wal/gather_block.h"
#include "wal/writer.h"

#include <algorithm>

/// The writer's way with frames: from the stagers' buffers into segments. Rounds
/// and syncs are in wal/writer.cc.
namespace actable::wal {
namespace {

// Frames with less than this are copied into a shared block: a block written
// for each would be more than half padding.
constexpr std::size_t k_gather_payload_max = base::k_block_bytes / 2;

std::int64_t ticks(Clock::time_point at) { return at.time_since_epoch().count(); }

}  // namespace

void Writer::finish_buffer(Buffer& buffer) {
  if (buffer.writes_in_flight != 0) return;
  if (buffer.finished) {
    pool_.give_back(&buffer);
  } else if (buffer.oversize && buffer.frames_taken != 0) {
    // One operation filled it; nothing more comes.
    pool_.drop_memory(buffer);
  }
}

void Writer::take_closed_buffers() {
  stagers_.for_each([this](Stager& stager) { take_frames(stager, 0, nullptr); });
}

void Writer::take_frames(Stager& stager, base::Epoch before, GatherBlock* gather) {
  if (stager.reading == nullptr) {
    // acquire: pairs with the release in `adopt`.
    stager.reading = stager.first.load(std::memory_order_acquire);
    if (stager.reading == nullptr) return;
  }
  while (!failed_) {
    Buffer& buffer = *stager.reading;
    // `next` and `complete` before `frame_count`: a closed buffer's frames are
    // all counted.
    Buffer* const next = buffer.next.load(std::memory_order_acquire);
    const bool closed = next != nullptr || buffer.complete.load(std::memory_order_acquire);
    const std::uint32_t count = buffer.frame_count.load(std::memory_order_acquire);
    for (; buffer.frames_taken < count; ++buffer.frames_taken) {
      StagedFrame& frame = buffer.frames[buffer.frames_taken];
      if (!closed && frame.epoch >= before) return;
      take_frame(buffer, frame, gather);
      if (failed_) return;
    }
    if (next != nullptr) {
      stager.reading = next;
      buffer.finished = true;
    }
    finish_buffer(buffer);
    if (next == nullptr) return;
  }
}

void Writer::take_frame(Buffer& buffer, StagedFrame& frame, GatherBlock* gather) {
  // acquire: pairs with the release in `append`.
  const std::size_t end = frame.end.load(std::memory_order_acquire);
  const std::size_t payload_bytes = end - frame.begin - k_frame_header_bytes;
  const std::uint32_t records = frame.records.load(std::memory_order_relaxed);
  if (records == 0) return;
  if (!unsynced_since_) {
    unsynced_since_ = Clock::now();
    unsynced_since_shared_.store(ticks(*unsynced_since_), std::memory_order_relaxed);
  }
  taken_max_ = std::max(taken_max_, frame.seq_max.load(std::memory_order_relaxed));
  if (gather != nullptr && payload_bytes <= k_gather_payload_max && gather->has_room(payload_bytes)) {
    gather->add(std::span(buffer.memory + frame.begin + k_frame_header_bytes, payload_bytes), records);
    return;
  }
  // Here, and not before the buffers were looked at: none is from memory that
  // the queue does not know of.
  pool_.for_each_new_slab([this](std::span<std::byte> slab) { queue_->add_memory(slab); });
  const auto memory = std::span(buffer.memory + frame.begin, buffer.bytes - frame.begin);
  if (emit({memory, payload_bytes, records, 0, 0}, {InFlight::Kind::frame, next_frame_, &buffer, nullptr})) {
    ++buffer.writes_in_flight;
  }
}

bool Writer::emit(const FrameToWrite& frame, InFlight in_flight) {
  const auto bytes = static_cast<std::size_t>(frame_bytes(frame.payload_bytes));
  auto place = segments_->place(bytes, next_frame_, era_);
  if (!place) {
    fail_log(place.error());
    return false;
  }
  const auto whole = frame.memory.first(bytes);
  std::ranges::fill(whole.subspan(k_frame_header_bytes + frame.payload_bytes), std::byte{0});
  seal_frame({frame.flags, place->generation, next_frame_, era_, frame.cut, durable_marker_,
              static_cast<std::uint32_t>(frame.payload_bytes), frame.records},
             config_.store_id, whole);
  // It has its number and place, and the disk nothing of it.
  ACTABLE_FAIL_POINT("wal.frame.before_submit");
  ++next_frame_;
  completed_ahead_.push_back(false);
  submit(in_flight, [&](std::uint64_t tag) { queue_->submit_write(*place->file, place->offset, whole, tag); });
  // Any part of it may reach the disk, later frames before it.
  ACTABLE_FAIL_POINT("wal.frame.submitted");
  counters_.frames.fetch_add(1, std::memory_order_relaxed);
  counters_.written_bytes.fetch_add(bytes, std::memory_order_relaxed);
  return true;
}

bool Writer::emit_gathered(GatherBlock& gather, Seq cut, std::uint32_t flags) {
  gather.in_flight = emit({std::span(gather.memory, k_gather_bytes), gather.payload_bytes, gather.records, cut, flags},
                          {InFlight::Kind::frame, next_frame_, nullptr, &gather});
  return gather.in_flight;
}

GatherBlock* Writer::free_gather_block() noexcept {
  for (const auto& block : gather_blocks_) {
    if (!block->in_flight) return block.get();
  }
  return nullptr;
}

/// What memory runs out for has not begun, and no completion comes of it.
template <class Begin>
void Writer::submit(InFlight in_flight, Begin&& begin) {
  const std::uint64_t tag = add_in_flight(in_flight);
  try {
    begin(tag);
  } catch (const std::bad_alloc&) {
    forget_in_flight(tag);
    throw;
  }
}

void Writer::submit_sync(base::File& file) {
  submit({InFlight::Kind::sync, 0, nullptr, nullptr}, [&](std::uint64_t tag) { queue_->submit_sync(file, tag); });
  ++syncs_in_flight_;
}

void Writer::forget_in_flight(std::uint64_t tag) noexcept {
  in_flight_[tag] = {};
  in_flight_free_.push_back(tag);
}

std::uint64_t Writer::add_in_flight(InFlight in_flight) {
  if (in_flight_free_.empty()) {
    // Room for what its completion will need: by then nothing may fail.
    in_flight_free_.reserve(in_flight_.size() + 1);
    completions_.reserve(in_flight_.size() + 1);
    in_flight_.push_back(in_flight);
    return in_flight_.size() - 1;
  }
  const std::uint64_t tag = in_flight_free_.back();
  in_flight_free_.pop_back();
  in_flight_[tag] = in_flight;
  return tag;
}

bool Writer::anything_staged() const {
  return !stagers_.all_of([](const Stager& stager) {
    const Buffer* const buffer =
        stager.reading != nullptr ? stager.reading : stager.first.load(std::memory_order_acquire);
    return buffer == nullptr || (buffer->next.load(std::memory_order_acquire) == nullptr &&
                                 buffer->frames_taken == buffer->frame_count.load(std::memory_order_acquire));
  });
}

}  // namespace actable::wal
