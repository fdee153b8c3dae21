#include "benchmarks/plot.h"

#include "tests/support/catch.h"

#include <string>
#include <vector>

namespace {

using bench::LatencyCurve;
using bench::Result;
using bench::Summary;

Result result(std::string_view benchmark, std::string_view engine, unsigned run, double rate, double ns) {
  Result made{};
  made.benchmark = benchmark;
  made.engine = engine;
  made.threads = 1;
  made.run = run;
  made.ops_per_s = rate;
  made.curve_ns.fill(ns);
  return made;
}

bool has(const std::string& script, const std::string& part) { return script.find(part) != std::string::npos; }

TEST_CASE("bars are medians, a line a benchmark and a column an engine") {
  const auto summaries =
      bench::summarize({result("readrandom", "actable", 1, 9e6, 100), result("overwrite", "actable", 1, 5e6, 200),
                        result("readrandom", "sharded", 1, 2e6, 300), result("readrandom", "actable", 2, 7e6, 100),
                        result("readrandom", "actable", 3, 8e6, 100)});
  const std::string script = bench::plot_script(summaries, "out.svg");
  CHECK(has(script, "\nbenchmark actable sharded\nreadrandom 8000000 2000000\noverwrite 5000000 -\nEND\n"));
}

TEST_CASE("each benchmark on each engine has a curve, point by point the median") {
  const auto summaries =
      bench::summarize({result("readrandom", "actable", 1, 1, 100), result("readrandom", "actable", 2, 1, 300),
                        result("readrandom", "actable", 3, 1, 120), result("overwrite", "lmdb", 1, 1, 700)});
  const std::string script = bench::plot_script(summaries, "out.svg");
  CHECK(has(script, "title 'readrandom, actable'"));
  CHECK(has(script, "title 'overwrite, lmdb'"));
  CHECK(has(script, "linecolor 1 dashtype 1 title 'readrandom, actable'"));
  CHECK(has(script, "linecolor 2 dashtype 2 title 'overwrite, lmdb'"));
  // 99.9 % is three nines.
  CHECK(has(script, "\n3 120\n"));
  CHECK(has(script, "\n3 700\n"));
}

TEST_CASE("the same benchmark twice in a run is one summary") {
  const auto summaries =
      bench::summarize({result("overwrite", "actable", 1, 4, 1), result("overwrite", "actable", 1, 6, 1)});
  REQUIRE(summaries.size() == 1);
  CHECK(summaries[0].runs == 2);
  CHECK(summaries[0].ops_per_s_median == 5);
}

TEST_CASE("what has no rate or was not timed is left out") {
  const auto summaries =
      bench::summarize({result("idle", "actable", 1, 0, 0), result("recover", "actable", 1, 1e6, 0)});
  const std::string script = bench::plot_script(summaries, "out.svg");
  CHECK_FALSE(has(script, "idle"));
  CHECK(has(script, "recover 1000000"));
  CHECK_FALSE(has(script, "$curve"));
}

TEST_CASE("a quote in the name of the file is no end of it") {
  CHECK(has(bench::plot_script({}, "it's.svg"), "set output 'it''s.svg'"));
}

}  // namespace
