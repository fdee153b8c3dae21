#pragma once

#include "base/bell.h"
#include "base/epoch.h"
#include "base/file.h"
#include "base/planted.h"
#include "base/simulation.h"
#include "wal/durable.h"
#include "wal/segments.h"
#include "wal/staging.h"

#include <actable/result.h>
#include <actable/stats.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace actable::wal {

using Clock = base::Clock;
struct Beginning;
struct GatherBlock;

/// What the writer is told.
///
/// Thread safety: *immutable*.
struct WriterConfig {
  std::uint64_t store_id = 0;
  std::uint64_t era = 0;
  std::uint64_t next_frame = 0;
  std::chrono::nanoseconds write_interval{};
  std::chrono::nanoseconds sync_interval{};
  int nice = 0;
  std::function<void(LogLevel, std::string_view)> log{};
  /// Work of others that the thread does between passes, a few milliseconds at a
  /// time, unless somebody waits for the disk. True when there is more.
  std::function<bool()> aside{};
};

/// The one thread that writes the log.
///
/// A *round* (docs/architecture.md): (a) bump the epoch, which gives the cut;
/// (b) wait until no writer is pinned in an older epoch, while full buffers
/// keep being written; (c) take every stager's frames of older epochs; (d)
/// write them, the last with the cut: the marker; (e) when the marker and all
/// frames before it are written, sync; then the durable number is the cut.
///
/// Large frames are written from where they were staged. Short ones are
/// gathered into a block of the writer's own, which also carries the marker, so
/// that a round of a single small write is a single block.
///
/// With nothing staged and everything on disk the thread sleeps until it is
/// woken. A stager that begins a frame looks at `idle` after a light fence; the
/// writer sets it, passes a heavy fence, and looks at the stagers once more: so
/// one of the two sees the other.
///
/// The first failed write or sync ends all writing: nothing is retried, the
/// durable number stays where it is, and waiters are told. The thread then rests
/// until it is stopped, or told to go on with another log.
///
/// Thread safety: *synchronized* for what is public; the rest is *confined* to
/// its thread.
class Writer {
 public:
  Writer(WriterConfig config, base::Epochs& epochs, base::PerThread<Stager>& stagers, BufferPool& pool,
         Segments segments, std::unique_ptr<base::WriteQueue> queue, Durable& durable);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Writes the era's first frame and syncs it; before `start`. Fails with io_error.
  [[nodiscard]] Result<void> write_recovery_frame(Seq cut, Seq durable);

  /// Fails with no_memory when the system gives no thread.
  [[nodiscard]] Result<void> start();

  /// Writes and syncs everything, marks the log as cleanly closed, ends the thread.
  void stop();

  /// After a failure: once all that is in flight has ended, goes on with the new log, from
  /// its first frame, which is on disk, and has more staged; what was staged and not
  /// written is dropped. Returns the old log's segments, of which no file is in use any
  /// more. (wal/beginning.cc)
  [[nodiscard]] std::unique_ptr<Segments> begin_anew(Beginning beginning) noexcept;

  /// Makes an idle or waiting writer look around. Cheap when it is awake.
  void wake() noexcept;

  /// True when `wake` is called for by a stager that began a frame.
  [[nodiscard]] bool idle() const noexcept { return idle_.load(std::memory_order_relaxed); }

  /// Lets go of segments that hold only frames before `frame_number`, and from now on
  /// removes spare ones beyond `spare_bytes_max`.
  void release_before(std::uint64_t frame_number, std::uint64_t spare_bytes_max,
                      std::function<Result<void>(std::uint64_t, std::uint64_t)> publish);

  /// Lets go of no segment until `end_hold` has been called as often; none is being let
  /// go of when it returns. What was to be is, then.
  void hold_segments();
  void end_hold() noexcept;

  /// A marker that is on disk, with all frames before it. It covers the durable number
  /// that was read before this call.
  [[nodiscard]] std::uint64_t marker_on_disk() const noexcept {
    return marker_on_disk_.load(std::memory_order_acquire);
  }

