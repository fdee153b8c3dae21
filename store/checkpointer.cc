#include "store/checkpointer.h"

#include "base/failure.h"
#include "base/park.h"
#include "base/planted.h"
#include "base/signals.h"
#include "base/simulation.h"
#include "store/checks.h"
#include "store/store_core.h"
#include "wal/log.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <span>
#include <utility>

namespace actable::store {
namespace {

using checkpoint::k_groups;

std::chrono::microseconds since(base::TimePoint then) {
  return std::chrono::duration_cast<std::chrono::microseconds>(base::Clock::now() - then);
}

}  // namespace

Checkpointer::Checkpointer(StoreCore& store, base::FileSystem& files)
    : store_(store),
      files_(files),
      rate_(store.options().checkpoint_bytes_per_second),
      schedule_(store.options(), base::Clock::now()) {}

void Checkpointer::take_over(checkpoint::Manifest manifest, std::set<std::uint64_t> file_numbers) {
  manifest_ = std::move(manifest);
  file_numbers_ = std::move(file_numbers);
  const std::lock_guard lock(told_mutex_);
  told_.serial = manifest_.serial;
  told_.cut = manifest_.cut_max();
  told_.records = manifest_.records();
  told_.bytes = manifest_.bytes();
}

std::uint64_t Checkpointer::ask() noexcept {
  const std::uint64_t next = ended() + 1;
  std::uint64_t asked = asked_.load(std::memory_order_relaxed);
  while (asked < next && !asked_.compare_exchange_weak(asked, next, std::memory_order_acq_rel)) {
  }
  return next;
}

Result<void> Checkpointer::outcome() const {
  const std::lock_guard lock(told_mutex_);
  if (error_) return std::unexpected(*error_);
  return {};
}

/// As CheckpointSchedule has it: what was there before this opening counts as its first write.
Seq Checkpointer::newest_logged() const {
  const std::shared_ptr<wal::Log> log = store_.find_log();
  return std::max<Seq>(log == nullptr ? 0 : log->taken_max(), recovered_more_ ? 1 : 0);
}

bool Checkpointer::changed() const {
  const Seq newest = newest_logged();
  const std::lock_guard lock(told_mutex_);
  return schedule_.changed(newest);
}

bool Checkpointer::due() const {
  const std::shared_ptr<wal::Log> log = store_.find_log();
  if (log == nullptr || log->failed()) return false;
  const Seq newest = newest_logged();
  const std::uint64_t log_bytes = log->live_bytes();
  const std::lock_guard lock(told_mutex_);
  if (told_.running) return false;
  return schedule_.due(
      newest, log_bytes, [this] { return store_.checkpoint_bytes(); }, base::Clock::now());
}

CheckpointStats Checkpointer::stats() const {
  const std::lock_guard lock(told_mutex_);
  CheckpointStats stats = told_;
  if (error_) stats.failure = error_->message;
  return stats;
}

bool Checkpointer::hold_steps() noexcept {
  while (true) {
    const std::uint32_t before = heard();
    // Then the steps are held for good.
    if (stopped()) return false;
    if (!driven_.exchange(true, std::memory_order_seq_cst)) break;
    await_step(before);
  }
  if (stage_ != Stage::resting) {
    abandon_part();
    end_pass(base::failure(ErrorCode::read_only, "the log failed while the checkpoint was written; ask for it again"));
  }
  return true;
}

std::uint64_t Checkpointer::take_file_number() {
  do {
    ++file_number_last_;
  } while (file_numbers_.contains(file_number_last_));
  // Even if it cannot be made: a call that failed may have made it.
  file_numbers_.insert(file_number_last_);
  return file_number_last_;
}

void Checkpointer::stop() noexcept {
  stopped_.store(true, std::memory_order_seq_cst);
  // A step that is under way ends first; none begins behind it.
  while (true) {
    const std::uint32_t before = heard();
    if (!driven_.exchange(true, std::memory_order_seq_cst)) break;
    await_step(before);
  }
  if (stage_ != Stage::resting) {
    abandon_part();
    end_pass(base::failure(ErrorCode::closed, "the store was closed while the checkpoint was written"));
  }
  stepped_.ring();
}

void Checkpointer::await_step(std::uint32_t heard) noexcept {
  ACTABLE_AWAIT("checkpoint.step", [&] { return stepped_.heard() != heard || !driven(); });
  if (driven()) stepped_.wait(heard);
}

void Checkpointer::cancel() noexcept {
  cancelled_.store(true, std::memory_order_release);
  stepped_.ring();
}

void Checkpointer::await_pause() noexcept {
  // So that a change of the limit is noticed.
  constexpr std::chrono::nanoseconds k_at_most = std::chrono::milliseconds(100);
  const std::uint32_t before = heard();
  if (cancelled_.load(std::memory_order_acquire) || stopped_.load(std::memory_order_acquire)) return;
  stepped_.wait(before, std::min(pause(), k_at_most));
}

void Checkpointer::leave_step() noexcept {
  // release: what the step left; pairs with the acquire of the next one.
  driven_.store(false, std::memory_order_release);
  stepped_.ring();
}

Result<Checkpointed> Checkpointer::step(ThreadContext& context) {
  if (driven_.exchange(true, std::memory_order_acquire)) {
    if (stopped_.load(std::memory_order_acquire)) return store_.closed_error();
    return Checkpointed::waiting;
  }
  // Beyond the process's limit on files a write fails, and ends nothing.
  const base::FileSizeSignalBlocked blocked;
  Result<Checkpointed> came = guarded("a step of the checkpoint", [&] { return advance(context); });
  if (!came && stage_ != Stage::resting) {
    abandon_part();
    // Whatever happens, the step is left: others wait for its end.
    const Error& why = came.error();
    end_pass(base::failure(why.code, [&why] { return why.message; }));
  }
  leave_step();
  return came;
}

Result<Checkpointed> Checkpointer::advance(ThreadContext& context) {
  const std::shared_ptr<wal::Log> log = store_.find_log();
  if (log == nullptr) return store_.closed_error();
  if (stage_ == Stage::resting) {
    if (asked_.load(std::memory_order_acquire) <= ended()) return Checkpointed::resting;
    begin_pass();
    if (auto sound = check_sound(*log); !sound) return std::unexpected(std::move(sound.error()));
    begin_part(*log, 0);
  }
  if (cancelled_.exchange(false, std::memory_order_acq_rel)) {
    return base::failure(ErrorCode::closed, "the checkpoint was cancelled; the one before is as it was");
  }
  if (auto sound = check_sound(*log); !sound) return std::unexpected(std::move(sound.error()));
  switch (stage_) {
    case Stage::cutting:
      return cut(*log);
    case Stage::walking:
      if (!keep_pace()) return Checkpointed::pausing;
      return walk(context);
    case Stage::covering:
      return cover(*log);
    case Stage::resting:
      break;
  }
  return Checkpointed::resting;
}

/// What the tables hold, and which checkpoint there is, can be relied on.
Result<void> Checkpointer::check_sound(const wal::Log& log) const {
  if (undecided_) {
    return base::failure(ErrorCode::io_error, [this] {
      return "it is not known which of two checkpoints is on disk (" + undecided_why_ +
             "); close the store and open it again";
    });
  }
  // acquire: pairs with the release in `forbid`.
  if (forbidden_.load(std::memory_order_acquire)) {
    return base::failure(ErrorCode::no_memory,
                         "memory ran out while a batch was applied, and the tables lack a part of what the log has; "
                         "open the store again");
  }
  if (!log.failed()) return {};
  return base::failure(ErrorCode::read_only, [&] {
    return "the log failed earlier, and what a checkpoint would hold may not be on disk (" + log.failure() +
           "); mend the disk and heal the store, or open it again";
  });
}

void Checkpointer::begin_pass() {
  began_at_ = base::Clock::now();
  cancelled_.store(false, std::memory_order_relaxed);
  stage_ = Stage::cutting;
  pace_.begin(began_at_);
  const std::uint64_t bytes = store_.checkpoint_bytes();
  const auto parts =
      std::bit_ceil(std::min<std::size_t>(k_groups, 1 + bytes / part_bytes_.load(std::memory_order_relaxed)));
  groups_a_part_ = k_groups / static_cast<unsigned>(parts);
  // Before anything is read.
  const Seq covering = newest_logged();
  const std::lock_guard lock(told_mutex_);
  schedule_.began(covering);
  told_.running = true;
  told_.written_bytes = 0;
}

void Checkpointer::begin_part(wal::Log& log, unsigned group) {
  stage_ = Stage::cutting;
  part_ = {.group = group, .groups = groups_a_part_};
  // In this order; see above.
  part_.first_frame = log.next_frame();
  part_.started_at = store_.epochs().next_seq();
  ACTABLE_PARK("checkpoint.cut");
  awaited_.store(part_.started_at, std::memory_order_relaxed);
}

Result<Checkpointed> Checkpointer::cut(wal::Log& log) {
  const Seq durable = log.durable();
  if (durable < part_.started_at) {
    log.want_durable(part_.started_at);
    return Checkpointed::waiting;
  }
  awaited_.store(0, std::memory_order_relaxed);
  const auto now = store_.unchanging_spaces();
  if (!now) return Checkpointed::waiting;
  part_.cut = durable;
  part_.next_space_id = now->next_space_id;
  for (const auto& space : now->spaces) {
    if (!space->logged()) continue;
    part_.spaces.emplace_back(space);
    spaces_[space->id()] = {space->id(), space->name(), space->keys()};
  }
  part_.at = beginning();
  stage_ = Stage::walking;
  return Checkpointed::working;
}

table::ScanPosition Checkpointer::beginning() const noexcept {
  return {.first = checkpoint::first_hash_of(part_.group),
          .limit = checkpoint::first_hash_of(part_.group + part_.groups)};
}

/// False when enough has been written for the moment.
bool Checkpointer::keep_pace() noexcept {
  const bool limited = rate_.load(std::memory_order_relaxed) != 0;
  const auto pause = limited ? pace_.pause(base::Clock::now()) : Pace::Duration{0};
  pause_ns_.store(std::chrono::nanoseconds(pause).count(), std::memory_order_relaxed);
  return pause == Pace::Duration{0};
}

Result<Checkpointed> Checkpointer::walk(ThreadContext& context) {
  if (part_.space < part_.spaces.size()) {
    const std::shared_ptr<SpaceCore> space = part_.spaces[part_.space].lock();
    auto more = space == nullptr ? Result<bool>(false) : gather(context, *space);
    if (!more) return std::unexpected(std::move(more.error()));
    if (!*more) {
      ++part_.space;
      part_.at = beginning();
    }
    if (auto written = write_gathered(); !written) return std::unexpected(std::move(written.error()));
    return Checkpointed::working;
  }
  if (part_.file != nullptr) {
    const std::uint64_t before = part_.file->written_bytes();
    auto entry = part_.file->finish();
    if (!entry) return std::unexpected(std::move(entry.error()));
    account_written(before);
    part_.entry = *entry;
  }
  part_.ended_at = store_.epochs().next_seq();
  ACTABLE_PARK("checkpoint.cover");
  awaited_.store(part_.ended_at, std::memory_order_relaxed);
  stage_ = Stage::covering;
  return Checkpointed::working;
}

/// Encodes some of the space's records. False when there are no more.
Result<bool> Checkpointer::gather(ThreadContext& context, SpaceCore& space) {
  gathered_.clear();
  const base::ReadPin pin(store_.epochs(), context.slot);
  // Dropped meanwhile, or all is being closed.
  if (space.state() != SpaceCore::State::open) return false;
  gathered_.gather(space, part_.at);
  return !part_.at.done;
}

Result<void> Checkpointer::write_gathered() {
  if (gathered_.empty()) return {};
  if (part_.file == nullptr) {
    auto file = checkpoint::FileWriter::create(files_, store_.options().directory, take_file_number(),
                                               manifest_.store_id, checkpoint::Compression::of(store_.options()));
    if (!file) return std::unexpected(std::move(file.error()));
    part_.file = std::move(*file);
  }
  const std::uint64_t before = part_.file->written_bytes();
  if (auto appended = gathered_.append_to(*part_.file); !appended) return appended;
  // What is still to be written out is soon.
  if (!compresses()) pace_.spent(gathered_.bytes(), rate_.load(std::memory_order_relaxed), base::Clock::now());
  account_written(before);
  return {};
}

bool Checkpointer::compresses() const noexcept {
  return store_.options().checkpoint_compression != CheckpointCompression::none;
}

void Checkpointer::account_written(std::uint64_t before) {
  const std::uint64_t written = part_.file->written_bytes() - before;
  // What a record takes is known when its block has been compressed.
  if (compresses()) pace_.spent(written, rate_.load(std::memory_order_relaxed), base::Clock::now());
  const std::lock_guard lock(told_mutex_);
  told_.written_bytes += written;
}

Result<Checkpointed> Checkpointer::cover(wal::Log& log) {
  if (log.durable() < part_.ended_at && !ACTABLE_PLANTED(checkpoint_not_covered)) {
    log.want_durable(part_.ended_at);
    return Checkpointed::waiting;
  }
  awaited_.store(0, std::memory_order_relaxed);
  // All that the walk has seen is in the log on disk.
  ACTABLE_FAIL_POINT("checkpoint.covered");
  // Once more: since the step began a batch may have been torn whose number is below E.
  if (auto sound = check_sound(log); !sound) return std::unexpected(std::move(sound.error()));
  if (auto published = publish(log); !published) return std::unexpected(std::move(published.error()));
  const unsigned next = part_.group + part_.groups;
  if (next < k_groups) {
    begin_part(log, next);
  } else {
    end_pass({});
  }
  return Checkpointed::working;
}

void Checkpointer::abandon_part() noexcept {
  if (part_.file != nullptr) {
    (void)guarded("removing a file", [&]() -> Result<void> {
      const std::filesystem::path path = part_.file->path();
      part_.file.reset();
      return files_.remove(path);
    });
  }
  part_ = {};
}

void Checkpointer::end_pass(Result<void> outcome) noexcept {
  stage_ = Stage::resting;
  awaited_.store(0, std::memory_order_relaxed);
  part_ = {};
  spaces_.clear();
  gathered_ = {};
  {
    const std::lock_guard lock(told_mutex_);
    told_.running = false;
    error_.reset();
    using Ended = CheckpointSchedule::Ended;
    if (outcome) {
      schedule_.ended(Ended::done, base::Clock::now());
      ++told_.passes;
      told_.duration = since(began_at_);
    } else {
      schedule_.ended(outcome.error().code == ErrorCode::closed ? Ended::cancelled : Ended::failed, base::Clock::now());
      ++told_.failures;
      error_ = std::move(outcome.error());
    }
  }
  // release: the outcome.
  ended_.fetch_add(1, std::memory_order_release);
}

}  // namespace actable::store
