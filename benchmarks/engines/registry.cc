#include "benchmarks/engines/registry.h"

#include "benchmarks/engines/kinds.h"

#include <algorithm>
#include <vector>

namespace bench {

namespace {

std::vector<EngineKind> engines_in_this_build() {
  std::vector<EngineKind> kinds;
  kinds.push_back(actable_kind());
  kinds.push_back(sharded_kind());
#if defined(ACTABLE_BENCH_ACTORS)
  kinds.push_back(actors_kind());
  kinds.push_back(unsampled_kind());
  kinds.push_back(tasks_kind());
#endif
#if defined(ACTABLE_BENCH_BOOST)
  kinds.push_back(boost_kind());
#endif
#if defined(ACTABLE_BENCH_TBB)
  kinds.push_back(tbb_kind());
#endif
#if defined(ACTABLE_BENCH_LMDB)
  kinds.push_back(lmdb_kind());
#endif
#if defined(ACTABLE_BENCH_LEVELDB)
  kinds.push_back(leveldb_kind());
#endif
#if defined(ACTABLE_BENCH_ROCKSDB)
  kinds.push_back(rocksdb_kind());
#endif
#if defined(ACTABLE_BENCH_REDIS)
  if (redis_is_here()) kinds.push_back(redis_kind());
#endif
#if defined(ACTABLE_BENCH_ETS)
  if (ets_is_here()) kinds.push_back(ets_kind());
#endif
  return kinds;
}

struct Requirement {
  std::string_view engine;
  std::string_view needs;
};

constexpr Requirement k_requirements[] = {
    {"actors", "libcaf-dev (CAF 0.17) when it is built"},
    {"unsampled", "libcaf-dev (CAF 0.17) when it is built"},
    {"tasks", "libcaf-dev (CAF 0.17) when it is built"},
    {"boost", "Boost 1.83 or later (benchmarks/README.md says how to have it beside the system's)"},
    {"tbb", "libtbb-dev"},
    {"lmdb", "liblmdb-dev"},
    {"leveldb", "libleveldb-dev"},
    {"rocksdb", "librocksdb-dev"},
    {"redis", "libhiredis-dev when it is built, and redis-server on the PATH when it runs"},
    {"ets", "escript on the PATH (erlang-base)"},
};

}  // namespace

std::span<const EngineKind> engines() {
  static const std::vector<EngineKind> kinds = engines_in_this_build();
  return kinds;
}

const EngineKind* find_engine(std::string_view name) {
  const auto found = std::ranges::find(engines(), name, &EngineKind::name);
  return found == engines().end() ? nullptr : &*found;
}

const EngineKind& empty_engine() {
  static const EngineKind kind = empty_kind();
  return kind;
}

std::string what_is_missing(std::string_view name) {
  const auto* found = std::ranges::find(k_requirements, name, &Requirement::engine);
  return found == std::ranges::end(k_requirements) ? std::string{} : std::string(found->needs);
}

}  // namespace bench
