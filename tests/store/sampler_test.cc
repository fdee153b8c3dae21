// Samples of operations: which, how many, and what they say.

#include "store/sampler.h"
#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

using namespace actable;
using namespace actable::test;
using store::Sample;
using store::SampleBatch;
using store::Sampler;

namespace {

/// Keeps what it is given, and has so many batches.
///
/// Thread safety: *synchronized*.
class Keeper final : public store::SampleSink {
 public:
  explicit Keeper(std::size_t batches) : batches_(batches) {}

  SampleBatch* exchange(SampleBatch* full) noexcept override {
    if (full != nullptr) {
      keep(*full);
      return full;
    }
    const std::lock_guard lock(mutex_);
    if (made_.size() == batches_) return nullptr;
    return made_.emplace_back(std::make_unique<SampleBatch>()).get();
  }
  void take(SampleBatch* batch) noexcept override {
    keep(*batch);
    const std::lock_guard lock(mutex_);
    // It is no thread's any more, and another may be made in its stead.
    std::erase_if(made_, [batch](const auto& own) { return own.get() == batch; });
  }
  void dropped() noexcept override { ++dropped_; }

  [[nodiscard]] std::vector<Sample> samples() const {
    const std::lock_guard lock(mutex_);
    return kept_;
  }
  [[nodiscard]] std::uint64_t drops() const { return dropped_; }

 private:
  void keep(SampleBatch& batch) {
    const std::lock_guard lock(mutex_);
    kept_.insert(kept_.end(), batch.samples.begin(), batch.samples.begin() + static_cast<std::ptrdiff_t>(batch.count));
    batch.count = 0;
  }

  const std::size_t batches_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<SampleBatch>> made_;
  std::vector<Sample> kept_;
  std::atomic<std::uint64_t> dropped_{0};
};

/// A store in memory whose operations are sampled.
struct Sampled {
  explicit Sampled(unsigned every, std::size_t batches = 1'000) : keeper(std::make_shared<Keeper>(batches)) {
    core().sampler().start(keeper);
    core().sampler().look_at(every);
    // Its creation is an operation of this thread, on the catalog: counted from now on.
    warm_up();
  }
  [[nodiscard]] store::StoreCore& core() { return store::Access::core(store); }

  /// Lets this thread find out what to look at, and forgets what that was seen in.
  void warm_up() {
    for (int i = 0; i <= Sampler::k_look_again; ++i) (void)space.get("nothing");
    skip = all().size();
  }
  /// Samples since then.
  [[nodiscard]] std::vector<Sample> samples() {
    std::vector<Sample> those = all();
    those.erase(those.begin(), those.begin() + static_cast<std::ptrdiff_t>(skip));
    return those;
  }

  std::shared_ptr<Keeper> keeper;
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  std::size_t skip = 0;

 private:
  std::vector<Sample> all() {
    core().collect_samples();
    return keeper->samples();
  }
};

std::string text(const Sample& sample) {
  return std::string(to_string(sample.operation)) + " " + std::string(sample.key()) + " " +
         (sample.has_value ? std::to_string(sample.value_bytes) : "-") + (sample.successful ? "" : " in vain");
}

std::uint64_t operations(const std::vector<Sample>& samples) {
  std::uint64_t sum = 0;
  for (const Sample& sample : samples) sum += sample.weight;
  return sum;
}

/// Checks that so many operations are estimated from samples of one in `every`:
/// the gaps between runs are even, so their sum is off by 0.58 of one for the
/// root of their number; eight times that is never seen.
void check_estimate(const std::vector<Sample>& samples, std::uint64_t done, unsigned every) {
  const double runs = static_cast<double>(done) / (Sampler::k_run * every);
  const double off = std::abs(static_cast<double>(operations(samples)) / static_cast<double>(done) - 1);
  CAPTURE(done, every, samples.size());
  CHECK(off < 8 * 0.58 / std::sqrt(runs) + 1 / runs);
}

}  // namespace