  /// In place of those in the configuration, from now on.
  void set_intervals(std::chrono::nanoseconds write, std::chrono::nanoseconds sync) noexcept;

  [[nodiscard]] LogStats stats() const;
  /// Since the oldest write not yet durable was taken, or since the thread last
  /// looked for writes; zero when all is durable.
  [[nodiscard]] std::chrono::microseconds lag() const noexcept;
  [[nodiscard]] std::uint64_t next_frame() const noexcept { return next_frame_shared_.load(std::memory_order_acquire); }
  /// The highest number of a record that was taken up in this life, a moment ago; 0 without any.
  [[nodiscard]] Seq taken_max() const noexcept { return counters_.taken_max.load(std::memory_order_relaxed); }
  /// Of the segments from the log's beginning to its last frame, a moment ago.
  [[nodiscard]] std::uint64_t live_bytes() const noexcept {
    return counters_.live_bytes.load(std::memory_order_relaxed);
  }

 private:
  struct InFlight {
    enum class Kind { unused, frame, sync } kind = Kind::unused;
    std::uint64_t frame_number = 0;
    Buffer* buffer = nullptr;
    GatherBlock* gather = nullptr;
  };
  struct Marker {
    Seq cut = 0;
    std::uint64_t frame_number = 0;
    Clock::time_point taken_at{};
    /// Later rounds found nothing staged: what is durable with this marker is
    /// all below `covers`.
    Seq covers = 0;
  };
  /// Steps of a round.
  enum class Round { none, waiting_for_writers };

