#include "table/segment.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <vector>

namespace actable::table {
namespace {

/// `others`: what of the hash is not the tag.
std::vector<unsigned> named(const Bucket& bucket, std::uint64_t tag, std::uint64_t others = 0) {
  constexpr std::uint64_t k_tag = std::uint64_t{0xffff} << 40;
  std::vector<unsigned> slots;
  for (Bucket::Hint hint = bucket.with_tag_of(tag << 40 | (others & ~k_tag)); hint; hint.next()) {
    slots.push_back(hint.slot());
  }
  return slots;
}

}  // namespace

TEST_CASE("a hint names the slots that have a tag, in their order") {
  const std::uint64_t seed = test::seed();
  INFO("seed " << seed);
  test::Random random(seed);
  for (int round = 0; round < 10'000; ++round) {
    Bucket bucket{};
    // Tags that are alike but for a bit; below them whatever a pointer, its
    // flags and a control word can be.
    const std::uint64_t tag = 1 + random.below(0xffff);
    const auto word_of = [&random](std::uint64_t of) { return of << 48 | random.below(std::uint64_t{1} << 48); };
    std::vector<unsigned> expected;
    for (unsigned i = 0; i < Bucket::k_slots; ++i) {
      const bool same = random.below(2) == 0;
      bucket.slots[i] = word_of(same ? tag : tag ^ std::uint64_t{1} << random.below(16));
      if (same) expected.push_back(i);
    }
    bucket.control = word_of(tag);
    REQUIRE(named(bucket, tag, random.below(~std::uint64_t{0})) == expected);
  }
}

TEST_CASE("of an empty bucket a hint names nothing but for the tag of what is empty") {
  const Bucket bucket{};
  CHECK(named(bucket, 1).empty());
  CHECK(named(bucket, 0xffff).empty());
  CHECK(named(bucket, 1, ~std::uint64_t{0}).empty());
  CHECK(named(bucket, 0).size() == Bucket::k_slots);
}

}  // namespace actable::table
