#include "actors/sample_pool.h"

#include <new>
#include <utility>

namespace actable::actors {

using store::SampleBatch;

void SamplePool::clear() noexcept {
  SampleBatch* batch = nullptr;
  while (next_full() != nullptr) {
  }
  while (empty_.try_dequeue(batch)) {
    delete batch;
    batches_.fetch_sub(1, std::memory_order_relaxed);
  }
}

SampleBatch* SamplePool::exchange(SampleBatch* full) noexcept {
  if (full != nullptr) take(full);
  return next_empty();
}

void SamplePool::take(SampleBatch* batch) noexcept {
  if (batch->count == 0) return recycle(batch);
  const bool full = batch->count == SampleBatch::k_capacity;
  if (!full_.enqueue(batch)) {
    drop(batch->count);
    return recycle(batch);
  }
  if (waiting_.fetch_add(1) + 1 >= wake_at_.load() && full) wake();
}

void SamplePool::wake_with(std::function<bool()> wake) {
  const std::lock_guard lock(wake_mutex_);
  wake_ = std::move(wake);
}

void SamplePool::wake_at(std::size_t batches) noexcept { wake_at_.store(batches); }

void SamplePool::wake() noexcept {
  const std::size_t batches = wake_at_.exchange(k_never);
  if (batches == k_never) return;
  try {
    // Whoever has it wakes already, or has nobody woken any more.
    const std::unique_lock lock(wake_mutex_, std::try_to_lock);
    if (lock && (!wake_ || wake_())) return;
  } catch (...) {
    // No memory for the message.
  }
  // The next batch wakes them, unless somebody has looked meanwhile.
  std::size_t never = k_never;
  wake_at_.compare_exchange_strong(never, batches);
}

SamplePool::Full SamplePool::next_full() noexcept {
  SampleBatch* batch = nullptr;
  if (waiting_.load() != 0 && full_.try_dequeue(batch)) waiting_.fetch_sub(1);
  return Full(batch, {this});
}

SampleBatch* SamplePool::next_empty() noexcept {
  SampleBatch* batch = nullptr;
  if (empty_.try_dequeue(batch)) return batch;
  if (batches_.fetch_add(1, std::memory_order_relaxed) < batches_max_) batch = new (std::nothrow) SampleBatch;
  if (batch == nullptr) batches_.fetch_sub(1, std::memory_order_relaxed);
  return batch;
}

void SamplePool::recycle(SampleBatch* batch) noexcept {
  batch->count = 0;
  if (empty_.enqueue(batch)) return;
  // The queue had no memory for it.
  batches_.fetch_sub(1, std::memory_order_relaxed);
  delete batch;
}

}  // namespace actable::actors
