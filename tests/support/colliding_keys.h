#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace actable::test {

/// A key of 32 bytes that `base::hash_key` hashes to `hash` under the seed; each
/// `variant` gives another such key. So the table can be given true collisions,
/// of the whole hash or of any part of it. (Who does not know the store's seed
/// cannot make them.)
///
/// XXH3 of 32 bytes is avalanche(32 * P + mix(first half) + mix(second half)),
/// where mix(a, b) folds the 128 bits of (a ^ s) * (b ^ t) by exclusive or, and
/// s and t are words of a fixed secret plus and minus the seed. In the first
/// half a = s makes the product 0 whatever b is; in the second, a = s ^ 1 makes
/// it b ^ t, which can be chosen; and the avalanche can be run backwards.
[[nodiscard]] inline std::string key_with_hash(std::uint64_t hash, std::uint64_t variant, std::uint64_t seed) {
  constexpr std::uint64_t k_prime = 0x9e3779b185ebca87;
  constexpr std::uint64_t k_avalanche_factor = 0x165667919e3779f9;
  constexpr std::uint64_t k_secret[] = {0xbe4ba423396cfeb8, 0, 0xdb979083e96dd4de, 0x1f67b3b7a4a44072};
  // Newton's iteration doubles the bits of the factor's inverse that are right.
  constexpr std::uint64_t k_inverse = [] {
    std::uint64_t inverse = k_avalanche_factor;
    for (int i = 0; i < 6; ++i) inverse *= 2 - k_avalanche_factor * inverse;
    return inverse;
  }();
  std::uint64_t sum = hash ^ (hash >> 32);
  sum *= k_inverse;
  sum ^= sum >> 37;
  const std::uint64_t words[] = {k_secret[0] + seed, variant, (k_secret[2] + seed) ^ 1,
                                 (k_secret[3] - seed) ^ (sum - 32 * k_prime)};
  std::string key(sizeof words, '\0');
  std::memcpy(key.data(), words, sizeof words);
  return key;
}

}  // namespace actable::test
