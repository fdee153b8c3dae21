#pragma once

#include "benchmarks/engine.h"

/// One function an engine, each in the source file of its name. Only those that
/// CMake found what they need for are in the build.
namespace bench {

[[nodiscard]] EngineKind actable_kind();
[[nodiscard]] EngineKind actors_kind();
[[nodiscard]] EngineKind boost_kind();
[[nodiscard]] EngineKind empty_kind();
[[nodiscard]] EngineKind ets_kind();
[[nodiscard]] EngineKind leveldb_kind();
[[nodiscard]] EngineKind lmdb_kind();
[[nodiscard]] EngineKind redis_kind();
[[nodiscard]] EngineKind rocksdb_kind();
[[nodiscard]] EngineKind sharded_kind();
[[nodiscard]] EngineKind tbb_kind();
// As `actors`, but for what is known of the operations.
[[nodiscard]] EngineKind unsampled_kind();
[[nodiscard]] EngineKind tasks_kind();

/// Whether the program that each needs is on the PATH.
[[nodiscard]] bool redis_is_here();
[[nodiscard]] bool ets_is_here();

}  // namespace bench
