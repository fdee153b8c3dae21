#include "wal/writer.h"

#include "base/assert.h"
#include "base/failure.h"
#include "base/park.h"
#include "base/planted.h"
#include "base/signals.h"
#include "wal/gather_block.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <system_error>

#include <sys/resource.h>

namespace actable::wal {
namespace {

constexpr std::size_t k_gather_blocks = 8;
// How often a closing round looks whether the writers have finished.
constexpr std::chrono::microseconds k_poll_interval{50};

// An idle writer looks around this often whether spaces without a log have
// moved the numbers on so far that the log should say so (k_epochs_skipped in
// wal/log.cc).
constexpr std::chrono::seconds k_idle_wait{60};
constexpr base::Epoch k_epochs_unmarked_max = 1 << 16;

std::int64_t ticks(Clock::time_point at) { return at.time_since_epoch().count(); }

}  // namespace

Writer::Writer(WriterConfig config, base::Epochs& epochs, base::PerThread<Stager>& stagers, BufferPool& pool,
               Segments segments, std::unique_ptr<base::WriteQueue> queue, Durable& durable)
    : config_(std::move(config)),
      epochs_(epochs),
      stagers_(stagers),
      pool_(pool),
      segments_(std::make_unique<Segments>(std::move(segments))),
      queue_(std::move(queue)),
      durable_(durable),
      era_(config_.era),
      next_frame_(config_.next_frame),
      completed_through_(config_.next_frame - 1),
      next_frame_shared_(config_.next_frame) {
  for (std::size_t i = 0; i < k_gather_blocks; ++i) {
    gather_blocks_.push_back(std::make_unique<GatherBlock>());
    queue_->add_memory(std::span(gather_blocks_.back()->memory, k_gather_bytes));
  }
}

Writer::~Writer() { stop(); }

Result<void> Writer::write_recovery_frame(Seq cut, Seq durable) {
  const std::uint64_t bytes = frame_bytes(0);
  auto place = segments_->place(bytes, next_frame_, era_);
  if (!place) return std::unexpected(place.error());
  GatherBlock& block = *gather_blocks_.front();
  const auto frame = std::span(block.memory, static_cast<std::size_t>(bytes));
  std::ranges::fill(frame, std::byte{0});
  seal_frame({FrameHeader::k_recovery, place->generation, next_frame_, era_, cut, durable, 0, 0}, config_.store_id,
             frame);
  // The place is chosen, perhaps a new segment; the old log's end is not marked yet.
  ACTABLE_FAIL_POINT("recovery.marker.before_write");
  if (auto written = place->file->write(place->offset, frame); !written) return written;
  // The next opening may find the marker or not, and must find the same content.
  ACTABLE_FAIL_POINT("recovery.marker.written");
  synced_marker_frame_ = completed_through_ = next_frame_++;
  for (base::File* const file : segments_->take_dirty(completed_through_)) {
    if (ACTABLE_PLANTED(recovery_frame_not_synced)) continue;
    if (auto synced = file->sync(); !synced) return synced;
  }
  // What is void is void for good, and no write has been taken.
  ACTABLE_FAIL_POINT("recovery.marker.synced");
  durable_marker_ = last_marker_cut_ = last_cut_ = sealed_cut_ = cut;
  marker_on_disk_.store(synced_marker_frame_, std::memory_order_release);
  direct_io_ = segments_->direct();
  count();
  counters_.frames.fetch_add(1, std::memory_order_relaxed);
  return {};
}

Result<void> Writer::start() {
  try {
    // The host's handlers run on the host's threads.
    const base::AllSignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
    ACTABLE_YIELD("log.spawned");
    return {};
  } catch (const std::system_error& error) {
    return fail(ErrorCode::no_memory,
                std::string("the system gives no thread for the log (") + error.what() + "); raise its limits");
  }
}

void Writer::stop() {
  if (!thread_.joinable()) return;
  // release: what was staged; the thread looks once more after seeing it.
  stopping_.store(true, std::memory_order_release);
  queue_->wake();
  ACTABLE_YIELD("log.join");
  thread_.join();
}

void Writer::wake() noexcept { queue_->wake(); }

/// Where the process may not, things stay as they are.
void Writer::hurry() noexcept {
  // 0: the calling thread's, on Linux.
  const bool wanted = config_.nice < 0 && config_.nice < getpriority(PRIO_PROCESS, 0);
  if (wanted) (void)setpriority(PRIO_PROCESS, 0, config_.nice);
  counters_.nice.store(getpriority(PRIO_PROCESS, 0), std::memory_order_relaxed);
}

void Writer::run() {
  ACTABLE_YIELD("log.begin");
  hurry();
  while (!stopping_.load(std::memory_order_acquire)) {
    or_fail([this] { pass(); });
    or_fail([this] { queue_->wait(time_to_wait(), completions_); });
    idle_.store(false, std::memory_order_relaxed);
  }
  or_fail([this] { pass(); });
  drain();
  if (!failed_) or_fail([this] { write_clean_close(); });
  drain();
  ACTABLE_YIELD("log.end");
}

/// Running out of memory is a failure of the log like one of the disk.
template <class Step>
void Writer::or_fail(Step&& step) noexcept {
  try {
    step();
  } catch (const std::bad_alloc&) {
    fail_log({ErrorCode::no_memory, "no memory"});
  }
}

void Writer::pass() {
  complete_all();
  if (failed_) step_begin_anew();
  if (failed_) return;
  const Clock::time_point now = Clock::now();
  passed_at_.store(ticks(now), std::memory_order_relaxed);
  take_closed_buffers();
  step_round(now);
  step_sync(now);
  step_release();
  step_surplus();
  step_prewrite();
  step_idle();
  step_aside();
}

std::optional<std::chrono::nanoseconds> Writer::time_to_wait() {
  using Nanoseconds = std::chrono::nanoseconds;
  if (failed_) return std::nullopt;
  if (more_aside_ || surplus_) return Nanoseconds{0};
  if (idle_.load(std::memory_order_relaxed)) return k_idle_wait;
  if (round_ == Round::waiting_for_writers) {
    // Without a gather block it is a completion that lets the round go on.
    return free_gather_block() == nullptr ? k_idle_wait : k_poll_interval;
  }
  // Wanted while the last round was closing: the wake for it is used up.
  if (durable_.wanted() > last_cut_) return Nanoseconds{0};
  Clock::time_point until = round_next_at_;
  const Clock::time_point now = Clock::now();
  if (unsynced_since_ && syncs_in_flight_ == 0) {
    const Clock::time_point due = *unsynced_since_ + sync_interval() - write_interval();
    // A sync that is due already waits for writes to complete, which wakes us.
    if (due > now) until = std::min(until, due);
  }
  return std::max(Nanoseconds{0}, std::chrono::duration_cast<Nanoseconds>(until - now));
}

void Writer::complete_all() noexcept {
  for (const base::Completion& completion : completions_) complete(completion);
  completions_.clear();
}

void Writer::complete(const base::Completion& completion) noexcept {
  const InFlight done = in_flight_[completion.tag];
  ACTABLE_ASSERT(done.kind != InFlight::Kind::unused);
  forget_in_flight(completion.tag);
  if (completion.error) fail_log(*completion.error);
  if (done.kind == InFlight::Kind::sync) {
    if (--syncs_in_flight_ == 0 && !failed_) sync_completed(Clock::now());
    return;
  }
  if (!completion.error) frame_completed(done.frame_number);
  if (done.gather != nullptr) {
    done.gather->in_flight = false;
    done.gather->payload_bytes = 0;
    done.gather->records = 0;
  }
  if (done.buffer != nullptr) {
    --done.buffer->writes_in_flight;
    finish_buffer(*done.buffer);
  }
}

void Writer::frame_completed(std::uint64_t number) {
  // Written, and neither synced nor known to be by any marker.
  ACTABLE_FAIL_POINT("wal.frame.written");
  completed_ahead_[static_cast<std::size_t>(number - completed_through_ - 1)] = true;
  while (!completed_ahead_.empty() && completed_ahead_.front()) {
    completed_ahead_.pop_front();
    ++completed_through_;
  }
}

void Writer::fail_log(const Error& error) noexcept {
  if (failed_) return;
  failed_ = true;
  // Exactly, for who begins anew: he sees it once he sees the failure.
  next_frame_shared_.store(next_frame_, std::memory_order_release);
  durable_.fail(error.message);
  pool_.shut();
  if (!config_.log) return;
  const Error told = base::make_error(
      error.code, [&error] { return "the log failed, the store is read-only from now on: " + error.message; });
  config_.log(LogLevel::error, told.message);
}

void Writer::step_round(Clock::time_point now) {
  if (round_ == Round::none && (now >= round_next_at_ || durable_.wanted() > last_cut_)) begin_round();
  if (round_ == Round::waiting_for_writers && !epochs_.writers_before(base::epoch_of(round_cut_))) close_round(now);
}

void Writer::begin_round() {
  round_cut_ = epochs_.bump();
  ACTABLE_PARK("log.bumped");
  base::heavy_fence();
  round_ = Round::waiting_for_writers;
}

void Writer::close_round(Clock::time_point now) {
  GatherBlock* const gather = free_gather_block();
  if (gather == nullptr) return;  // All are in flight: a completion wakes us.
  round_ = Round::none;
  round_next_at_ = now + write_interval();
  epochs_.raise_safe(base::epoch_of(round_cut_));
  stagers_.for_each([&](Stager& stager) { take_frames(stager, base::epoch_of(round_cut_), gather); });
  if (failed_) return;
  last_cut_ = round_cut_;
  if (unmarked()) {
    const std::uint64_t number = next_frame_;
    if (!emit_gathered(*gather, round_cut_, 0)) return;
    // The marker may overtake the frames that it covers.
    ACTABLE_FAIL_POINT("wal.marker.submitted");
    sealed_ = false;
    last_marker_cut_ = round_cut_;
    markers_.push_back({round_cut_, number, now, round_cut_});
  } else if (!markers_.empty()) {
    markers_.back().covers = round_cut_;
  } else if (syncs_in_flight_ != 0) {
    syncing_.covers = round_cut_;
  } else {
    durable_.raise(round_cut_);
  }
  counters_.rounds.fetch_add(1, std::memory_order_relaxed);
}

void Writer::step_sync(Clock::time_point now) {
  if (failed_ || syncs_in_flight_ != 0) return;
  const bool due = unsynced_since_ && now >= *unsynced_since_ + sync_interval() - write_interval();
  if (!wanted_sync(now) && !due) return;
  std::optional<Marker> latest;
  while (!markers_.empty() && written(markers_.front())) {
    latest = markers_.front();
    markers_.pop_front();
  }
  if (latest) begin_sync(*latest, now);
}

/// True when a sync for those who wait should begin: it covers all who waited
/// when the first of them was seen. What was written before them alone would
/// keep them waiting for two. They wait as long as the last sync took at most:
/// others may be covered already, and a writer that was stopped holds up a round.
bool Writer::wanted_sync(Clock::time_point now) {
  if (sync_for_ <= durable_.number()) {
    if (durable_.wanted() <= durable_.number()) return false;
    sync_for_ = durable_.wanted();
    sync_wanted_at_ = now;
  }
  const auto covering = std::ranges::find_if(markers_, [this](const Marker& m) { return m.covers >= sync_for_; });
  return (covering != markers_.end() && written(*covering)) || now >= sync_wanted_at_ + sync_took_;
}

void Writer::begin_sync(const Marker& marker, Clock::time_point now) {
  // A marker and all its frames are written; nothing makes the disk keep them.
  ACTABLE_FAIL_POINT("wal.sync.before");
  syncing_ = marker;
  sync_began_at_ = now;
  unsynced_since_.reset();
  if (!markers_.empty()) {
    unsynced_since_ = markers_.front().taken_at;
  } else if (unmarked()) {
    unsynced_since_ = now;
  }
  for (base::File* const file : segments_->take_dirty(completed_through_)) {
    if (ACTABLE_PLANTED(sync_skipped)) continue;
    submit_sync(*file);
    // Of several files some are being synced, others not.
    ACTABLE_FAIL_POINT("wal.sync.submitted");
  }
  if (ACTABLE_PLANTED(sync_skipped)) sync_completed(now);
}

void Writer::sync_completed(Clock::time_point now) {
  // On disk, and nobody has been told.
  ACTABLE_FAIL_POINT("wal.sync.after");
  segments_->close_full();
  durable_marker_ = syncing_.cut;
  synced_marker_frame_ = syncing_.frame_number;
  // release: before the durable number is raised, for who asks behind it. That of a clean
  // close has none.
  if (syncing_.frame_number != 0) marker_on_disk_.store(syncing_.frame_number, std::memory_order_release);
  unsynced_since_shared_.store(unsynced_since_ ? ticks(*unsynced_since_) : 0, std::memory_order_relaxed);
  sync_took_ = now - sync_began_at_;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(sync_took_).count();
  counters_.syncs.fetch_add(1, std::memory_order_relaxed);
  const auto length =
      static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(took, 0))));
  counters_.sync_durations[std::min(length, k_sync_lengths - 1)].fetch_add(1, std::memory_order_relaxed);
  counters_.sync_last_us.store(took, std::memory_order_relaxed);
  counters_.sync_max_us.store(std::max(took, counters_.sync_max_us.load(std::memory_order_relaxed)),
                              std::memory_order_relaxed);
  // Last: who waits finds the sync counted.
  durable_.raise(syncing_.covers);
  // Those who waited may have said so to others.
  ACTABLE_FAIL_POINT("wal.sync.reported");
}

