// From operations to what is known of them: the queue of samples, the tallies,
// and the actors between them.

#include "actors/analytics_book.h"
#include "actors/sample_pool.h"
#include "actors/tally.h"
#include "store/access.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"
#include "tests/support/wait.h"

#include <caf/send.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

using namespace actable;
using namespace actable::test;
using actors::SamplePool;
using actors::Tally;
using store::Sample;
using store::SampleBatch;
using store::Sampler;

namespace {

using namespace std::chrono_literals;

Sample sample_of(std::uint64_t hash, OperationKind operation = OperationKind::get, bool begins_run = true) {
  Sample sample{};
  sample.hash = hash;
  sample.space = 1;
  sample.weight = 1;
  sample.latency = std::chrono::duration<std::uint32_t, std::nano>(100);
  sample.operation = operation;
  sample.successful = true;
  sample.begins_run = begins_run;
  const std::string key = "key " + std::to_string(hash);
  sample.key_bytes = static_cast<std::uint16_t>(key.size());
  sample.shown_bytes = static_cast<std::uint8_t>(key.size());
  std::ranges::copy(key, sample.shown.begin());
  return sample;
}

void add(Tally& tally, const std::vector<Sample>& samples) {
  SampleBatch batch;
  for (const Sample& sample : samples) batch.samples[batch.count++] = sample;
  tally.add(batch, [](std::uint64_t hash) { return hash % 2; });
}

struct Report {
  Analytics analytics{};
  Tally::Unnamed unnamed{};
};

Report report(const Tally& tally) {
  Report made;
  made.analytics.shards.resize(2);
  tally.report(made.analytics, made.unnamed);
  return made;
}

/// Nothing is looked at until `look_at_all`.
ActorOptions unsampled() {
  ActorOptions options;
  options.sample_every = 0;
  return options;
}

Analytics analytics(Stage& stage) {
  collect_samples(stage);
  return stage.tree().analytics().report();
}

const Analytics::OperationStats& of(const Analytics& analytics, OperationKind operation) {
  return analytics.operations[static_cast<std::size_t>(operation)];
}

}  // namespace

TEST_CASE("a tally counts by operation and shard", "[analytics]") {
  Tally tally(2);
  Sample in_vain = sample_of(2, OperationKind::erase);
  in_vain.successful = false;
  Sample heavy = sample_of(3, OperationKind::put);
  heavy.weight = 5;
  heavy.has_value = true;
  heavy.value_bytes = 100;
  add(tally, {sample_of(1), sample_of(1), sample_of(2), in_vain, heavy});
  const Analytics known = report(tally).analytics;
  CHECK(known.samples == 5);
  CHECK(of(known, OperationKind::get).count == 3);
  CHECK(of(known, OperationKind::get).latency.count() == 3);
  CHECK(of(known, OperationKind::get).latency.max() == 100ns);
  CHECK(of(known, OperationKind::erase).count == 1);
  CHECK(of(known, OperationKind::erase).successful == 0);
  CHECK(of(known, OperationKind::put).count == 5);
  CHECK(of(known, OperationKind::put).latency.count() == 1);
  REQUIRE(known.shards[0].size() == 2);
  CHECK(known.shards[0][0].operation == OperationKind::get);
  CHECK(known.shards[0][0].stats.count == 1);
  REQUIRE(known.shards[1].size() == 2);
  CHECK(known.shards[1][0].stats.count == 2);
  CHECK(known.shards[1][1].operation == OperationKind::put);
  CHECK(known.key_bytes[3] == 5);
  CHECK(known.value_bytes[7] == 1);
  CHECK(known.reuse_none == 3);
}

TEST_CASE("keys of the same hash in two spaces are two", "[analytics]") {
  Tally tally(2);
  Sample other = sample_of(1);
  other.space = 2;
  add(tally, {sample_of(1), other});
  CHECK(report(tally).unnamed.keys.top(9).size() == 2);
}

TEST_CASE("keys of one run are used together, those of two are not", "[analytics]") {
  Tally tally(2);
  const auto next = [](std::uint64_t hash) { return sample_of(hash, OperationKind::get, false); };
  add(tally, {sample_of(1), next(2), next(1), next(3), sample_of(2), next(1)});
  // The thread's batch was full in the middle of a run.
  add(tally, {next(4)});
  const auto pairs = report(tally).unnamed.pairs.top(9);
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[0].item.first.hash == 1);
  CHECK(pairs[0].item.second.hash == 2);
  CHECK(pairs[0].count == 2);
  CHECK(pairs[1].count == 1);
}

