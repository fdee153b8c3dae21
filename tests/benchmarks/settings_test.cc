#include "benchmarks/settings.h"

#include "benchmarks/engines/registry.h"
#include "tests/support/catch.h"

#include <initializer_list>
#include <string>
#include <vector>

namespace {

using bench::Durability;
using bench::Settings;

std::expected<Settings, bench::Exit> parse(std::initializer_list<const char*> options) {
  std::vector<const char*> arguments{"actable-bench"};
  arguments.insert(arguments.end(), options);
  return bench::parse_settings(static_cast<int>(arguments.size()), arguments.data());
}

Settings accepted(std::initializer_list<const char*> options) {
  auto settings = parse(options);
  INFO((settings ? std::string{} : settings.error().message));
  REQUIRE(settings.has_value());
  return *std::move(settings);
}

/// What is said of options that cannot be: one line, status 2.
std::string refused(std::initializer_list<const char*> options) {
  const auto settings = parse(options);
  REQUIRE_FALSE(settings.has_value());
  CHECK(settings.error().status == 2);
  CHECK(settings.error().message.find('\n') == std::string::npos);
  return settings.error().message;
}

bool says(const std::string& message, const std::string& part) { return message.find(part) != std::string::npos; }

TEST_CASE("options arrive as they were given") {
  const Settings settings =
      accepted({"--benchmarks=fillseq,ycsb-f", "--engines=sharded,actable", "--num=77", "--ops=9", "--threads=3",
                "--writers=4", "--key_size=24", "--value_size=32", "--distribution=zipf", "--batch=5", "--rate=1000",
                "--duration=0.5", "--durability=none", "--repeat=2", "--seed=11", "--dir=/", "--json=a", "--csv=b"});
  REQUIRE(settings.benchmarks.size() == 2);
  CHECK(settings.benchmarks[1]->name == "ycsb-f");
  REQUIRE(settings.engines.size() == 2);
  CHECK(settings.engines[0]->name == "sharded");
  CHECK(settings.num == 77);
  CHECK(settings.ops == 9);
  CHECK(settings.threads == 3);
  CHECK(settings.writers == 4);
  CHECK(settings.key_bytes == 24);
  CHECK(settings.value_bytes == 32);
  CHECK(settings.distribution == bench::Distribution::zipf);
  CHECK(settings.batch == 5);
  CHECK(settings.rate == 1000);
  CHECK(settings.duration_s == 0.5);
  CHECK(settings.durability == Durability::none);
  CHECK_FALSE(settings.due_checkpoints);
  CHECK(settings.repeat == 2);
  CHECK(settings.seed == 11);
  CHECK(settings.directory == "/");
  CHECK(settings.json == "a");
  CHECK(settings.csv == "b");
}

TEST_CASE("only the benchmarks of YCSB are Zipf where nothing is said") {
  const Settings settings = accepted({});
  CHECK(settings.zipf(*bench::find_workload("ycsb-a")));
  CHECK_FALSE(settings.zipf(*bench::find_workload("readrandom")));
  CHECK_FALSE(accepted({"--distribution=uniform"}).zipf(*bench::find_workload("ycsb-a")));
}

TEST_CASE("due checkpoints are for stores that have actors") {
  CHECK(says(refused({"--due_checkpoints", "--engines=actable"}), "add --engines=actors"));
  if (bench::find_engine("actors") == nullptr) return;
  CHECK(accepted({"--due_checkpoints", "--engines=actable,actors"}).due_checkpoints);
  CHECK(says(refused({"--due_checkpoints", "--engines=actors", "--durability=none"}), "that have a log"));
}

TEST_CASE("recover is what the disk reads and both ways of opening again, each for engines that have it") {
  const Settings settings = accepted({"--benchmarks=recover", "--engines=actable"});
  REQUIRE(settings.benchmarks.size() == 3);
  CHECK(settings.benchmarks[0]->name == "diskread");
  CHECK(settings.benchmarks[1]->name == "recoverlog");
  CHECK(settings.benchmarks[2]->name == "recovercheckpoint");
  CHECK(says(refused({"--engines=sharded", "--benchmarks=recovercheckpoint"}), "nothing that could be opened again"));
}

TEST_CASE("diskprobe is both benchmarks of the disk, which need no engine that can") {
  const Settings settings = accepted({"--benchmarks=diskprobe", "--engines=sharded", "--durability=sync"});
  REQUIRE(settings.benchmarks.size() == 2);
  CHECK(settings.benchmarks[0]->name == "diskwrite");
  CHECK(settings.benchmarks[1]->name == "disksync");
}

TEST_CASE("what measures actors runs on the engine that has them, beside the one without") {
  if (bench::find_engine("actors") == nullptr) {
    CHECK(says(refused({"--benchmarks=actors"}), "engine 'actors' needs libcaf-dev"));
    return;
  }
  const Settings settings = accepted({"--benchmarks=actors"});
  CHECK(settings.benchmarks.size() == 8);
  REQUIRE(settings.engines.size() == 2);
  CHECK(settings.engines[0]->name == "actable");
  CHECK(settings.engines[1]->name == "actors");
  for (const bench::Workload* workload : settings.benchmarks) {
    CHECK(settings.can_run(*workload));
    CHECK(settings.why_not(*settings.engines[0], *workload).empty() == !workload->of_actors());
  }
  CHECK(accepted({"--benchmarks=readrandom,idle"}).engines.size() == 1);
  CHECK(accepted({"--benchmarks=actorput,readrandom", "--engines=actors"}).engines.size() == 1);
  CHECK(says(refused({"--benchmarks=actorput", "--engines=actable"}), "run it with --engines=actors"));
  CHECK(says(refused({"--benchmarks=actorput", "--rate=10"}), "without --rate"));
}

TEST_CASE("a call or message has as many keys as its benchmark says, or as was asked for") {
  const bench::Workload &calls = *bench::find_workload("multiread"), &messages = *bench::find_workload("actorbatch"),
                        &single = *bench::find_workload("readrandom");
  const Settings usual = accepted({}), asked = accepted({"--batch=7"});
  CHECK(usual.batch_of(calls) == 16);
  CHECK(usual.batch_of(messages) == 64);
  CHECK(usual.batch_of(single) == 0);
  CHECK(asked.batch_of(calls) == 7);
  CHECK(asked.batch_of(messages) == 7);
  CHECK(asked.batch_of(single) == 0);
}

TEST_CASE("an unknown name is answered with those that there are") {
  const std::string benchmark = refused({"--benchmarks=readrandon"});
  CHECK(says(benchmark, "no benchmark 'readrandon'"));
  CHECK(says(benchmark, "readrandom, multiread"));
  const std::string engine = refused({"--engines=actible"});
  CHECK(says(engine, "no engine 'actible'"));
  CHECK(says(engine, "this build has actable, sharded"));
  const std::string option = refused({"--thread_count=2"});
  CHECK(says(option, "--thread_count"));
  CHECK(says(option, "--threads"));
}

TEST_CASE("values out of range are refused with the range") {
  CHECK(says(refused({"--num=0"}), "--num"));
  CHECK(says(refused({"--key_size=7"}), "65535"));
  CHECK(says(refused({"--durability=maybe"}), "none,async,sync"));
  CHECK(says(refused({"--repeat=0"}), "--repeat"));
}

TEST_CASE("a mix that cannot be says what can") {
  CHECK(says(refused({"--engines=sharded", "--durability=sync"}), "run it with --durability=none or async"));
  CHECK(says(refused({"--engines=sharded", "--benchmarks=recoverlog"}), "nothing that could be opened again"));
  CHECK(says(refused({"--benchmarks=ycsb-e"}), "until there are ordered spaces"));
  CHECK(says(refused({"--plot=rates.png"}), "name the file rates.png.svg"));
  CHECK(says(refused({"--num=3", "--threads=4"}), "more --threads than --num"));
}

TEST_CASE("help is not an error") {
  const auto settings = parse({"--help"});
  REQUIRE_FALSE(settings.has_value());
  CHECK(settings.error().status == 0);
  for (const bench::Workload& workload : bench::workloads()) {
    CHECK(says(settings.error().message, std::string(workload.name)));
  }
}

}  // namespace
