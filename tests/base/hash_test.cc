#include "base/hash.h"
#include "tests/support/catch.h"
#include "tests/support/colliding_keys.h"
#include "tests/support/seed.h"

#include <set>
#include <string>

namespace actable::base {
namespace {

using test::Random;

std::uint64_t checksum_of(std::string_view text, std::uint64_t salt) {
  return checksum(std::as_bytes(std::span(text)), salt);
}

}  // namespace

// Checksums are on disk, so another version of the library must not change them.
TEST_CASE("the checksum is XXH3 with 64 bits, as published") {
  CHECK(checksum_of("", 0) == 0x2d06800538d394c2);
  CHECK(checksum_of("abc", 0) == 0x78af5f94892f3950);
}

TEST_CASE("another salt gives another checksum of the same bytes") {
  CHECK(checksum_of("a frame", 1) != checksum_of("a frame", 2));
  CHECK(checksum_of("a frame", 1) == checksum_of(std::string("a frame"), 1));
}

TEST_CASE("a hash is what the library makes of the key, of whatever size it is") {
  const std::uint64_t seed = test::seed();
  INFO("seed " << seed);
  std::string key;
  for (std::size_t bytes = 0; bytes <= 300; ++bytes) {
    INFO(bytes << " bytes");
    CHECK(hash_key(key, seed) == XXH3_64bits_withSeed(key.data(), key.size(), seed));
    CHECK(is_9_to_16_bytes(key) == (bytes >= 9 && bytes <= 16));
    key += static_cast<char>(seed >> bytes % 56);
  }
}

TEST_CASE("another seed gives another hash of the same key") {
  Random random(test::seed());
  std::set<std::uint64_t> hashes;
  for (int i = 0; i < 1000; ++i) hashes.insert(hash_key("one key", random()));
  CHECK(hashes.size() == 1000);
}

TEST_CASE("every bit of a hash is set for about half of the keys") {
  constexpr int k_keys = 20'000;
  Random random(test::seed());
  const std::uint64_t seed = random();
  std::array<int, 64> set{};
  for (int i = 0; i < k_keys; ++i) {
    const std::uint64_t hash = hash_key("key" + std::to_string(i), seed);
    for (unsigned bit = 0; bit < 64; ++bit) set[bit] += static_cast<int>(hash >> bit & 1);
  }
  // Eight standard deviations (71 each): one false alarm in 10^13 runs.
  for (unsigned bit = 0; bit < 64; ++bit) {
    INFO("bit " << bit << " was set " << set[bit] << " times in " << k_keys);
    CHECK(std::abs(set[bit] - k_keys / 2) < 8 * 71);
  }
}

TEST_CASE("the tests can make keys of any hash, as many as they like") {
  Random random(test::seed());
  const std::uint64_t seed = random();
  std::set<std::string> keys;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::uint64_t hash = random();
    for (std::uint64_t variant = 0; variant < 4; ++variant) {
      const std::string key = test::key_with_hash(hash, variant, seed);
      keys.insert(key);
      if (hash_key(key, seed) != hash) FAIL("the key does not have the hash that was asked for");
    }
  }
  CHECK(keys.size() == 4000);
}

}  // namespace actable::base
