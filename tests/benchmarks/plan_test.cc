#include "benchmarks/plan.h"

#include "tests/support/catch.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <vector>

namespace {

using actable::test::Approx;
using bench::Kind;
using bench::Plan;
using bench::PlanRequest;
using bench::Step;

constexpr std::uint32_t k_keys = 1'000;

PlanRequest request_for(std::string_view workload, unsigned thread = 0, unsigned threads = 1,
                        const bench::Zipf* zipf = nullptr) {
  return {.workload = *bench::find_workload(workload),
          .zipf = zipf,
          .keys = k_keys,
          .steps = 20'000,
          .thread = thread,
          .threads = threads,
          .seed = 5};
}

/// What several threads' plans do, one thread after the other.
std::vector<Step> steps_of(std::string_view workload, unsigned threads, const bench::Zipf* zipf = nullptr) {
  std::vector<Step> all;
  for (unsigned thread = 0; thread < threads; ++thread) {
    const Plan plan = draw_plan(request_for(workload, thread, threads, zipf));
    all.insert(all.end(), plan.steps().begin(), plan.steps().end());
  }
  return all;
}

double part_of(const std::vector<Step>& steps, Kind kind) {
  return static_cast<double>(std::ranges::count(steps, kind, &Step::kind)) / static_cast<double>(steps.size());
}

TEST_CASE("threads together fill every key exactly once") {
  for (const char* workload : {"fillseq", "fillrandom", "erase"}) {
    for (const unsigned threads : {1u, 3u, 7u}) {
      INFO(workload << ", threads " << threads);
      std::set<std::uint32_t> keys;
      const std::vector<Step> steps = steps_of(workload, threads);
      for (const Step& step : steps) keys.insert(step.index);
      CHECK(steps.size() == k_keys);
      CHECK(keys.size() == k_keys);
      CHECK(*keys.rbegin() == k_keys - 1);
    }
  }
}

TEST_CASE("the same seed draws the same plan") {
  const Plan one = draw_plan(request_for("mixed50")), again = draw_plan(request_for("mixed50"));
  CHECK(std::ranges::equal(one.steps(), again.steps(),
                           [](const Step& a, const Step& b) { return a.index == b.index && a.kind == b.kind; }));
}

TEST_CASE("a plan says of which kind all its steps are") {
  CHECK(draw_plan(request_for("readrandom")).only() == Kind::read);
  CHECK(draw_plan(request_for("overwrite")).only() == Kind::put);
  CHECK(draw_plan(request_for("mixed50")).only() == std::nullopt);
  Plan plan = draw_plan(request_for("readmissing"));
  CHECK(Plan(std::move(plan)).only() == Kind::read_missing);
}

TEST_CASE("mixes have the parts that they name") {
  CHECK(part_of(steps_of("mixed50", 2), Kind::put) == Approx(0.5).margin(0.02));
  CHECK(part_of(steps_of("ycsb-a", 2), Kind::put) == Approx(0.5).margin(0.02));
  CHECK(part_of(steps_of("ycsb-b", 2), Kind::read) == Approx(0.95).margin(0.01));
  CHECK(part_of(steps_of("ycsb-c", 2), Kind::read) == 1.0);
  CHECK(part_of(steps_of("ycsb-d", 2), Kind::put) == Approx(0.05).margin(0.01));
  CHECK(part_of(steps_of("ycsb-f", 2), Kind::read_modify_write) == Approx(0.5).margin(0.02));
}

TEST_CASE("readmissing asks for keys that nobody puts") {
  for (const Step& step : steps_of("readmissing", 1)) CHECK(step.key_number() % 2 == 1);
  for (const Step& step : steps_of("fillrandom", 1)) CHECK(step.key_number() % 2 == 0);
}

TEST_CASE("churn keeps the number of keys and can be repeated") {
  std::set<std::uint32_t> keys;
  for (std::uint32_t index = 0; index < k_keys; ++index) keys.insert(index);
  const std::set<std::uint32_t> before = keys;
  const Plan plan = draw_plan(request_for("churn"));
  for (const Step& step : plan.steps()) {
    if (step.kind == Kind::put) {
      CHECK(keys.insert(step.index).second);
    } else {
      CHECK(keys.erase(step.index) == 1);
    }
  }
  CHECK(keys == before);
}

TEST_CASE("ycsb-d reads only what is loaded or inserted, mostly the latest") {
  const bench::Zipf zipf(k_keys);
  std::uint32_t newest = k_keys - 1;
  std::uint64_t reads = 0, recent = 0;
  for (const Step& step : steps_of("ycsb-d", 1, &zipf)) {
    if (step.kind == Kind::put) {
      CHECK(step.index == newest + 1);
      newest = step.index;
      continue;
    }
    CHECK(step.index <= newest);
    ++reads;
    recent += step.index + k_keys / 10 > newest;
  }
  CHECK(recent > reads / 2);
}

TEST_CASE("a Zipf choice of 0.99 has its head") {
  const bench::Zipf zipf(k_keys);
  std::map<std::uint32_t, unsigned> counts;
  const std::vector<Step> steps = steps_of("readrandom", 1, &zipf);
  for (const Step& step : steps) ++counts[step.index];
  unsigned most = 0;
  for (const auto& [index, count] : counts) most = std::max(most, count);
  // The first of 1,000 has 1 / H(1000, 0.99), which is 0.13; uniform would be 0.001.
  CHECK(static_cast<double>(most) / static_cast<double>(steps.size()) == Approx(0.13).margin(0.02));
}

}  // namespace