TEST_CASE("of each operation sampled it is known what it was", "[sampler]") {
  Sampled sampled(1);
  Space& space = sampled.space;
  must(space.put("a", "12345"));
  must(space.get("a"));
  must(space.get("absent"));
  must(space.visit("a", [](const Entry&) {}));
  must(space.put_if_absent("a", "1"));
  const Seq seq = must(space.put("a", "123"));
  must(space.compare_and_set("a", seq, "1234567"));
  must(space.add("counter", 1));
  must(space.erase("a"));
  must(space.erase("a"));
  must(space.take("counter"));
  const std::array<std::string_view, 2> keys{"x", "y"};
  std::array<std::optional<std::string>, 2> values;
  must(space.put("y", "12"));
  must(space.multi_get(keys, values));
  Batch batch;
  must(batch.put(space, "z", "123"));
  must(sampled.store.write(batch));

  std::vector<std::string> found;
  for (const Sample& sample : sampled.samples()) {
    found.push_back(text(sample));
    CHECK(sample.weight == 1);
    CHECK(sample.space == sampled.samples()[0].space);
    CHECK(sample.key_bytes == sample.key().size());
    CHECK(sample.latency.count() > 0);
  }
  CHECK(found == std::vector<std::string>{"put a 5", "get a 5", "get absent - in vain", "get a 5",
                                          "put_if_absent a - in vain", "put a 3", "compare_and_set a 7",
                                          "add counter 8", "erase a -", "erase a - in vain", "erase counter -",
                                          "put y 2", "multi_get x - in vain", "multi_get y 2", "batch z 3"});
}

TEST_CASE("the same key has the same hash, and another another", "[sampler]") {
  Sampled sampled(1);
  for (const char* key : {"a", "b", "a"}) must(sampled.space.put(key, "v"));
  const std::vector<Sample> samples = sampled.samples();
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].hash == samples[2].hash);
  CHECK(samples[0].hash != samples[1].hash);
  CHECK(samples[0].time <= samples[1].time);
}

