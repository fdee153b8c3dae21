#include "store/store_core.h"

#include "base/failure.h"
#include "store/checks.h"

#include <new>
#include <string>

#include <sched.h>

namespace actable::store {

StoreCore::StoreCore(Options options, base::FileSystem& files)
    : options_(std::move(options)),
      files_(files),
      shard_map_(options_.shards == 0 ? routing::default_shards() : options_.shards),
      memory_(std::make_unique<base::RecordMemory>(epochs_)),
      maintenance_(*this, shard_map_.shards()),
      checkpointer_(*this, files) {}

StoreCore::~StoreCore() {
  (void)close();
  // Somebody may have come back from an operation after the sink was emptied.
  collect_samples();
}

Result<ThreadContext*> StoreCore::no_context() { return no_place_for_thread(); }

Result<ThreadContext*> StoreCore::new_context(unsigned index) {
  base::Epochs::Slot* const slot = epochs_.slot(index);
  if (slot == nullptr) return no_memory("a thread's state");
  // Pinned, so that closing does not take memory and log away meanwhile.
  const base::ReadPin pin(epochs_, *slot);
  if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
  const base::RecordMemory::CacheSlot* const cache = memory_->cache_slot(index);
  wal::Stager* const stager = log_ == nullptr ? nullptr : log_->stager(index);
  if (cache == nullptr || (log_ != nullptr && stager == nullptr)) return no_memory("a thread's state");
  ThreadContext* const made = contexts_.get(index, *slot, *cache, stager, index);
  if (made == nullptr) return no_memory("a thread's state");
  return made;
}

void StoreCore::let_others_run(ThreadContext& context) noexcept {
  // Inside a visitor it is this thread itself that holds memory back.
  if (base::Epochs::reads(context.slot)) return;
  const base::ReadPin pin(epochs_, context.slot);
  if (state_.load(std::memory_order_acquire) != State::open) return;
  epochs_.advance_seldom();
  // Memory that is safe already waits for its own thread only: nobody lags.
  const bool nobody_lags = epochs_.safe() + 2 >= epochs_.now();
  if (nobody_lags || memory_->retired_bytes() <= retired_bytes_max_.load(std::memory_order_relaxed)) {
    context.cache().budget_kept();
    return;
  }
  ACTABLE_YIELD("store.yield");
  sched_yield();
}

void StoreCore::collect_samples() noexcept {
  contexts_.for_each([this](ThreadContext& context) { sampler_.collect(context.sampling); });
}

std::shared_ptr<wal::Log> StoreCore::find_log() const noexcept {
  const unsigned index = base::thread_index();
  base::Epochs::Slot* const slot = index == base::k_no_thread_index ? nullptr : epochs_.slot(index);
  if (slot == nullptr) {
    // No place for this thread. Closing says so under the mutex before it takes the log away.
    const std::lock_guard lock(catalog_mutex_);
    return state_.load(std::memory_order_acquire) == State::closed ? nullptr : log_;
  }
  const base::ReadPin pin(epochs_, *slot);
  return state_.load(std::memory_order_acquire) == State::closed ? nullptr : log_;
}

std::unexpected<Error> StoreCore::closed_error() const {
  return base::failure(ErrorCode::closed, [&] {
    return "the store" + (options_.directory.empty() ? std::string() : " " + options_.directory.string()) +
           " is closed; open it again";
  });
}

void StoreCore::report(LogLevel level, const std::string& message) const {
  if (options_.log) options_.log(level, message);
}

Seq StoreCore::last_seq() const noexcept {
  const Seq next = epochs_.next_seq();
  return next <= base::first_seq_of(1) ? 0 : next - 1;
}

Seq StoreCore::durable_seq() const noexcept {
  const std::shared_ptr<wal::Log> log = find_log();
  const Seq durable = log == nullptr ? durable_at_close_.load(std::memory_order_acquire) : log->durable();
  return durable <= base::first_seq_of(1) ? 0 : durable - 1;
}

Result<std::shared_ptr<wal::Log>> StoreCore::log_for(Seq seq) const {
  std::shared_ptr<wal::Log> log = find_log();
  if (log == nullptr) {
    if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
    return base::failure(ErrorCode::unsupported,
                         "this store is pure memory: nothing in it can be made durable; set Options::directory");
  }
  if (seq > last_seq()) {
    return base::failure(ErrorCode::invalid_argument, [&] {
      return "no write is numbered " + std::to_string(seq) + " yet; the last is at most " + std::to_string(last_seq());
    });
  }
  return log;
}

Result<void> StoreCore::wait_durable(Seq seq) {
  auto log = log_for(seq);
  if (!log) return std::unexpected(std::move(log.error()));
  return (*log)->wait_durable(seq + 1);
}

Result<bool> StoreCore::want_durable(Seq seq) {
  auto log = log_for(seq);
  if (!log) return std::unexpected(std::move(log.error()));
  if ((*log)->durable() > seq) return true;
  if ((*log)->failed()) {
    return base::failure(ErrorCode::indeterminate, [&] {
      return "the log failed before the write was known to be on disk (" + (*log)->failure() +
             "); it is visible now and may or may not be there after the store is opened again";
    });
  }
  (*log)->want_durable(seq + 1);
  return false;
}

bool StoreCore::watch_durable(std::function<void()> watcher) {
  const std::shared_ptr<wal::Log> log = find_log();
  if (log != nullptr) log->watch(std::move(watcher));
  return log != nullptr;
}

bool StoreCore::log_failed() const noexcept {
  const std::shared_ptr<wal::Log> log = find_log();
  return log != nullptr && log->failed();
}

void StoreCore::refuse_writes(std::string_view reason) {
  const std::shared_ptr<wal::Log> log = find_log();
  if (log != nullptr) log->refuse_writes(reason);
}

StoreCore::Tuning StoreCore::tuning() const {
  const std::lock_guard lock(tuning_mutex_);
  return tuning_;
}

Result<void> StoreCore::tune(const Tuning& tuning) {
  Options options = options_;
  options.write_interval = tuning.write_interval;
  options.sync_interval = tuning.sync_interval;
  options.write_deadline = tuning.write_deadline;
  options.retired_bytes = tuning.retired_bytes;
  options.checkpoint_bytes_per_second = tuning.checkpoint_bytes_per_second;
  if (auto checked = check_options(options); !checked) return checked;
  const std::lock_guard lock(tuning_mutex_);
  if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
  tuning_ = tuning;
  retired_bytes_max_.store(tuning.retired_bytes, std::memory_order_relaxed);
  checkpointer_.set_bytes_per_second(tuning.checkpoint_bytes_per_second);
  if (const std::shared_ptr<wal::Log> log = find_log()) {
    log->set_intervals(tuning.write_interval, tuning.sync_interval);
    log->set_write_deadline(tuning.write_deadline);
  }
  return {};
}

Result<Seq> StoreCore::sync() {
  if (auto waited = wait_durable(last_seq()); !waited) return std::unexpected(std::move(waited.error()));
  return durable_seq();
}

void StoreCore::watch_pins() {
  using base::Clock;
  const std::lock_guard lock(pins_mutex_);
  const base::Epoch oldest = epochs_.oldest_pin();
  if (oldest != pin_watched_ || oldest == epochs_.now()) {
    pin_watched_ = oldest;
    pin_watched_since_ = Clock::now();
    pin_counted_ = false;
  } else if (!pin_counted_ && Clock::now() - pin_watched_since_ > std::chrono::seconds(1)) {
    pin_counted_ = true;
    ++pins_long_;
  }
}

StoreStats StoreCore::stats() {
  watch_pins();
  if (const std::unique_lock changes(changes_mutex_, std::try_to_lock); changes.owns_lock()) {
    while (reclaim_some()) {
    }
  }
  StoreStats stats;
  stats.last_seq = last_seq();
  stats.durable_seq = durable_seq();
  stats.threads = epochs_.live_threads();
  stats.epoch = epochs_.now();
  stats.epoch_pinned_oldest = epochs_.oldest_pin();
  stats.membarrier = base::membarrier_in_use();
  {
    const std::lock_guard lock(pins_mutex_);
    stats.pins_long = pins_long_;
  }
  stats.spaces = spaces().size();
  const std::shared_ptr<wal::Log> log = find_log();
  if (log != nullptr) {
    stats.log = log->stats();
    stats.recovery = log->recovery();
    stats.recovery.records_applied -= restored_.records_applied;
    stats.recovery.checkpoint_records = restored_.checkpoint_records;
    stats.recovery.checkpoint_bytes = restored_.checkpoint_bytes;
    stats.checkpoint = checkpointer_.stats();
    stats.durable_lag = log->lag();
    stats.read_only = log->refuses_writes();
    if (stats.read_only) stats.read_only_reason = log->failure();
    stats.heals = heals_.load(std::memory_order_relaxed);
  }
  if (auto own = context()) {
    const base::ReadPin pin(epochs_, (*own)->slot);
    if (state_.load(std::memory_order_acquire) == State::open) {
      stats.memory = {.reserved_bytes = memory_->reserved_bytes(),
                      .carved_bytes = memory_->carved_bytes(),
                      .retired_bytes = memory_->retired_bytes(),
                      .compactions = maintenance_.compactions(),
                      .returned_bytes = memory_->returned_bytes(),
                      .compacting = memory_->compaction() != base::RecordMemory::Compaction::none};
    }
  }
  return stats;
}

Result<Maintained> StoreCore::maintain(unsigned shard) {
  return guarded("a step of maintenance", [&]() -> Result<Maintained> {
    // Later, every step looks again once it is pinned.
    if (!is_open()) return closed_error();
    auto own = context();
    if (!own) return std::unexpected(std::move(own.error()));
    return maintenance_.step(**own, shard);
  });
}

bool StoreCore::inside_visitor() noexcept {
  const unsigned index = base::thread_index();
  const base::Epochs::Slot* const own = index == base::k_no_thread_index ? nullptr : epochs_.slot(index);
  return own != nullptr && base::Epochs::reads(*own);
}

Result<void> StoreCore::close() {
  if (inside_visitor()) {
    return base::failure(ErrorCode::invalid_argument,
                         "close was called from inside a visitor or an update's function; return from it first");
  }
  checkpoint_before_closing();
  // Moved out rather than copied: closing needs no memory.
  decltype(spaces_) spaces;
  decltype(dropped_) dropped;
  decltype(recovering_) recovering;
  std::shared_ptr<SpaceCore> catalog;
  const auto for_each_space = [&](auto&& f) {
    for (const auto& [name, space] : spaces) f(*space);
    for (const Dropped& gone : dropped) f(*gone.space);
    for (const auto& [id, space] : recovering) f(*space);
    if (catalog != nullptr) f(*catalog);
  };
  {
    const std::lock_guard changes(changes_mutex_);
    const std::lock_guard lock(catalog_mutex_);
    // release: pairs with the acquires of those who pin and then look.
    if (state_.exchange(State::closed, std::memory_order_acq_rel) == State::closed) return {};
    spaces.swap(spaces_);
    dropped.swap(dropped_);
    recovering.swap(recovering_);
    catalog.swap(catalog_);
  }
  for_each_space([](SpaceCore& space) {
    if (space.state() == SpaceCore::State::open) space.set_state(SpaceCore::State::closed);
  });
  // Whoever pinned before saw an open space and may still be at work; whoever
  // pins from now on sees a closed one.
  const base::Epoch epoch = base::epoch_of(epochs_.bump());
  base::heavy_fence();
  ACTABLE_AWAIT("store.quiet", [&] { return epochs_.quiet_since(epoch); });
  while (!epochs_.quiet_since(epoch)) sched_yield();

  Result<void> closed{};
  if (log_ != nullptr) {
    checkpointer_.stop();
    closed = log_->close();
    durable_at_close_.store(log_->durable(), std::memory_order_release);
    log_.reset();
  }
  memory_.reset();
  lock_.reset();
  return closed;
}

}  // namespace actable::store
