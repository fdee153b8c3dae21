#include "actors/sample_pool.h"

#include <new>

namespace actable::actors {

using store::SampleBatch;

void SamplePool::clear() noexcept {
  SampleBatch* batch = nullptr;
  while (full_.try_dequeue(batch) || empty_.try_dequeue(batch)) {
    delete batch;
    batches_.fetch_sub(1, std::memory_order_relaxed);
  }
}

SampleBatch* SamplePool::exchange(SampleBatch* full) noexcept {
  if (full != nullptr) take(full);
  return next_empty();
}

void SamplePool::take(SampleBatch* batch) noexcept {
  if (batch->count == 0) {
    recycle(batch);
  } else if (!full_.enqueue(batch)) {
    drop(batch->count);
    recycle(batch);
  }
}

SamplePool::Full SamplePool::next_full() noexcept {
  SampleBatch* batch = nullptr;
  return Full(full_.try_dequeue(batch) ? batch : nullptr, {this});
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
