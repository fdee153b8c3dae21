#include "benchmarks/histogram.h"

#include "tests/support/catch.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using bench::Histogram;

std::uint64_t exact_quantile(std::vector<std::uint64_t>& values, double fraction) {
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

double relative_error(std::uint64_t measured, std::uint64_t exact) {
  const auto m = static_cast<double>(measured), e = static_cast<double>(exact);
  return exact == 0 ? m : std::abs(m - e) / e;
}

TEST_CASE("an empty histogram says zero") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.max() == 0);
  CHECK(histogram.quantile(0.99) == 0);
}

TEST_CASE("values below 256 are exact") {
  for (std::uint64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.record(value);
    CHECK(histogram.quantile(0.5) == value);
  }
}

TEST_CASE("any single value is kept within 1 %") {
  for (unsigned bit = 8; bit < 64; ++bit) {
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << bit) - 1}) {
      const std::uint64_t value = (std::uint64_t{1} << bit) + offset;
      Histogram histogram;
      histogram.record(value);
      histogram.record(~std::uint64_t{0});
      INFO("value " << value);
      CHECK(relative_error(histogram.quantile(0.5), value) <= 0.01);
      CHECK(histogram.max() == ~std::uint64_t{0});
    }
  }
}

TEST_CASE("quantiles of a long-tailed sample are within 1 % of the exact ones") {
  constexpr std::uint64_t k_seed = 7;
  INFO("seed " << k_seed);
  std::mt19937_64 random(k_seed);
  std::lognormal_distribution<double> latency(5.0, 1.5);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    const auto value = static_cast<std::uint64_t>(latency(random));
    histogram.record(value);
    values.push_back(value);
  }
  for (const double fraction : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    INFO("quantile " << fraction);
    CHECK(relative_error(histogram.quantile(fraction), exact_quantile(values, fraction)) <= 0.01);
  }
}

TEST_CASE("merging counts what both recorded") {
  Histogram one, other;
  for (std::uint64_t value = 0; value < 100; ++value) one.record(value);
  for (std::uint64_t value = 100; value < 200; ++value) other.record(value);
  one.merge(other);
  CHECK(one.count() == 200);
  CHECK(one.max() == 199);
  CHECK(one.quantile(0.5) == 99);
}

}  // namespace