TEST_CASE("there are so many batches and no more, and no full one is thrown away", "[analytics]") {
  SamplePool pool(2);
  SampleBatch* const first = pool.exchange(nullptr);
  SampleBatch* const second = pool.exchange(nullptr);
  REQUIRE(first != nullptr);
  REQUIRE(second != nullptr);
  CHECK(pool.exchange(nullptr) == nullptr);
  first->count = 3;
  CHECK(pool.exchange(first) == nullptr);
  CHECK(pool.dropped_samples() == 0);
  pool.dropped();
  CHECK(pool.dropped_samples() == 1);
  {
    const SamplePool::Full full = pool.next_full();
    REQUIRE(full != nullptr);
    CHECK(full->count == 3);
    CHECK(pool.next_full() == nullptr);
  }
  CHECK(pool.exchange(nullptr) == first);
  CHECK(first->count == 0);
  pool.take(first);
  pool.take(second);
}

TEST_CASE("a latency is counted in a bucket that is no wider than a sixteenth of it", "[analytics]") {
  LatencyHistogram histogram;
  CHECK(histogram.quantile(0.5) == 0ns);
  Random random(seed());
  std::vector<std::chrono::nanoseconds> all;
  for (int i = 0; i < 10'000; ++i) {
    all.emplace_back(random.below(std::uint64_t{1} << (1 + random.below(32))));
    histogram.add(all.back());
  }
  std::ranges::sort(all);
  CHECK(histogram.count() == all.size());
  CHECK(histogram.max() == all.back());
  for (const double fraction : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(all.size())));
    const std::chrono::nanoseconds exact = all[rank - 1];
    CAPTURE(fraction, exact.count());
    CHECK(histogram.quantile(fraction) >= exact);
    CHECK(histogram.quantile(fraction) <= exact + exact / 16 + 1ns);
  }
  LatencyHistogram longest;
  longest.add(std::chrono::hours(1));
  CHECK(longest.max() == std::chrono::nanoseconds(std::numeric_limits<std::uint32_t>::max()));
  longest.merge(histogram);
  CHECK(longest.count() == all.size() + 1);
}

