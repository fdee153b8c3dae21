#include "wal/staging.h"

#include "base/assert.h"
#include "base/park.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

namespace actable::wal {
namespace {

constexpr std::uint64_t k_index_mask = 0xffff'ffff;

std::byte* allocate_blocks(std::size_t bytes) noexcept {
  return static_cast<std::byte*>(std::aligned_alloc(base::k_block_bytes, bytes));
}

void make_empty(Buffer& buffer) noexcept {
  buffer.frame_count.store(0, std::memory_order_relaxed);
  buffer.next.store(nullptr, std::memory_order_relaxed);
  buffer.complete.store(false, std::memory_order_relaxed);
  buffer.frames_taken = 0;
  buffer.writes_in_flight = 0;
  buffer.finished = false;
}

}  // namespace

void adopt(Stager& stager, Buffer* fresh) noexcept {
  if (stager.current == nullptr) {
    // release: the buffer is empty; pairs with the acquire in the log's walk.
    stager.first.store(fresh, std::memory_order_release);
  } else {
    ACTABLE_PARK("staging.close_buffer");
    // release: closes the present buffer with all that was staged in it.
    stager.current->next.store(fresh, std::memory_order_release);
  }
  stager.current = fresh;
  stager.position = 0;
}

StagedFrame& begin_frame(Stager& stager, base::Epoch epoch) noexcept {
  if (stager.reserved != nullptr) adopt(stager, std::exchange(stager.reserved, nullptr));
  Buffer& buffer = *stager.current;
  const std::uint32_t count = buffer.frame_count.load(std::memory_order_relaxed);
  StagedFrame& fresh = buffer.frames[count];
  fresh.begin = base::round_up(stager.position, base::k_block_bytes);
  fresh.epoch = epoch;
  stager.position = fresh.begin + k_frame_header_bytes;
  fresh.end.store(stager.position, std::memory_order_relaxed);
  fresh.records.store(0, std::memory_order_relaxed);
  fresh.seq_max.store(0, std::memory_order_relaxed);
  // release: the frame's beginning and epoch.
  buffer.frame_count.store(count + 1, std::memory_order_release);
  stager.began_frame = true;
  return fresh;
}

std::size_t buffer_bytes_for(const Options& options) noexcept {
  const std::uint64_t most = std::min<std::uint64_t>(options.staging_bytes / 256, options.segment_bytes / 16);
  return std::clamp<std::size_t>(std::bit_floor(most), k_buffer_bytes_min, k_buffer_bytes_max);
}

BufferPool::BufferPool(std::size_t bytes_max, std::size_t buffer_bytes)
    : bytes_max_(bytes_max),
      buffer_bytes_(buffer_bytes),
      buffers_max_(bytes_max / buffer_bytes),
      by_index_(new std::atomic<Buffer*>[bytes_max / buffer_bytes + k_threads_max + k_slab_bytes / buffer_bytes]()) {}

BufferPool::~BufferPool() {
  for (const Slab& slab : slabs_) std::free(slab.memory);
}

Buffer* BufferPool::pop() noexcept {
  // acquire: pairs with the release in `push`.
  std::uint64_t head = free_.load(std::memory_order_acquire);
  while ((head & k_index_mask) != 0) {
    Buffer* const top = by_index_[(head & k_index_mask) - 1].load(std::memory_order_relaxed);
    const std::uint64_t below = top->free_next.load(std::memory_order_relaxed);
    const std::uint64_t fresh = ((head >> 32) + 1) << 32 | below;
    if (free_.compare_exchange_weak(head, fresh, std::memory_order_acquire, std::memory_order_acquire)) return top;
  }
  return nullptr;
}

void BufferPool::push(Buffer* buffer) noexcept {
  std::uint64_t head = free_.load(std::memory_order_relaxed);
  std::uint64_t fresh = 0;
  do {
    buffer->free_next.store(static_cast<std::uint32_t>(head & k_index_mask), std::memory_order_relaxed);
    fresh = ((head >> 32) + 1) << 32 | (std::uint64_t{buffer->index} + 1);
    // release: the emptied buffer. seq_cst: see give_back.
  } while (!free_.compare_exchange_weak(head, fresh, std::memory_order_seq_cst, std::memory_order_relaxed));
}

bool BufferPool::add_slab() {
  const std::lock_guard lock(mutex_);
  const std::size_t present = buffers_.load(std::memory_order_relaxed);
  if (present >= buffers_max_.load(std::memory_order_relaxed)) return false;
  const std::size_t more = k_slab_bytes / buffer_bytes_;
  Slab slab{allocate_blocks(k_slab_bytes), std::unique_ptr<Buffer[]>(new (std::nothrow) Buffer[more])};
  if (slab.memory == nullptr || slab.buffers == nullptr) {
    std::free(slab.memory);
    return false;
  }
  try {
    slabs_.reserve(slabs_.size() + 1);
  } catch (const std::bad_alloc&) {
    std::free(slab.memory);
    return false;
  }
  for (std::size_t i = 0; i < more; ++i) {
    Buffer& buffer = slab.buffers[i];
    buffer.memory = slab.memory + i * buffer_bytes_;
    buffer.bytes = buffer_bytes_;
    buffer.index = static_cast<std::uint32_t>(present + i);
    by_index_[present + i].store(&buffer, std::memory_order_release);
    push(&buffer);
  }
  slabs_.push_back(std::move(slab));
  buffers_.store(present + more, std::memory_order_relaxed);
  slab_count_.store(slabs_.size(), std::memory_order_release);
  return true;
}

Buffer* BufferPool::take_oversize(std::size_t bytes) noexcept {
  const std::size_t rounded = base::round_up(bytes, base::k_block_bytes);
  std::size_t present = oversize_bytes_.load(std::memory_order_relaxed);
  do {
    // One is always allowed, however large, so that every legal write can pass.
    if (present != 0 && present + rounded > bytes_max_) return nullptr;
  } while (!oversize_bytes_.compare_exchange_weak(present, present + rounded, std::memory_order_seq_cst));
  auto* const buffer = new (std::nothrow) Buffer;
  std::byte* const memory = buffer == nullptr ? nullptr : allocate_blocks(rounded);
  if (memory == nullptr) {
    delete buffer;
    oversize_bytes_.fetch_sub(rounded, std::memory_order_seq_cst);
    return nullptr;
  }
  buffer->memory = memory;
  buffer->bytes = rounded;
  buffer->oversize = true;
  return buffer;
}

Buffer* BufferPool::try_take(std::size_t bytes) noexcept {
  if (bytes > buffer_bytes_) return take_oversize(bytes);
  while (true) {
    if (Buffer* const buffer = pop(); buffer != nullptr) {
      make_empty(*buffer);
      return buffer;
    }
    if (!add_slab()) return nullptr;
  }
}

Buffer* BufferPool::take(std::size_t bytes, Deadline deadline, bool& waited, const std::function<void()>& nudge) {
  waited = false;
  if (Buffer* const buffer = try_take(bytes); buffer != nullptr) return buffer;
  waited = true;
  // seq_cst: with the one in give_back: either it sees us waiting, or we see
  // the buffer it gave back.
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  Buffer* buffer = nullptr;
  while (true) {
    buffer = try_take(bytes);
    if (buffer != nullptr) break;
    nudge();
    ACTABLE_YIELD("staging.full");
    std::unique_lock lock(mutex_);
    const base::TimePoint now = base::Clock::now();
    if (shut_ || now >= deadline) break;
    // The time-out covers a buffer that came back between the look and the lock.
    constexpr base::Clock::duration k_look_again = std::chrono::milliseconds(1);
    returned_.wait_for(lock, std::min(deadline - now, k_look_again));
  }
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return buffer;
}

void BufferPool::drop_memory(Buffer& oversize) noexcept {
  if (oversize.memory == nullptr) return;
  std::free(oversize.memory);
  oversize.memory = nullptr;
  // seq_cst: with `waiting_`, see `take`.
  oversize_bytes_.fetch_sub(oversize.bytes, std::memory_order_seq_cst);
  tell_waiting();
}

void BufferPool::give_back(Buffer* buffer) noexcept {
  if (buffer->oversize) {
    drop_memory(*buffer);
    delete buffer;
  } else {
    push(buffer);
    tell_waiting();
  }
}

void BufferPool::tell_waiting() noexcept {
  if (waiting_.load(std::memory_order_seq_cst) != 0) returned_.notify_one();
}

void BufferPool::shut() {
  const std::lock_guard lock(mutex_);
  shut_ = true;
  returned_.notify_all();
}

void BufferPool::reopen() {
  const std::lock_guard lock(mutex_);
  shut_ = false;
}

std::size_t BufferPool::bytes() const noexcept {
  return buffers_.load(std::memory_order_relaxed) * buffer_bytes_ + oversize_bytes_.load(std::memory_order_relaxed);
}

}  // namespace actable::wal
