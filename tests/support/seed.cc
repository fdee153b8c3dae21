#include "tests/support/seed.h"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace actable::test {

std::uint64_t seed() {
  static const std::uint64_t chosen = [] {
    const char* const given = std::getenv("ACTABLE_SEED");
    const std::uint64_t number = given != nullptr ? std::stoull(given, nullptr, 0) : std::random_device{}();
    // Not on standard output, which a program's parent may read.
    std::fprintf(stderr, "ACTABLE_SEED=%ju\n", static_cast<std::uintmax_t>(number));
    return number;
  }();
  return chosen;
}

}  // namespace actable::test
