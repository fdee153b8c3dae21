#include "base/failure.h"
#include "base/simulation.h"
#include "checkpoint/format.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <sched.h>

/// Checkpoints as the store's callers see them; store/checkpointer.h writes them.
namespace actable::store {

Result<Checkpointed> StoreCore::step_checkpoint() {
  if (!is_open()) return closed_error();
  auto own = context();
  if (!own) return std::unexpected(std::move(own.error()));
  return checkpointer_.step(**own);
}

Result<void> StoreCore::expect_directory() const {
  if (!options_.directory.empty()) return {};
  return base::failure(ErrorCode::unsupported,
                       "this store is pure memory (Options::directory is empty): there is nothing to write to");
}

Result<void> StoreCore::checkpoint() {
  if (auto there = expect_directory(); !there) return there;
  const std::uint64_t pass = checkpointer_.ask();
  while (checkpointer_.ended() < pass) {
    const std::uint32_t heard = checkpointer_.heard();
    auto stepped = step_checkpoint();
    if (!stepped) return std::unexpected(std::move(stepped.error()));
    if (*stepped == Checkpointed::working) continue;
    if (*stepped == Checkpointed::pausing) {
      checkpointer_.await_pause();
      continue;
    }
    if (checkpointer_.driven()) {
      checkpointer_.await_step(heard);
      continue;
    }
    const Seq awaited = checkpointer_.awaited();
    const std::shared_ptr<wal::Log> log = find_log();
    if (awaited != 0 && log != nullptr && log->wait_durable(awaited)) continue;
    // Spaces are being made or dropped.
    ACTABLE_YIELD("store.yield");
    sched_yield();
  }
  return checkpointer_.outcome();
}

Result<bool> StoreCore::checkpoint_if_due() {
  if (auto there = expect_directory(); !there) return std::unexpected(std::move(there.error()));
  if (!is_open()) return closed_error();
  if (!checkpointer_.due()) return false;
  if (auto written = checkpoint(); !written) return std::unexpected(std::move(written.error()));
  return true;
}

std::uint64_t StoreCore::checkpoint_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& space : all_spaces()) {
    if (space->logged()) bytes += space->payload_bytes() + space->keys() * checkpoint::k_record_header_bytes;
  }
  return bytes;
}

/// Whatever comes of it, the log has all.
void StoreCore::checkpoint_before_closing() noexcept {
  if (!options_.checkpoint_at_close || options_.directory.empty() || !is_open()) return;
  const Result<void> written = guarded("the checkpoint at closing", [this]() -> Result<void> {
    // What is staged has no number in the log yet.
    if (auto synced = sync(); !synced) return std::unexpected(std::move(synced.error()));
    return checkpointer_.changed() ? checkpoint() : Result<void>{};
  });
  if (written || written.error().code == ErrorCode::closed) return;
  (void)guarded("the report", [&]() -> Result<void> {
    report(LogLevel::warning, "no checkpoint was written at closing: " + written.error().message);
    return {};
  });
}

}  // namespace actable::store
