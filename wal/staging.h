#pragma once

#include "base/assert.h"
#include "base/bytes.h"
#include "base/epoch.h"
#include "base/file.h"
#include "base/park.h"
#include "base/simulation.h"
#include "wal/format.h"

#include <actable/options.h>
#include <actable/result.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

/// Buffers that threads write their records into, and that the log writes from.
///
/// A thread (a `Stager`) fills one buffer at a time; its buffers form a list in
/// the order of filling, whose last is the one being filled. Setting a buffer's
/// `next` closes it: the thread is done with it. The log's thread walks each
/// stager's list. So a record staged is found where it was staged or later in
/// the same list, and no queue between the two can hide it from a closing
/// round.
///
/// A buffer is divided into frames, each of one epoch, each beginning at a
/// block's boundary. The thread begins a new frame with its first write in a
/// new epoch; so once a round has waited for the writers of the epochs before
/// its cut, those frames are final, and are written from where they lie while
/// the thread fills the next.
///
/// Who writes what: the thread appends records and moves `end`, `frame_count`
/// and `next` (release, so that what they cover is seen). The log's thread
/// fills in frame headers and padding of final frames, and the fields marked as
/// its own.
namespace actable::wal {

// A full buffer is a write of its own: smaller ones take more of a processor for
// the log, larger ones more memory for each writing thread (docs/measurements.md).
inline constexpr std::size_t k_buffer_bytes_min = 64 * 1024;
inline constexpr std::size_t k_buffer_bytes_max = 256 * 1024;
inline constexpr std::size_t k_frames_per_buffer = k_buffer_bytes_max / base::k_block_bytes;
// Memory for buffers is had by so much: some hundreds of threads need no more
// pieces than a ring registers.
inline constexpr std::size_t k_slab_bytes = 1024 * 1024;
// The log's thread is woken for so much in full buffers: more often it would be a
// system call for each of them, and later it would find the disk at rest.
inline constexpr std::size_t k_wake_bytes = 1024 * 1024;

/// The size of buffers: the largest power of two that is at most a 256th of the
/// staging memory, so that it is shared out in small pieces, and a 16th of a
/// segment, so that little is left at its end; within the bounds above.
[[nodiscard]] std::size_t buffer_bytes_for(const Options& options) noexcept;

using Deadline = base::TimePoint;

struct StagedFrame {
  std::size_t begin = 0;
  base::Epoch epoch = 0;
  /// Ends of the records staged so far.
  std::atomic<std::size_t> end{0};
  std::atomic<std::uint32_t> records{0};
  /// The highest number in it. It can be of a later epoch than the frame's: a
  /// thread that is pinned leases from the epoch that there is by then.
  std::atomic<Seq> seq_max{0};
};

/// In lines of its own: neighbours are other threads'.
struct alignas(64) Buffer {
  std::byte* memory = nullptr;
  std::size_t bytes = 0;
  /// Place among the pool's buffers; meaningless for an oversize one.
  std::uint32_t index = 0;
  bool oversize = false;

  std::array<StagedFrame, k_frames_per_buffer> frames;
  std::atomic<std::uint32_t> frame_count{0};
  std::atomic<Buffer*> next{nullptr};
  /// Set in an oversize buffer when its one operation has staged all: the log
  /// takes it at once, and does not wait for what closes it.
  std::atomic<bool> complete{false};

  // The log's thread's own.
  std::uint32_t frames_taken = 0;
  std::uint32_t writes_in_flight = 0;
  bool finished = false;

  // The pool's own: the free buffer below this one in the stack, plus one.
  std::atomic<std::uint32_t> free_next{0};
};

/// One thread's side of the staging.
///
/// Thread safety: *confined* to its thread, but for `first` and `reading`.
struct Stager {
  Buffer* current = nullptr;
  std::size_t position = 0;
  /// Set when a frame was begun; the store tells the log's thread after unpinning.
  bool began_frame = false;
  /// An oversize buffer for the operation under way, linked once it is used.
  Buffer* reserved = nullptr;
  /// The pool has been told of this thread (`BufferPool::add_thread`).
  bool counted = false;

  std::atomic<Buffer*> first{nullptr};
  // The log's thread's own: the buffer it has come to.
  Buffer* reading = nullptr;
};

/// Hands out buffers and takes them back, within a limit on their memory.
///
/// Free buffers form a stack whose head holds an index and a count of changes
/// in one word, so that a head that went and came back is told apart; buffers
/// are never freed before the pool.
///
/// Thread safety: *synchronized*.
class BufferPool {
 public:
  /// `buffer_bytes`: a power of two within the bounds.
  explicit BufferPool(std::size_t bytes_max, std::size_t buffer_bytes = k_buffer_bytes_min);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// Raises the limit by one buffer: each staging thread holds one.
  void add_thread() noexcept { buffers_max_.fetch_add(1, std::memory_order_relaxed); }

  /// A buffer of at least `bytes`, empty. Null when none is to be had now.
  [[nodiscard]] Buffer* try_take(std::size_t bytes) noexcept;

  /// As `try_take`, waiting until `deadline` or until `shut`; sets `waited`.
  /// While it waits it calls `nudge` every millisecond, so that the log's thread
  /// looks for buffers that can come back.
  [[nodiscard]] Buffer* take(std::size_t bytes, Deadline deadline, bool& waited, const std::function<void()>& nudge);

  /// Called by the log's thread.
  void give_back(Buffer* buffer) noexcept;

  /// Frees the memory of an oversize buffer that is written, while its thread
  /// may still have to link the next one to it. Called by the log's thread.
  void drop_memory(Buffer& oversize) noexcept;

