#pragma once

#include "debug/document.h"
#include "store/store_core.h"

#include <actable/actors.h>

#include <string>
#include <vector>

/// Statistics as the debug protocol has them (docs/debug-protocol.md). Names of
/// fields are those of the public structures, with their unit behind.
///
/// Thread safety: pure functions.
namespace actable::actors {

[[nodiscard]] debug::Document document_of(const StoreStats& stats);
[[nodiscard]] debug::Document document_of(const CheckpointStats& stats);
[[nodiscard]] debug::Document document_of(const Healed& healed);
[[nodiscard]] debug::Document document_of(const std::string& name, const SpaceStats& stats);
[[nodiscard]] debug::Document document_of(const ShardStats& stats);
[[nodiscard]] debug::Document document_of(const ActorStats& stats);

/// Without what it knows of each shard: of 4,096 shards that is more than a reply holds.
[[nodiscard]] debug::Document document_of(const Analytics& analytics);
[[nodiscard]] debug::Document document_of(const store::Sample& sample, const std::string& space);

/// The store's options and the actors', both as they are now.
[[nodiscard]] debug::Document document_of(const Options& opened_with, const store::StoreCore::Tuning& now,
                                          const ActorOptions& actors);

/// Sets the option of that name, one of `Tuning`'s, from text such as "20ms",
/// "2s", "64MiB" or a plain number of milliseconds or bytes. Fails with
/// invalid_argument.
[[nodiscard]] Result<store::StoreCore::Tuning> with_option(store::StoreCore::Tuning tuning, std::string_view option,
                                                           std::string_view value);

}  // namespace actable::actors