void Writer::step_prewrite() {
  count();
  if (failed_ || in_flight_free_.size() != in_flight_.size()) return;
  auto done = segments_->prewrite();
  if (!done) fail_log(done.error());
}

void Writer::step_idle() {
  // A marker, or a sync under way, covers more than is durable.
  const bool at_rest =
      !failed_ && round_ == Round::none && !unmarked() && durable_.number() >= last_cut_ && !anything_staged();
  if (!at_rest || durable_.wanted() > durable_.number()) return;
  if (base::epoch_of(last_cut_) - base::epoch_of(sealed_cut_) > k_epochs_unmarked_max) sealed_ = false;
  if (!sealed_) seal_tail(0);
  if (!sealed_) return;
  idle_.store(true, std::memory_order_relaxed);
  base::heavy_fence();
  if (anything_staged() || durable_.wanted() > durable_.number()) {
    idle_.store(false, std::memory_order_relaxed);
    round_next_at_ = Clock::now() + write_interval();
  }
}

void Writer::step_aside() {
  more_aside_ = config_.aside && !failed_ && durable_.wanted() <= durable_.number() && config_.aside();
}

/// Writes a frame that says how far the log is on disk, so that later damage to
/// what was synced is told from a torn tail.
void Writer::seal_tail(std::uint32_t flags) {
  GatherBlock* const gather = free_gather_block();
  if (gather == nullptr || !emit_gathered(*gather, last_cut_, flags)) return;
  sealed_ = true;
  sealed_cut_ = last_cut_;
  // The frame that tells damage from a torn tail is on its way.
  ACTABLE_FAIL_POINT("wal.tail.sealed");
}

void Writer::drain() noexcept {
  complete_all();
  while (in_flight_free_.size() != in_flight_.size()) {
    or_fail([this] { queue_->wait(std::nullopt, completions_); });
    complete_all();
  }
}

void Writer::write_clean_close() {
  // All is durable, and the log does not say that it was closed.
  ACTABLE_FAIL_POINT("wal.close.begun");
  // Nobody writes any more, so the numbers handed out so far are all below.
  last_cut_ = epochs_.bump();
  seal_tail(FrameHeader::k_clean);
  drain();
  if (failed_) return;
  // It says so, and is not synced.
  ACTABLE_FAIL_POINT("wal.close.written");
  syncing_ = {last_marker_cut_, 0, {}, durable_.number()};
  for (base::File* const file : segments_->take_dirty(completed_through_)) {
    submit_sync(*file);
  }
}

void Writer::set_intervals(std::chrono::nanoseconds write, std::chrono::nanoseconds sync) noexcept {
  write_interval_ns_.store(write.count(), std::memory_order_relaxed);
  sync_interval_ns_.store(sync.count(), std::memory_order_relaxed);
  wake();
}

}  // namespace actable::wal