TEST_CASE("of a long key the beginning is shown", "[sampler]") {
  Sampled sampled(1);
  const std::string key(1'000, 'k');
  must(sampled.space.put(key, "v"));
  const Sample sample = sampled.samples().at(0);
  CHECK(sample.key() == key.substr(0, Sample::k_shown_bytes_max));
  CHECK(sample.key_bytes == key.size());
}

TEST_CASE("a call that fails is no operation", "[sampler]") {
  Sampled sampled(1);
  CHECK(outcome(sampled.space.get("")) == "invalid_argument");
  CHECK(outcome(sampled.space.put("k", "v", k_sync)) == "unsupported");
  CHECK(sampled.samples().empty());
  must(sampled.space.put("k", "v"));
  CHECK(sampled.samples().size() == 1);
  must(sampled.store.close());
  CHECK(outcome(sampled.space.get("k")) == "closed");
  CHECK(sampled.samples().size() == 1);
}

TEST_CASE("what a visitor does counts as what anybody does", "[sampler]") {
  for (const unsigned every : {1U, 5U}) {
    Sampled sampled(every);
    Space& space = sampled.space;
    must(space.put("k", "v"));
    const std::uint64_t done = scaled(100'000);
    for (std::uint64_t i = 0; i < done; ++i) {
      must(space.visit("k", [&](const Entry&) { must(space.put("other", "v")); }));
    }
    const std::vector<Sample> samples = sampled.samples();
    const auto puts = static_cast<double>(std::ranges::count(samples, OperationKind::put, &Sample::operation));
    CAPTURE(every, samples.size());
    CHECK(puts / static_cast<double>(samples.size()) == Approx(0.5).margin(0.02));
    check_estimate(samples, 2 * done + 1, every);
  }
}

TEST_CASE("a visitor that throws, and a call that fails, take nothing from those after them", "[sampler]") {
  constexpr unsigned k_every = 5;
  Sampled sampled(k_every);
  Space& space = sampled.space;
  must(space.put("k", "v"));
  const std::uint64_t done = scaled(100'000);
  for (std::uint64_t i = 0; i < done; ++i) {
    must(space.get("k"));
    CHECK_THROWS_AS(space.visit("k", [](const Entry&) { throw std::runtime_error("mine"); }), std::runtime_error);
    for (int failing = 0; failing < 3; ++failing) (void)space.put("k", "v", k_sync);
  }
  check_estimate(sampled.samples(), done, k_every);
}

TEST_CASE("the key may be lent from where the value goes", "[sampler]") {
  // Long enough to be elsewhere when it is replaced.
  const std::string first(100, 'a'), second(5'000, 'b');
  Sampled sampled(1);
  Space& space = sampled.space;
  must(space.put(first, second));
  must(space.put(second, first));
  std::string text = first;
  must(space.get(text, text));
  CHECK(text == second);
  must(space.visit(text, [&text](const Entry& entry) { text = entry.value; }));
  CHECK(text == first);
  std::array<std::optional<std::string>, 1> values{first};
  const std::array<std::string_view, 1> keys{*values[0]};
  must(space.multi_get(keys, values));
  CHECK(values[0] == second);
  const std::vector<Sample> samples = sampled.samples();
  REQUIRE(samples.size() == 5);
  for (const std::size_t i : {2U, 4U}) CHECK(samples[i].key() == first.substr(0, Sample::k_shown_bytes_max));
  CHECK(samples[3].key() == second.substr(0, Sample::k_shown_bytes_max));
}

TEST_CASE("one of so many operations is sampled, four in a row, at random", "[sampler]") {
  constexpr unsigned k_every = 16;
  Sampled sampled(k_every);
  const std::uint64_t done = scaled(400'000);
  for (std::uint64_t i = 0; i < done; ++i) must(sampled.space.put("k", std::to_string(i)));
  const std::vector<Sample> samples = sampled.samples();
  check_estimate(samples, done, k_every);
  // The first may have come at the end of a run that began before.
  std::size_t at = 0;
  while (at < samples.size() && !samples[at].begins_run) ++at;
  REQUIRE(at < samples.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; at + i < samples.size(); ++i) {
    wrong += samples[at + i].begins_run != (i % Sampler::k_run == 0) ? 1 : 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("each key of a multi_get and of a batch is an operation", "[sampler]") {
  constexpr unsigned k_every = 8;
  Sampled sampled(k_every);
  Random random(seed());
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("key " + std::to_string(i));
  std::uint64_t done = 0;
  const std::uint64_t wanted = scaled(400'000);
  while (done < wanted) {
    const std::size_t count = random.below(names.size() + 1);
    if (random.below(2) == 0) {
      const std::vector<std::string_view> keys(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count));
      std::vector<std::optional<std::string>> values(count);
      must(sampled.space.multi_get(keys, values));
    } else {
      Batch batch;
      for (std::size_t i = 0; i < count; ++i) must(batch.put(sampled.space, names[i], "v"));
      must(sampled.store.write(batch));
    }
    done += count;
  }
  check_estimate(sampled.samples(), done, k_every);
}

TEST_CASE("how many are sampled may be changed while the store runs", "[sampler]") {
  Sampled sampled(0);
  const auto get_many = [&](int times) {
    for (int i = 0; i < times; ++i) (void)must(sampled.space.get("k"));
  };
  get_many(3 * Sampler::k_look_again);
  CHECK(sampled.samples().empty());
  sampled.core().sampler().look_at(1);
  get_many(Sampler::k_look_again + 1);
  CHECK_FALSE(sampled.samples().empty());
  const std::size_t before = sampled.samples().size();
  get_many(10);
  CHECK(sampled.samples().size() == before + 10);
  sampled.core().sampler().look_at(0);
  get_many(Sampler::k_look_again);
  CHECK(sampled.samples().size() == before + 10);
}

TEST_CASE("what there is no batch for is dropped and counted", "[sampler]") {
  Sampled sampled(1, 0);
  const std::uint64_t before = sampled.keeper->drops();
  for (int i = 0; i < 10; ++i) must(sampled.space.put("k", "v"));
  CHECK(sampled.keeper->drops() == before + 10);
  CHECK(must(sampled.space.get("k")) == "v");
  CHECK(sampled.samples().empty());
}

TEST_CASE("threads sample while another collects, and no sample is lost or seen twice", "[sampler]") {
  constexpr std::size_t k_threads = 3;
  const std::uint64_t done = scaled(60'000);
  Sampled sampled(1);
  std::atomic<std::size_t> running{k_threads};
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < k_threads; ++t) {
    threads.emplace_back([&sampled, &running, done, t] {
      Space space = sampled.space;
      for (std::uint64_t i = 0; i < done; ++i) must(space.put(std::to_string(t) + "/" + std::to_string(i), "v"));
      --running;
    });
  }
  while (running != 0) sampled.core().collect_samples();
  threads.clear();
  std::vector<std::string> keys;
  for (const Sample& sample : sampled.samples()) keys.emplace_back(sample.key());
  std::ranges::sort(keys);
  CHECK(std::ranges::adjacent_find(keys) == keys.end());
  // A thread finds out with its first operation that all are looked at from the next one on.
  CHECK(keys.size() + sampled.keeper->drops() >= k_threads * (done - 1));
  CHECK(sampled.keeper->drops() == 0);
}
