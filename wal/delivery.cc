#include "wal/delivery.h"

#include "base/failure.h"
#include "base/signals.h"

#include <algorithm>
#include <array>
#include <new>
#include <system_error>
#include <utility>

namespace actable::wal {
namespace {

// The one who reads the log brings no more records than these can take.
constexpr unsigned k_threads_max = 16;

}  // namespace

Apply each_record(TakeRecord take) {
  return [take = std::move(take)](std::span<const LogRecord> run) -> Result<void> {
    for (const LogRecord& record : run) {
      if (auto taken = take(record); !taken) return taken;
    }
    return {};
  };
}

Delivery::~Delivery() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  helpers_.clear();
}

void Delivery::employ() {
  if (!help_) return;
  const unsigned threads = std::min(std::thread::hardware_concurrency(), k_threads_max);
  const base::AllSignalsBlocked blocked;
  try {
    for (unsigned i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
  } catch (const std::system_error&) {
    // With fewer, then.
  }
}

void Delivery::help() {
  try {
    help_([this](const Apply& apply) { work(apply); });
  } catch (const std::bad_alloc&) {
    // There was no place for it, then: the others take all there is.
  }
}

void Delivery::work(const Apply& apply) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return over_ || !waiting_.empty(); });
    if (over_) return;
    deliver_first(apply, lock);
  }
}

void Delivery::deliver_first(const Apply& apply, std::unique_lock<std::mutex>& lock) {
  Batch batch = std::move(waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= batch.bytes;
  ++busy_;
  lock.unlock();
  Result<void> done{};
  std::uint64_t applied = 0;
  try {
    done = deliver(batch, apply, applied);
  } catch (const std::bad_alloc&) {
    done = base::failure(ErrorCode::no_memory, "memory is exhausted: replaying the log; nothing was changed");
  }
  batch = {};
  lock.lock();
  --busy_;
  applied_ += applied;
  if (!done) {
    if (!failure_) failure_ = std::move(done.error());
    waiting_.clear();
    waiting_bytes_ = 0;
  }
  // For the caller, who may wait for the last.
  if (busy_ == 0 && waiting_.empty()) changed_.notify_all();
}

Result<void> Delivery::deliver(const Piece& piece, const Apply& apply, std::uint64_t& applied) {
  std::array<LogRecord, k_run_records_max> run;
  std::span<const std::byte> rest = piece.records.bytes;
  while (!rest.empty()) {
    std::size_t records = 0;
    while (records < run.size()) {
      const auto record = take_record(rest);
      if (!record) break;
      if (record->seq >= piece.from && record->seq < piece.to) run[records++] = *record;
    }
    if (records == 0) break;
    if (auto done = apply(std::span(run).first(records)); !done) return done;
    applied += records;
  }
  return {};
}

Result<void> Delivery::deliver(const Batch& batch, const Apply& apply, std::uint64_t& applied) {
  for (const Piece& piece : batch.pieces) {
    if (auto done = deliver(piece, apply, applied); !done) return done;
  }
  return {};
}

Result<void> Delivery::so_far() const {
  if (failure_) return std::unexpected(*failure_);
  return {};
}

Result<void> Delivery::pass_on() {
  Batch batch = std::exchange(next_, {});
  std::unique_lock lock(mutex_);
  if (failure_) return so_far();
  waiting_bytes_ += batch.bytes;
  waiting_.push_back(std::move(batch));
  changed_.notify_one();
  while (waiting_bytes_ > k_waiting_bytes_max) deliver_first(apply_, lock);
  return so_far();
}

Result<void> Delivery::take(Piece piece) {
  if (helpers_.empty()) return deliver(piece, apply_, applied_);
  next_.bytes += piece.records.bytes.size();
  next_.pieces.push_back(std::move(piece));
  if (next_.bytes < k_batch_bytes) return {};
  return pass_on();
}

Result<void> Delivery::finish() {
  if (helpers_.empty()) return {};
  if (auto passed = pass_on(); !passed) return passed;
  std::unique_lock lock(mutex_);
  while (!waiting_.empty()) deliver_first(apply_, lock);
  changed_.wait(lock, [this] { return busy_ == 0; });
  return so_far();
}

}  // namespace actable::wal
