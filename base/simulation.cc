#include "base/simulation.h"

#include <random>

namespace actable::base {

std::uint64_t random_word() {
#if defined(ACTABLE_PARK_POINTS)
  if (Simulation* const s = simulation.load(std::memory_order_relaxed)) return s->random_word();
#endif
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

}  // namespace actable::base
