#include "routing/shard_map.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <thread>

namespace actable::routing {

ShardMap::ShardMap(unsigned shards) noexcept : bits_(static_cast<unsigned>(std::countr_zero(shards))) {
  ACTABLE_ASSERT(std::has_single_bit(shards));
}

unsigned default_shards() noexcept {
  return std::clamp(std::bit_ceil(4 * std::thread::hardware_concurrency()), 4U, 1024U);
}

}  // namespace actable::routing
