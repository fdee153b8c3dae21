#include <actable/store.h>

#include "base/assert.h"
#include "base/failure.h"
#include "store/access.h"
#include "store/batch_ops.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <new>

namespace actable {
namespace {

[[nodiscard]] std::unexpected<Error> moved_from() {
  return base::failure(ErrorCode::closed, "this store was moved from; use the one it was moved to");
}

[[nodiscard]] std::unexpected<Error> forked() {
  return base::failure(ErrorCode::closed,
                       "this process was forked from the one that has the store open; close it there");
}

}  // namespace

Store::Store(std::shared_ptr<store::StoreCore> core) : core_(std::move(core)) {}
Store::Store(Store&&) noexcept = default;

Store& Store::operator=(Store&& other) noexcept {
  if (this != &other) {
    close_or_end();
    core_ = std::move(other.core_);
  }
  return *this;
}

Store::~Store() { close_or_end(); }

void Store::close_or_end() noexcept {
  if (core_ != nullptr && !core_->in_opening_process()) {
    // `exit` in a forked child comes here for a store that is a static object.
    // Nothing of it can be ended here: it is left to the end of the process.
    (void)new (std::nothrow) std::shared_ptr<store::StoreCore>(std::move(core_));
    return;
  }
  const Result<void> closed = close();
  // From inside a visitor: closing would wait for the visitor for ever.
  ACTABLE_ASSERT(closed || closed.error().code != ErrorCode::invalid_argument);
}

Result<Store> Store::open(Options options) {
  return store::guarded("opening the store",
                        [&] { return store::Access::open(std::move(options), base::posix_file_system()); });
}

Result<Space> Store::space(std::string_view name, SpaceOptions options) {
  if (core_ == nullptr) return moved_from();
  auto found = store::guarded("the space", [&] { return core_->space(name, options); });
  if (!found) return std::unexpected(std::move(found.error()));
  return Space(std::move(*found));
}

Result<bool> Store::drop_space(std::string_view name) {
  if (core_ == nullptr) return moved_from();
  return store::guarded("dropping the space", [&] { return core_->drop_space(name); });
}

std::vector<std::string> Store::spaces() const {
  return core_ == nullptr ? std::vector<std::string>{} : core_->spaces();
}

Result<Seq> Store::write(const Batch& batch, WriteOptions options) {
  if (core_ == nullptr) return moved_from();
  if (batch.ops_ == nullptr) return Seq{0};
  return store::guarded("the batch", [&] { return core_->write(*batch.ops_, options); });
}

Seq Store::last_seq() const noexcept { return core_ == nullptr ? 0 : core_->last_seq(); }
Seq Store::durable_seq() const noexcept { return core_ == nullptr ? 0 : core_->durable_seq(); }

Result<void> Store::wait_durable(Seq seq) {
  if (core_ == nullptr) return moved_from();
  return core_->wait_durable(seq);
}

Result<Seq> Store::sync() {
  if (core_ == nullptr) return moved_from();
  return core_->sync();
}

Result<void> Store::checkpoint() {
  if (core_ == nullptr) return moved_from();
  if (!core_->in_opening_process()) return forked();
  return store::guarded("the checkpoint", [&] { return core_->checkpoint(); });
}

Result<bool> Store::checkpoint_if_due() {
  if (core_ == nullptr) return moved_from();
  if (!core_->in_opening_process()) return forked();
  return store::guarded("the checkpoint", [&] { return core_->checkpoint_if_due(); });
}

Result<Healed> Store::heal() {
  if (core_ == nullptr) return moved_from();
  if (!core_->in_opening_process()) return forked();
  return store::guarded("healing the store", [&] { return core_->heal(); });
}

void Store::cancel_checkpoint() noexcept {
  if (core_ != nullptr) core_->checkpointer().cancel();
}

Result<BackupStats> Store::backup(const std::filesystem::path& directory) {
  if (core_ == nullptr) return moved_from();
  if (!core_->in_opening_process()) return forked();
  return store::guarded("the backup", [&] { return core_->backup(directory); });
}

StoreStats Store::stats() const { return core_ == nullptr ? StoreStats{} : core_->stats(); }

Result<void> Store::close() {
  if (core_ == nullptr) return {};
  if (!core_->in_opening_process()) return forked();
  return core_->close();
}

}  // namespace actable