TEST_CASE("windows are the same for all actors, and rates are of the time they span", "[analytics]") {
  const std::chrono::milliseconds window = 1s;
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  auto core = store::Access::core(store).shared_from_this();
  actors::AnalyticsBook book(core, 2, window);
  // Of a window, to the nanosecond: the period of a report is from there to it.
  const base::TimePoint now = base::Clock::now();
  const base::TimePoint begin = now - book.report(now).period;
  book.sample(1);
  do {
    (void)must(space.get("nothing"));
  } while (core->find_context()->sampling.weight != 1);
  const auto write = [&](std::size_t writer, int puts, std::chrono::milliseconds at) {
    for (int i = 0; i < puts; ++i) must(space.put("k", "v"));
    book.collect();
    book.enter(writer, begin + at);
  };
  write(0, 100, 500ms);
  write(1, 50, 1'200ms);
  Analytics known = book.report(begin + 1'500ms);
  CHECK(known.period == 1'500ms);
  CHECK(of(known, OperationKind::put).count == 150);
  CHECK(of(known, OperationKind::put).per_second == Approx(100));
  // The first actor has nothing more to do; its first window goes with that of the other.
  known = book.report(begin + 2'500ms);
  CHECK(known.period == 1'500ms);
  CHECK(of(known, OperationKind::put).count == 50);
  CHECK(of(known, OperationKind::put).per_second == Approx(50 / 1.5));
  // After a rest.
  write(0, 30, 9'900ms);
  known = book.report(begin + 9'900ms);
  CHECK(known.period == 1'900ms);
  CHECK(of(known, OperationKind::put).count == 30);
  CHECK(of(known, OperationKind::put).per_second == Approx(30 / 1.9));
  CHECK(known.operations_ever[static_cast<std::size_t>(OperationKind::put)] == 180);
  must(store.close());
}

TEST_CASE("a key that is counted and not listed is no secret", "[analytics]") {
  constexpr std::size_t k_keys = 200;
  Stage stage({}, unsampled());
  Space space = must(stage.store().space("s"));
  look_at_all(stage, space);
  for (int round = 0; round < 5; ++round) {
    for (std::size_t key = 0; key < k_keys; ++key) must(space.put(std::to_string(key), "v"));
  }
  const Analytics known = analytics(stage);
  CHECK(known.hot_keys.size() == actors::AnalyticsBook::k_listed_max);
  CHECK(known.hot_keys_missed_max == 5);
}

TEST_CASE("an actor enters its share of the batches and gives way", "[analytics]") {
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  auto core = store::Access::core(store).shared_from_this();
  actors::AnalyticsBook book(core, 64, 1h);
  book.sample(1);
  const std::size_t batches = 10;
  for (std::size_t i = 0; i < (batches + 1) * SampleBatch::k_capacity; ++i) (void)must(space.get("k"));
  CHECK(book.enter(0) == actors::AnalyticsBook::k_batches_max / 64 + 1);
  must(store.close());
}

TEST_CASE("operations come out as analytics", "[analytics]") {
  Stage stage({}, unsampled());
  Space space = must(stage.store().space("users"));
  look_at_all(stage, space);
  for (int i = 0; i < 10; ++i) must(space.put("hot", "12345"));
  for (int i = 0; i < 15; ++i) {
    must(space.get("hot"));
    must(space.get("hot"));
    must(space.get("cold"));
  }
  const Analytics known = analytics(stage);
  CHECK(known.sample_every == 1);
  CHECK(known.samples == 55);
  CHECK(known.samples_dropped == 0);
  CHECK(of(known, OperationKind::put).count == 10);
  CHECK(of(known, OperationKind::get).count == 45);
  CHECK(of(known, OperationKind::get).successful == 30);
  CHECK(of(known, OperationKind::get).latency.count() == 45);
  CHECK(of(known, OperationKind::get).per_second > 0);
  CHECK(known.operations_ever[static_cast<std::size_t>(OperationKind::put)] == 10);
  CHECK(known.read_share == Approx(45.0 / 55));
  REQUIRE(known.hot_keys.size() == 2);
  CHECK(known.hot_keys[0].key.space == "users");
  CHECK(known.hot_keys[0].key.shown == "hot");
  CHECK(known.hot_keys[0].key.bytes == 3);
  CHECK(known.hot_keys[0].count == 40);
  CHECK(known.hot_keys[0].error == 0);
  CHECK(known.hot_keys_missed_max == 0);
  REQUIRE(known.key_pairs.size() == 1);
  CHECK(known.key_pairs[0].first.shown != known.key_pairs[0].second.shown);
  CHECK(known.value_bytes[3] == 40);
  CHECK(known.reuse_distance[0] == 25);
  CHECK(known.reuse_distance[1] == 28);
  std::uint64_t in_shards = 0;
  for (const auto& shard : known.shards) {
    for (const auto& operation : shard) in_shards += operation.stats.count;
  }
  CHECK(in_shards == 55);
}

TEST_CASE("a batch that is not full waits a second at most", "[analytics]") {
  Stage stage({}, unsampled());
  Space space = must(stage.store().space("s"));
  look_at_all(stage, space);
  must(space.put("k", "v"));
  collect_samples(stage);
  CHECK(stage.tree().analytics().report().samples == 1);
}

TEST_CASE("analytics speak of the last windows only", "[analytics]") {
  ActorOptions options = unsampled();
  options.analytics_window = 20ms;
  Stage stage({}, options);
  Space space = must(stage.store().space("s"));
  look_at_all(stage, space);
  must(space.put("k", "v"));
  collect_samples(stage);
  // The windows go by the clock of the machine.
  until("the samples are too old", [&] { return stage.tree().analytics().report().samples == 0; });
  const Analytics known = stage.tree().analytics().report();
  CHECK(known.hot_keys.empty());
  CHECK(of(known, OperationKind::put).count == 0);
  CHECK(known.operations_ever[static_cast<std::size_t>(OperationKind::put)] == 1);
}

TEST_CASE("sampling is off if it is asked for", "[analytics]") {
  ActorOptions options;
  options.sample_every = 0;
  Stage stage({}, options);
  Space space = must(stage.store().space("s"));
  for (int i = 0; i < 3 * Sampler::k_look_again; ++i) must(space.put("k", "v"));
  CHECK(analytics(stage).samples == 0);
  CHECK(analytics(stage).sample_every == 0);
  look_at_all(stage, space);
  must(space.put("k", "v"));
  CHECK(analytics(stage).samples == 1);
  CHECK(outcome(stage.tree().sample((1U << 20) + 1)) == "invalid_argument");
  CHECK(analytics(stage).sample_every == 1);
}

TEST_CASE("analytics out of range are refused", "[analytics]") {
  caf::actor_system_config config;
  caf::actor_system system(config);
  const auto refused = [&system](ActorOptions options) { return message(start(system, {}, std::move(options))); };
  CHECK_THAT(refused({.sample_every = (1U << 20) + 1}), Catch::Matchers::Contains("1048577"));
  CHECK_THAT(refused({.analytics_actors = 0}), Catch::Matchers::Contains("analytics_actors"));
  CHECK_THAT(refused({.analytics_actors = 65}), Catch::Matchers::Contains("65"));
  CHECK_THAT(refused({.analytics_window = 0ms}), Catch::Matchers::Contains("analytics_window"));
  CHECK_THAT(refused({.analytics_window = std::chrono::hours(24 * 366)}),
             Catch::Matchers::Contains("analytics_window"));
}

TEST_CASE("a crashed actor of the analytics is started again and goes on", "[analytics]") {
  ActorOptions options = unsampled();
  options.analytics_actors = 1;
  Stage stage({}, options);
  Space space = must(stage.store().space("s"));
  look_at_all(stage, space);
  must(space.put("k", "v"));
  CHECK(analytics(stage).samples == 1);
  stage.crash("analytics 0");
  stage.run();
  CHECK(stage.stats_of("analytics 0").state == ActorStats::State::restarting);
  must(space.put("k", "v"));
  stage.pass(options.restart_delay);
  CHECK(stage.stats_of("analytics 0").state == ActorStats::State::running);
  CHECK(stage.stats_of("analytics 0").restarts == 1);
  CHECK(analytics(stage).samples == 2);
}

TEST_CASE("a store that is closed has no samples, and its handles go on refusing", "[analytics]") {
  Stage stage({}, unsampled());
  Space space = must(stage.store().space("s"));
  look_at_all(stage, space);
  for (int i = 0; i < 1'000; ++i) must(space.put("k", "v"));
  must(stage.tree().close());
  CHECK(stage.tree().analytics().report().sample_every == 0);
  for (int i = 0; i < 1'000; ++i) CHECK(outcome(space.put("k", "v")) == "closed");
}

TEST_CASE("of ten million operations by two threads the hottest twenty keys are found", "[analytics]") {
  constexpr std::size_t k_keys = 100'000;
  // After each round the actors enter what there is, however few turns they get
  // beside the two threads: no more than about half of all batches are ever in use.
  constexpr std::uint64_t k_rounds = 20;
  constexpr std::uint64_t k_round_operations = 500'000;
  constexpr std::size_t k_top = 20;
  // Keys by rank, each as often as a Zipf distribution of exponent 0.99 says.
  std::vector<double> sums;
  double sum = 0;
  for (std::size_t rank = 1; rank <= k_keys; ++rank) sums.push_back(sum += std::pow(static_cast<double>(rank), -0.99));
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 2);
  caf::actor_system system(config);
  StoreActors store = must(start(system, {}, {.analytics_window = 1h}));
  const Space space = must(store.store().space("s"));
  std::array<std::vector<std::uint64_t>, 2> uses{std::vector<std::uint64_t>(k_keys),
                                                 std::vector<std::uint64_t>(k_keys)};
  for (std::uint64_t round = 1; round <= k_rounds; ++round) {
    together(uses.size(), [&](unsigned t) {
      Random random(seed() + round * uses.size() + t);
      std::string value;
      for (std::uint64_t i = 0; i < k_round_operations / uses.size(); ++i) {
        const double at = sum * 0x1p-64 * static_cast<double>(random());
        const auto key = static_cast<std::size_t>(std::ranges::upper_bound(sums, at) - sums.begin()) % k_keys;
        ++uses[t][key];
        (void)must(space.get(std::to_string(key), value));
      }
    });
    until("the samples so far are entered or dropped", [&] {
      const Analytics known = must(store.analytics());
      const std::uint64_t seen = of(known, OperationKind::get).count + known.samples_dropped * known.sample_every;
      // How many of the operations are sampled is chance, and some of the samples are
      // in threads' batches for a second.
      return static_cast<double>(seen) > 0.95 * static_cast<double>(round * k_round_operations) - 100'000;
    });
  }
  const Analytics known = must(store.analytics());
  CHECK(known.samples_dropped == 0);
  std::size_t found = 0;
  for (std::size_t i = 0; i < k_top; ++i) {
    const Analytics::HotKey& hot = known.hot_keys[i];
    const std::size_t key = std::stoul(hot.key.shown);
    if (key < k_top) ++found;
    // One of 64 is seen, so a count is off by eight times the root of what it
    // is, for one standard deviation; runs of four make it twice that.
    const auto exact = static_cast<double>(uses[0][key] + uses[1][key]);
    const double deviation = 2 * std::sqrt(exact * known.sample_every);
    CAPTURE(key, exact, hot.count, hot.error);
    CHECK(static_cast<double>(hot.count) > 0.9 * exact - 5 * deviation);
    CHECK(static_cast<double>(hot.count - hot.error) < exact + 5 * deviation);
  }
  CHECK(found >= k_top * 9 / 10);
  CHECK(known.read_share == 1);
  must(store.stop());
}
