#include "base/assert.h"
#include "base/failure.h"
#include "store/batch_ops.h"

#include "store/batch_write.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <new>
#include <utility>

namespace actable {
namespace store {
namespace {

constexpr std::size_t k_op_overhead_bytes = 32;

}  // namespace

Result<void> BatchOps::check(const std::shared_ptr<SpaceCore>& space, std::string_view key,
                             std::string_view value) const {
  if (space == nullptr) {
    return base::failure(ErrorCode::closed, "this handle was moved from; use the one it was moved to");
  }
  if (!key_fits(key)) return bad_key(key);
  if (!value_fits(value)) return bad_value(value);
  if (!ops_.empty() && &ops_.front().space->store() != &space->store()) {
    return base::failure(ErrorCode::invalid_argument, [&] {
      return "the space '" + space->name() + "' is of another store than those in the batch; use a batch for each";
    });
  }
  const std::size_t bytes = payload_bytes_ + key.size() + value.size() + (ops_.size() + 1) * k_op_overhead_bytes;
  if (bytes > k_batch_bytes_max) {
    return base::failure(ErrorCode::too_large, [&] {
      return "the batch would hold " + std::to_string(bytes) + " bytes; the limit is " +
             std::to_string(k_batch_bytes_max) + ": divide it";
    });
  }
  return {};
}

void BatchOps::append(const std::shared_ptr<SpaceCore>& space, const Op& op) {
  if (spaces_.empty() || spaces_.back() != space) spaces_.push_back(space);
  ops_.push_back(op);
  payload_bytes_ += op.key_bytes + op.value_bytes;
}

Result<void> BatchOps::add(const std::shared_ptr<SpaceCore>& space, std::string_view key, std::string_view value,
                           bool tombstone) {
  if (auto fits = check(space, key, value); !fits) return fits;
  const std::size_t begin = bytes_.size();
  try {
    bytes_.append(key).append(value);
    append(space, {space.get(), nullptr, begin, key.size(), value.size(), tombstone});
  } catch (const std::bad_alloc&) {
    bytes_.resize(begin);
    return no_memory("the batch");
  }
  return {};
}

Result<void> BatchOps::refer(const std::shared_ptr<SpaceCore>& space, std::string_view key, std::string_view value) {
  ACTABLE_ASSERT(value.data() == key.data() + key.size());
  if (auto fits = check(space, key, value); !fits) return fits;
  try {
    append(space, {space.get(), key.data(), 0, key.size(), value.size(), false});
  } catch (const std::bad_alloc&) {
    return no_memory("the batch");
  }
  return {};
}

Result<Seq> StoreCore::write(const BatchOps& batch, WriteOptions options) {
  if (state_.load(std::memory_order_acquire) == State::closed) return closed_error();
  if (batch.ops().empty()) return Seq{0};
  if (&batch.ops().front().space->store() != this) {
    return base::failure(ErrorCode::invalid_argument, "the batch holds spaces of another store; write it to that one");
  }
  auto own = context();
  if (!own) return std::unexpected(std::move(own.error()));
  return BatchWrite(*this, **own, batch, options).run();
}

}  // namespace store

Batch::Batch() : ops_(std::make_unique<store::BatchOps>()) {}
Batch::~Batch() = default;
Batch::Batch(Batch&& other) noexcept = default;
Batch& Batch::operator=(Batch&& other) noexcept = default;

Result<void> Batch::put(const Space& space, std::string_view key, std::string_view value) {
  if (ops_ == nullptr) ops_ = std::make_unique<store::BatchOps>();
  return ops_->add(space.core_, key, value, false);
}

Result<void> Batch::erase(const Space& space, std::string_view key) {
  if (ops_ == nullptr) ops_ = std::make_unique<store::BatchOps>();
  return ops_->add(space.core_, key, {}, true);
}

void Batch::clear() noexcept {
  if (ops_ != nullptr) ops_->clear();
}

std::size_t Batch::size() const noexcept { return ops_ == nullptr ? 0 : ops_->ops().size(); }

}  // namespace actable
