#include "actors/space_saving.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace actable::actors {
namespace {

using Frequent = SpaceSaving<std::uint64_t, std::hash<std::uint64_t>>;

/// A stream of keys, counted exactly and by few counters.
///
/// Thread safety: *confined*.
class Stream {
 public:
  explicit Stream(std::size_t counters) : hot_(counters) {}

  void add(std::uint64_t key) {
    hot_.add(key);
    ++exact_[key];
  }

  void merge(const Stream& other) {
    hot_.merge(other.hot_);
    for (const auto& [key, count] : other.exact_) exact_[key] += count;
  }

  [[nodiscard]] const Frequent& hot() const { return hot_; }
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& exact() const { return exact_; }

  /// What SpaceSaving promises of every key, counted or not.
  void check() const {
    std::map<std::uint64_t, Frequent::Entry> named;
    for (const Frequent::Entry& entry : hot_.top(exact_.size() + 1)) {
      REQUIRE(named.emplace(entry.item, entry).second);
      REQUIRE(exact_.contains(entry.item));
      const std::uint64_t count = exact_.at(entry.item);
      REQUIRE(count <= entry.count);
      REQUIRE(count >= entry.count - entry.error);
    }
    std::uint64_t total = 0;
    for (const auto& [key, count] : exact_) {
      total += count;
      if (!named.contains(key) && count > hot_.missed_max()) FAIL("key " << key << " is missing");
    }
    REQUIRE(hot_.total() == total);
  }

 private:
  Frequent hot_;
  std::map<std::uint64_t, std::uint64_t> exact_;
};

/// Ranks with probability proportional to 1 / rank^0.99, by looking the number up
/// in the sums.
class Zipf {
 public:
  explicit Zipf(std::size_t items) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= items; ++rank)
      sums_.push_back(sum += std::pow(static_cast<double>(rank), -0.99));
  }
  [[nodiscard]] std::uint64_t draw(test::Random& random) const {
    const double at = sums_.back() * 0x1p-64 * static_cast<double>(random());
    return static_cast<std::uint64_t>(std::ranges::upper_bound(sums_, at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

}  // namespace

TEST_CASE("with a counter for each key the counts are exact") {
  Stream stream(9);
  for (std::uint64_t key = 1; key <= 8; ++key) {
    for (std::uint64_t i = 0; i < key; ++i) stream.add(key);
  }
  const auto top = stream.hot().top(3);
  REQUIRE(top.size() == 3);
  for (std::size_t i = 0; i < top.size(); ++i) {
    CHECK(top[i].item == 8 - i);
    CHECK(top[i].count == 8 - i);
    CHECK(top[i].error == 0);
  }
  CHECK(stream.hot().missed_max() == 0);
  stream.check();
}

TEST_CASE("a key without a counter takes over the lowest and says how far it may be wrong") {
  Stream stream(2);
  for (const std::uint64_t key : {1, 1, 1, 2, 2, 3}) stream.add(key);
  const auto top = stream.hot().top(2);
  CHECK(top[0].count == 3);
  CHECK(top[1].item == 3);
  CHECK(top[1].count == 3);
  CHECK(top[1].error == 2);
  stream.check();
}

TEST_CASE("counts keep their bounds in random streams, merged or not") {
  test::Random random(test::seed());
  for (int round = 0; round < 200; ++round) {
    const auto up_to = [&random](std::uint64_t most) { return 1 + random.below(most); };
    Stream streams[] = {Stream(up_to(40)), Stream(up_to(40)), Stream(up_to(40))};
    const Zipf zipf(up_to(200));
    for (Stream& stream : streams) {
      for (std::uint64_t i = up_to(2'000); i != 0; --i) stream.add(zipf.draw(random));
      stream.check();
    }
    streams[0].merge(streams[1]);
    streams[0].check();
    for (std::uint64_t i = up_to(500); i != 0; --i) streams[0].add(zipf.draw(random));
    streams[0].check();
    streams[2].merge(streams[0]);
    streams[2].check();
  }
}

TEST_CASE("of ten million operations, one in 64 seen, the hottest twenty keys are found") {
  constexpr std::size_t k_keys = 1'000'000;
  constexpr std::size_t k_samples = 10'000'000 / 64;
  constexpr std::size_t k_top = 20;
  test::Random random(test::seed());
  const Zipf zipf(k_keys);
  Stream stream(1024);
  for (std::size_t i = 0; i < k_samples; ++i) stream.add(zipf.draw(random));
  stream.check();
  const auto top = stream.hot().top(k_top);
  // Rank r is the number r - 1.
  const auto found = std::ranges::count_if(top, [](const Frequent::Entry& entry) { return entry.item < k_top; });
  CHECK(found >= static_cast<std::ptrdiff_t>(k_top * 9 / 10));
}

}  // namespace actable::actors
