#include "actors/reuse_distance.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <list>
#include <vector>

using namespace actable;
using namespace actable::test;
using actors::ReuseDistance;

namespace {

using Distances = std::array<std::uint64_t, Analytics::k_distance_buckets>;

/// As ReuseDistance, exact and slow: keys in the order of their last use.
///
/// Thread safety: *confined*.
class Exact {
 public:
  void add(std::uint64_t key) {
    const auto found = std::ranges::find(recent_, key);
    if (found == recent_.end()) {
      ++first_uses_;
    } else {
      ++distances_[static_cast<std::size_t>(
          std::bit_width(static_cast<std::uint64_t>(std::distance(recent_.begin(), found))))];
      recent_.erase(found);
    }
    recent_.push_front(key);
  }
  [[nodiscard]] const Distances& distances() const { return distances_; }
  [[nodiscard]] std::uint64_t first_uses() const { return first_uses_; }

 private:
  std::list<std::uint64_t> recent_;
  Distances distances_{};
  std::uint64_t first_uses_ = 0;
};

}  // namespace

TEST_CASE("the distance is the number of different keys between two uses", "[reuse]") {
  ReuseDistance distance(10);
  // 1 again at once; 2 again after 3 alone, however often; 1 again after 2 and 3.
  for (const std::uint64_t key : {1, 1, 2, 3, 3, 3, 2, 1}) distance.add(key);
  CHECK(distance.first_uses() == 3);
  CHECK(distance.distances()[0] == 3);
  CHECK(distance.distances()[1] == 1);
  CHECK(distance.distances()[2] == 1);
}

TEST_CASE("with room for every key the distances are exact", "[reuse]") {
  Random random(seed());
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t keys = 1 + random.below(60);
    ReuseDistance distance(keys);
    Exact exact;
    for (std::uint64_t i = random.below(2'000); i != 0; --i) {
      const std::uint64_t key = random.below(keys);
      distance.add(key);
      exact.add(key);
    }
    CHECK(distance.distances() == exact.distances());
    CHECK(distance.first_uses() == exact.first_uses());
  }
}

TEST_CASE("with room for a few of many keys the distances are about right", "[reuse]") {
  constexpr std::uint64_t k_keys = 100'000;
  constexpr std::uint64_t k_uses = 2'000'000;
  ReuseDistance distance(2'000);
  Random random(seed());
  for (std::uint64_t i = 0; i < k_uses; ++i) distance.add(random.below(k_keys));
  // Of keys drawn evenly the distance is any from 0 to all others, evenly.
  std::uint64_t all = 0;
  for (const std::uint64_t uses : distance.distances()) all += uses;
  CHECK(static_cast<double>(all + distance.first_uses()) / k_uses == Approx(1).margin(0.2));
  const double share = static_cast<double>(distance.distances()[16]) / static_cast<double>(all);
  CHECK(share == Approx(32'768.0 / k_keys).margin(0.05));
  CHECK(static_cast<double>(distance.first_uses()) == Approx(k_keys).epsilon(0.25));
}
