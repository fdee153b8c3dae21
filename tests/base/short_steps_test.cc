// What threads have retired, when there is much of it: each step is short.

#include "tests/base/record_memory_place.h"
#include "tests/support/catch.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace actable::base {
namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;

}  // namespace

TEST_CASE("what a thread has retired is put away in short steps", "[record_memory]") {
  using Compaction = RecordMemory::Compaction;
  constexpr std::size_t k_bytes = 400;
  constexpr std::size_t k_magazines = 150;
  constexpr std::size_t k_step_bytes_max = 64 * 61 * k_bytes;
  Place place;
  // Of the generation that leaves in the first case, of the one that stays in the other.
  const bool leaves = GENERATE(true, false);
  // Of a smaller class, which is put away first: a step may end where it does.
  const std::size_t small_bytes = 8 * GENERATE(range(std::size_t{1}, std::size_t{49}));
  const auto retire_many = [&] {
    std::vector<Block> blocks;
    for (std::uint64_t i = 0; i < 61 * 60; ++i) blocks.push_back(place.allocate(small_bytes, i));
    for (std::uint64_t i = 0; i < 61 * k_magazines; ++i) blocks.push_back(place.allocate(k_bytes, i));
    const Reader reader(place);
    for (const Block& block : blocks) place.retire(block);
  };
  std::size_t most = 0;
  const auto compact_until = [&](Compaction state) {
    while (place.memory.compaction() != state) {
      const ReadPin pin(place.epochs, place.slot());
      const std::size_t before = place.memory.retired_bytes();
      expect(place.memory.step_compaction() == RecordMemory::Step::done, "a step waits");
      most = std::max(most, before - place.memory.retired_bytes());
    }
  };
  if (leaves) retire_many();
  {
    const ReadPin pin(place.epochs, place.slot());
    REQUIRE(place.memory.begin_compaction(place.memory.carved_bytes() + k_mib));
  }
  compact_until(Compaction::moving);
  if (!leaves) retire_many();
  {
    const ReadPin pin(place.epochs, place.slot());
    place.memory.moved_all();
  }
  compact_until(Compaction::none);
  CHECK(most > 0);
  CHECK(most <= k_step_bytes_max);
  CHECK(place.memory.retired_bytes() == 0);
  // Nothing that was retired is lost where it stays.
  const std::size_t carved = place.memory.carved_bytes();
  for (std::uint64_t i = 0; !leaves && i < 61 * (k_magazines - 2); ++i) (void)place.allocate(k_bytes, i);
  CHECK(place.memory.carved_bytes() <= carved + k_mib);
}

TEST_CASE("one call looks through a few retired magazines, however many wait", "[record_memory]") {
  constexpr std::size_t k_bytes = 400;
  constexpr std::size_t k_magazine_bytes = 61 * k_bytes;
  Place place;
  std::vector<Block> old;
  for (std::uint64_t i = 0; i < 61 * 200; ++i) old.push_back(place.allocate(k_bytes, i));
  const auto compact_until = [&](RecordMemory::Compaction state) {
    while (place.memory.compaction() != state) {
      const ReadPin pin(place.epochs, place.slot());
      expect(place.memory.step_compaction() == RecordMemory::Step::done, "a step waits");
    }
  };
  {
    const ReadPin pin(place.epochs, place.slot());
    REQUIRE(place.memory.begin_compaction(place.memory.carved_bytes()));
  }
  compact_until(RecordMemory::Compaction::moving);
  {
    // All that is retired stays in limbo: of the generation that leaves.
    const Reader reader(place);
    for (const Block& block : old) place.retire(block);
  }
  place.epochs.advance();
  std::size_t before = place.memory.retired_bytes();
  REQUIRE(before >= 190 * k_magazine_bytes);
  std::size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    (void)place.allocate(k_bytes);
    const std::size_t after = place.memory.retired_bytes();
    most = std::max(most, before - after);
    before = after;
  }
  CHECK(most <= 4 * k_magazine_bytes);
  CHECK(before == 0);
}

}  // namespace actable::base