  // relaxed: whether a round begins by the old or the new one, nothing else.
  [[nodiscard]] std::chrono::nanoseconds write_interval() const noexcept {
    return std::chrono::nanoseconds(write_interval_ns_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] std::chrono::nanoseconds sync_interval() const noexcept {
    return std::chrono::nanoseconds(sync_interval_ns_.load(std::memory_order_relaxed));
  }

  void run();
  void hurry() noexcept;
  template <class Step>
  void or_fail(Step&& step) noexcept;
  void pass();
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_wait();
  void complete_all() noexcept;
  void complete(const base::Completion& completion) noexcept;
  void frame_completed(std::uint64_t number);
  void finish_buffer(Buffer& buffer);
  void fail_log(const Error& error) noexcept;

  void take_closed_buffers();
  void take_frames(Stager& stager, base::Epoch before, GatherBlock* gather);
  void take_frame(Buffer& buffer, StagedFrame& frame, GatherBlock* gather);
  [[nodiscard]] bool anything_staged() const;
  /// True when a frame was taken that holds a number which no marker covers: a
  /// round takes whole frames, and their last numbers may lie above its cut.
  [[nodiscard]] bool unmarked() const noexcept { return taken_max_ >= last_marker_cut_; }

  void step_round(Clock::time_point now);
  void begin_round();
  void close_round(Clock::time_point now);
  void step_sync(Clock::time_point now);
  [[nodiscard]] bool wanted_sync(Clock::time_point now);
  /// With all frames before it.
  [[nodiscard]] bool written(const Marker& marker) const noexcept {
    return marker.frame_number <= completed_through_ || ACTABLE_PLANTED(marker_not_waited_for);
  }
  void begin_sync(const Marker& marker, Clock::time_point now);
  void sync_completed(Clock::time_point now);
  void step_release();
  void step_surplus();
  void count() noexcept;
  struct Release;
  void carry_out(const Release& release);
  void step_begin_anew() noexcept;
  void discard_staged() noexcept;
  void step_prewrite();
  void step_idle();
  void step_aside();
  void seal_tail(std::uint32_t flags);
  void write_clean_close();
  void drain() noexcept;

  struct FrameToWrite {
    std::span<std::byte> memory;
    std::size_t payload_bytes;
    std::uint32_t records;
    Seq cut;
    std::uint32_t flags;
  };
  [[nodiscard]] bool emit(const FrameToWrite& frame, InFlight in_flight);
  bool emit_gathered(GatherBlock& gather, Seq cut, std::uint32_t flags);
  [[nodiscard]] GatherBlock* free_gather_block() noexcept;
  template <class Begin>
  void submit(InFlight in_flight, Begin&& begin);
  void submit_sync(base::File& file);
  [[nodiscard]] std::uint64_t add_in_flight(InFlight in_flight);
  void forget_in_flight(std::uint64_t tag) noexcept;

  const WriterConfig config_;
  std::atomic<std::int64_t> write_interval_ns_{config_.write_interval.count()};
  std::atomic<std::int64_t> sync_interval_ns_{config_.sync_interval.count()};
  base::Epochs& epochs_;
  base::PerThread<Stager>& stagers_;
  BufferPool& pool_;
  std::unique_ptr<Segments> segments_;
  // Before the queue, which may hold writes from them.
  std::vector<std::unique_ptr<GatherBlock>> gather_blocks_;
  std::unique_ptr<base::WriteQueue> queue_;
  Durable& durable_;

  // The thread's own.
  std::uint64_t era_;
  std::uint64_t next_frame_;
  std::uint64_t completed_through_;
  std::deque<bool> completed_ahead_;
  std::vector<InFlight> in_flight_;
  std::vector<std::uint64_t> in_flight_free_;
  // Has room for all that is in flight.
  std::vector<base::Completion> completions_;
  Round round_ = Round::none;
  Seq round_cut_ = 0;
  Clock::time_point round_next_at_{};
  std::deque<Marker> markers_;
  std::optional<Clock::time_point> unsynced_since_;
  unsigned syncs_in_flight_ = 0;
  Marker syncing_{};
  Clock::time_point sync_began_at_{};
  Clock::duration sync_took_{};
  // What the next sync for those who wait should cover, and since when; durable
  // if there is none.
  Seq sync_for_ = 0;
  Clock::time_point sync_wanted_at_{};
  Seq durable_marker_ = 0;
  std::uint64_t synced_marker_frame_ = 0;
  Seq last_marker_cut_ = 0;
  Seq last_cut_ = 0;
  Seq sealed_cut_ = 0;
  // Set before the thread starts.
  bool direct_io_ = false;
  // The highest number among the frames taken.
  Seq taken_max_ = 0;
  bool sealed_ = true;
  bool failed_ = false;
  bool release_failed_ = false;
  // There is more to do of `WriterConfig::aside`.
  bool more_aside_ = false;
  std::uint64_t spare_bytes_max_ = ~std::uint64_t{0};
  // There are more spare segments than that, perhaps.
  bool surplus_ = false;

  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> idle_{false};
  std::atomic<std::uint64_t> next_frame_shared_;
  std::atomic<std::int64_t> unsynced_since_shared_{0};
  std::atomic<std::int64_t> passed_at_{Clock::now().time_since_epoch().count()};

  struct Release {
    std::uint64_t frame_number;
    std::uint64_t spare_bytes_max;
    std::function<Result<void>(std::uint64_t, std::uint64_t)> publish;
  };
  // What is to be gone on with; null: nothing. The bell rings when that has been done.
  std::atomic<Beginning*> beginning_{nullptr};
  base::Bell begun_;

  std::mutex release_mutex_;
  std::optional<Release> release_;
  unsigned holds_ = 0;
  // The order is being carried out. Set under the mutex; whoever holds looks without it.
  std::atomic<bool> releasing_{false};
  std::atomic<std::uint64_t> marker_on_disk_{0};

  // Powers of two of a microsecond, up to 16 seconds.
  static constexpr std::size_t k_sync_lengths = 25;
  struct Counters {
    std::atomic<std::uint64_t> rounds{0}, syncs{0}, frames{0}, written_bytes{0}, segments{0}, spare{0};
    std::atomic<std::uint64_t> live_bytes{0}, spare_bytes{0}, taken_max{0};
    std::atomic<std::int64_t> sync_last_us{0}, sync_max_us{0};
    std::array<std::atomic<std::uint64_t>, k_sync_lengths> sync_durations{};
    std::atomic<bool> registered{false};
    std::atomic<int> nice{0};
  } counters_;
};

}  // namespace actable::wal
