#include "benchmarks/worker.h"

#include "benchmarks/random.h"
#include "tests/support/catch.h"

#include <map>
#include <string>
#include <string_view>

namespace {

using bench::Call;
using bench::Plan;
using bench::Worker;

constexpr std::uint32_t k_keys = 500;
constexpr std::size_t k_key_bytes = 16;
constexpr std::size_t k_value_bytes = 24;

using Map = std::map<std::string, std::string, std::less<>>;

/// A map, with a count of how it was asked.
class MapSession final : public bench::LoopingSession<MapSession> {
 public:
  MapSession(Map& map, std::size_t at_once, std::uint64_t& handed_over)
      : map_(map), at_once_(at_once), handed_over_(handed_over) {}

  void put(std::string_view key, std::string_view value) override { map_.insert_or_assign(std::string(key), value); }

  bool get(std::string_view key, std::string& value) override {
    const auto found = map_.find(key);
    if (found != map_.end()) value = found->second;
    return found != map_.end();
  }

  bool erase(std::string_view key) override { return map_.erase(std::string(key)) == 1; }

  [[nodiscard]] std::size_t calls_at_once() const noexcept override { return at_once_; }

  void apply(std::span<Call> calls) override {
    handed_over_ += calls.size();
    Session::apply(calls);
  }

 private:
  Map& map_;
  std::size_t at_once_;
  std::uint64_t& handed_over_;
};

/// Runs a benchmark on a map, with operations handed over one by one or several
/// together.
class Bench {
 public:
  explicit Bench(std::size_t together) : together_(together) {}

  void run(std::string_view workload, std::uint64_t ops) {
    const bench::PlanRequest request{.workload = *bench::find_workload(workload),
                                     .zipf = nullptr,
                                     .keys = k_keys,
                                     .steps = ops,
                                     .thread = 0,
                                     .threads = 1,
                                     .seed = 3};
    const bench::WorkerOptions options{
        .limit = ops, .together = together_, .key_bytes = k_key_bytes, .value_bytes = k_value_bytes};
    Worker worker(options, std::make_unique<MapSession>(map, together_, handed_over), draw_plan(request), noise_);
    const std::atomic<bool> stop{false};
    worker.run(stop);
    CHECK(worker.done() == ops);
    timed = worker.latency().count();
  }

  /// What `run` fails with.
  std::string failure(std::string_view workload, std::uint64_t ops) {
    try {
      run(workload, ops);
    } catch (const bench::Failure& failure) {
      return failure.what();
    }
    return "nothing";
  }

  Map map;
  std::uint64_t handed_over = 0;
  std::uint64_t timed = 0;

 private:
  std::size_t together_;
  std::string noise_ = std::string(k_value_bytes, 'n');
};

TEST_CASE("operations handed over together leave what they leave one by one") {
  Bench alone(1), together(64);
  for (const auto& [workload, ops] : {std::pair{"fillrandom", k_keys}, std::pair{"ycsb-f", 1'000u},
                                      std::pair{"readmissing", 1'000u}, std::pair{"churn", 1'001u}}) {
    INFO(workload);
    alone.run(workload, ops);
    together.run(workload, ops);
    CHECK(alone.map == together.map);
  }
  CHECK(alone.handed_over == 0);
  CHECK(together.handed_over > k_keys + 1'000 + 1'000 + 1'001);
}

TEST_CASE("what is handed over together is timed as one") {
  Bench together(64);
  together.run("fillrandom", k_keys);
  CHECK(together.timed == (k_keys + 63) / 64);
}

TEST_CASE("a read that changes and puts back is two operations, the put after the answer") {
  Bench together(64);
  together.run("fillrandom", k_keys);
  const std::uint64_t before = together.handed_over;
  together.run("ycsb-f", 1'000);
  const std::uint64_t puts = together.handed_over - before - 1'000;
  CHECK(puts > 400);
  CHECK(puts < 600);
}

TEST_CASE("wrong data ends the run") {
  for (const std::size_t at_once : {1u, 64u}) {
    INFO("at once " << at_once);
    Bench lost(at_once), wrong(at_once), grown(at_once);
    lost.run("fillrandom", k_keys);
    lost.map.erase(lost.map.begin());
    CHECK(lost.failure("readrandom", 20 * k_keys).ends_with("is missing"));
    CHECK(lost.failure("ycsb-b", 200 * k_keys).ends_with("is missing"));
    CHECK_THROWS_AS(lost.run("erase", k_keys), bench::Failure);

    wrong.run("fillrandom", k_keys);
    wrong.map.begin()->second.front() = '?';
    CHECK(wrong.failure("readrandom", 20 * k_keys).ends_with("has the value of another key"));

    grown.run("fillrandom", k_keys);
    std::string odd = grown.map.begin()->first;
    odd.back() = '1';
    grown.map[odd] = grown.map.begin()->second;
    CHECK_THROWS_AS(grown.run("readmissing", 20 * k_keys), bench::Failure);
  }
}

}  // namespace