  /// Ends all waiting, until `reopen`: the log has failed or closes.
  void shut();
  /// Buffers can be waited for again.
  void reopen();

  /// Calls `f(span)` for each piece of memory not yet shown to it.
  template <class F>
  void for_each_new_slab(F&& f);

  [[nodiscard]] std::size_t bytes() const noexcept;

  /// Of each but the oversize ones.
  [[nodiscard]] std::size_t buffer_bytes() const noexcept { return buffer_bytes_; }

 private:
  [[nodiscard]] Buffer* pop() noexcept;
  void push(Buffer* buffer) noexcept;
  void tell_waiting() noexcept;
  [[nodiscard]] Buffer* take_oversize(std::size_t bytes) noexcept;
  [[nodiscard]] bool add_slab();

  struct Slab {
    std::byte* memory;
    std::unique_ptr<Buffer[]> buffers;
  };

  const std::size_t bytes_max_;
  const std::size_t buffer_bytes_;
  std::atomic<std::size_t> buffers_max_;
  std::atomic<std::size_t> buffers_{0};
  std::atomic<std::size_t> oversize_bytes_{0};
  // Index plus one of the top free buffer in the low half, count in the high.
  alignas(64) std::atomic<std::uint64_t> free_{0};
  std::unique_ptr<std::atomic<Buffer*>[]> by_index_;

  std::mutex mutex_;
  std::condition_variable returned_;
  std::atomic<unsigned> waiting_{0};
  bool shut_ = false;
  std::vector<Slab> slabs_;
  std::atomic<std::size_t> slab_count_{0};
  std::size_t slabs_shown_ = 0;
};

/// True when `bytes` of records can be appended, whatever epoch they will fall
/// in. Otherwise a buffer that holds them and a frame's header must be given to
/// `adopt`.
[[nodiscard]] inline bool has_room(const Stager& stager, std::size_t bytes) noexcept {
  if (stager.reserved != nullptr) return k_frame_header_bytes + bytes <= stager.reserved->bytes;
  if (stager.current == nullptr) return false;
  // An oversize buffer is for one operation.
  if (stager.current->oversize) return false;
  // The worst case: the epoch changes before the pin, and a new frame begins.
  return base::round_up(stager.position, base::k_block_bytes) + k_frame_header_bytes + bytes <= stager.current->bytes;
}

/// Closes the present buffer and goes on in `fresh`.
void adopt(Stager& stager, Buffer* fresh) noexcept;

/// Begins a frame behind those of the present buffer, or in the reserved one. There is room.
StagedFrame& begin_frame(Stager& stager, base::Epoch epoch) noexcept;

namespace detail {

/// The frame of `epoch`, or null when it must be begun first.
[[nodiscard]] inline StagedFrame* present_frame(const Stager& stager, base::Epoch epoch) noexcept {
  if (stager.reserved != nullptr || stager.current == nullptr) return nullptr;
  Buffer& buffer = *stager.current;
  const std::uint32_t count = buffer.frame_count.load(std::memory_order_relaxed);
  return count != 0 && buffer.frames[count - 1].epoch == epoch ? &buffer.frames[count - 1] : nullptr;
}

/// The record at the present position becomes part of the frame.
inline void extend(Stager& stager, StagedFrame& frame, std::size_t bytes, Seq seq) noexcept {
  stager.position += bytes;
  ACTABLE_PARK("staging.append");
  frame.records.store(frame.records.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (frame.seq_max.load(std::memory_order_relaxed) < seq) frame.seq_max.store(seq, std::memory_order_relaxed);
  // release: the record; pairs with the acquire when the frame is taken.
  frame.end.store(stager.position, std::memory_order_release);
}

}  // namespace detail

/// Stages a record in the frame of `epoch`. There is room.
inline void append(Stager& stager, base::Epoch epoch, const LogRecord& record) noexcept {
  StagedFrame* frame = detail::present_frame(stager, epoch);
  if (frame == nullptr) [[unlikely]]
    frame = &begin_frame(stager, epoch);
  const std::size_t bytes = record_bytes(record.key.size(), record.value.size());
  ACTABLE_ASSERT(stager.position + bytes <= stager.current->bytes);
  encode(record, stager.current->memory + stager.position);
  detail::extend(stager, *frame, bytes, record.seq);
}

/// In two steps, of which the first takes the time: copies a record that has no
/// number yet to where it will be. Nobody reads it there, and it may be given up.
/// Null when a frame must be begun for it, which is for `append` to do.
[[nodiscard]] inline StagedFrame* append_ahead(Stager& stager, base::Epoch epoch, const LogRecord& record) noexcept {
  StagedFrame* const frame = detail::present_frame(stager, epoch);
  if (frame == nullptr) [[unlikely]]
    return nullptr;
  ACTABLE_ASSERT(stager.position + record_bytes(record.key.size(), record.value.size()) <= stager.current->bytes);
  encode(record, stager.current->memory + stager.position);
  return frame;
}

/// The second step, in the same operation: the record of so many bytes gets its number.
inline void append_number(Stager& stager, StagedFrame& frame, std::size_t bytes, Seq seq) noexcept {
  encode_number(seq, stager.current->memory + stager.position);
  detail::extend(stager, frame, bytes, seq);
}

template <class F>
void BufferPool::for_each_new_slab(F&& f) {
  if (slab_count_.load(std::memory_order_acquire) == slabs_shown_) return;
  const std::lock_guard lock(mutex_);
  for (; slabs_shown_ < slabs_.size(); ++slabs_shown_) {
    f(std::span(slabs_[slabs_shown_].memory, k_slab_bytes));
  }
}

}  // namespace actable::wal
