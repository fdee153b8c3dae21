#pragma once

#include "base/file.h"
#include "store/batch_ops.h"
#include "store/checks.h"
#include "store/store_core.h"

#include <actable/store.h>

#include <span>
#include <string_view>
#include <utility>

namespace actable::store {

/// The way round the public face, for tests and for the floors above.
struct Access {
  /// As `Store::open`, over other files than the operating system's.
  [[nodiscard]] static Result<Store> open(Options options, base::FileSystem& files) {
    auto core = StoreCore::open(std::move(options), files);
    if (!core) return std::unexpected(std::move(core.error()));
    return Store(std::move(*core));
  }

  /// As `open`, with options beyond their limits: segments as small as a
  /// simulation wants them.
  [[nodiscard]] static Result<Store> open_unchecked(Options options, base::FileSystem& files) {
    auto core = StoreCore::open(std::move(options), files, OptionChecks::skipped);
    if (!core) return std::unexpected(std::move(core.error()));
    return Store(std::move(*core));
  }

  /// As StoreCore::existing_space.
  [[nodiscard]] static Result<Space> existing_space(Store& store, std::string_view name) {
    auto core = store.core_->existing_space(name);
    if (!core) return std::unexpected(std::move(core.error()));
    return Space(*std::move(core));
  }

  /// As Store::space, by a caller that may not wait: see StoreCore::space.
  [[nodiscard]] static Result<Space> space_at_once(Store& store, std::string_view name, SpaceOptions options) {
    auto core = guarded("the space", [&] { return store.core_->space(name, options, true); });
    if (!core) return std::unexpected(std::move(core.error()));
    return Space(*std::move(core));
  }

  /// Starts fetching what writes to these keys, 16 of them at most, will look at.
  static void fetch(const Space& space, std::span<const std::string_view> keys) noexcept { space.core_->fetch(keys); }

  /// As BatchOps::refer.
  [[nodiscard]] static Result<void> refer(BatchOps& batch, const Space& space, std::string_view key,
                                          std::string_view value) {
    return batch.refer(space.core_, key, value);
  }

  /// As Store::write.
  [[nodiscard]] static Result<Seq> write(Store& store, const BatchOps& batch, WriteOptions options) {
    return guarded("the batch", [&] { return store.core_->write(batch, options); });
  }

  [[nodiscard]] static StoreCore& core(Store& store) noexcept { return *store.core_; }
};

}  // namespace actable::store
