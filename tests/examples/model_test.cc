#include "examples/packages/model.h"

#include <actable/store.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

using actable::Seq;
using packages::Action;
using packages::Findings;
using packages::Journal;
using packages::Model;
using packages::PackageIndex;
using packages::Step;

namespace {

/// Packages a, b, c and d in a store in memory, which stands for one that was
/// recovered, and a journal of one asynchronous and one synchronous thread.
/// Each test makes the store hold what a recovery could have brought back.
struct Crash {
  static constexpr std::uint32_t k_async = 0;
  static constexpr std::uint32_t k_sync = 1;

  actable::test::TemporaryDirectory directory;
  PackageIndex index = PackageIndex::parse("Package: a\n\nPackage: b\n\nPackage: c\n\nPackage: d\n", "avail").value();
  actable::Store store = actable::Store::open({}).value();
  actable::Space space = store.space("packages").value();
  std::vector<Seq> loaded = load();
  Model model{index, loaded};
  Journal journal = Journal::create(directory.path() / "journal", {.seed = 0, .lanes = 2, .first_update = 1}).value();

  std::vector<Seq> load() {
    std::vector<Seq> seqs;
    for (const auto& package : index.packages()) seqs.push_back(space.put(package.key, package.stanza).value());
    return seqs;
  }

  Journal::Ticket begin(std::initializer_list<Step> steps, std::uint32_t lane = k_async) {
    return journal.begin(lane, std::vector(steps), lane == k_sync).value();
  }

  /// Makes the store hold the step at this position of the operation.
  Seq put(const Journal::Ticket& ticket, std::uint32_t package, std::uint64_t position = 0) {
    std::string value;
    packages::make_update(ticket.update + position * journal.update_stride(), index.packages()[package].stanza, value);
    return space.put(index.packages()[package].key, value).value();
  }

  bool erase(std::uint32_t package) { return space.erase(index.packages()[package].key).value(); }

  /// What is said about the first problem; empty: every check holds.
  std::string judge(Seq cut) {
    Findings findings;
    model.replay(journal, cut, 0, findings);
    REQUIRE(model.verify(space, cut, findings));
    return findings.problems.empty() ? std::string() : findings.problems.front();
  }
  std::string judge() { return judge(store.last_seq() + 1); }
};

bool says(const std::string& problem, const std::string& part) { return problem.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a store that holds every write below the cut passes") {
  Crash crash;
  const auto overwritten = crash.begin({{0, Action::put}});
  crash.journal.finish(overwritten, crash.put(overwritten, 0));
  const auto last = crash.begin({{0, Action::put}}, Crash::k_sync);
  crash.journal.finish(last, crash.put(last, 0));
  REQUIRE(crash.judge().empty());
}

TEST_CASE("a write above the cut must be lost") {
  Crash crash;
  const auto put = crash.begin({{0, Action::put}});
  SECTION("and passes when it is") {
    const Seq cut = crash.store.last_seq() + 1;
    crash.journal.finish(put, cut + 5);
    REQUIRE(crash.judge(cut).empty());
  }
  SECTION("and is reported when it is there") {
    const Seq seq = crash.put(put, 0);
    crash.journal.finish(put, seq);
    REQUIRE(says(crash.judge(seq), "at or above the cut"));
  }
}

TEST_CASE("a synchronous write above the cut is reported") {
  Crash crash;
  const Seq cut = crash.store.last_seq() + 1;
  crash.journal.finish(crash.begin({{0, Action::put}}, Crash::k_sync), cut);
  REQUIRE(says(crash.judge(cut), "acknowledged as synchronous is not there"));
}

TEST_CASE("a write below the cut that is missing is reported") {
  Crash crash;
  const Seq cut = crash.store.last_seq() + 10;
  crash.journal.finish(crash.begin({{0, Action::put}}), cut - 1);
  REQUIRE(says(crash.judge(cut), "package a: found the loaded record"));
}

TEST_CASE("an erased package that is back is reported, and one that is gone without reason") {
  Crash crash;
  const Seq cut = crash.store.last_seq() + 10;
  SECTION("back") {
    crash.journal.finish(crash.begin({{0, Action::erase}}), cut - 1);
    REQUIRE(says(crash.judge(cut), "expected nothing (erased)"));
  }
  SECTION("gone") {
    REQUIRE(crash.erase(0));
    REQUIRE(says(crash.judge(cut), "found nothing (erased)"));
  }
}

TEST_CASE("bytes that nobody wrote are reported") {
  Crash crash;
  SECTION("another stanza") { REQUIRE(crash.space.put("a", "Package: b\n")); }
  SECTION("a number cut short") { REQUIRE(crash.space.put("a", "update \nPackage: a\n")); }
  SECTION("half a stanza") { REQUIRE(crash.space.put("a", "update 1\nPackage:")); }
  REQUIRE(says(crash.judge(), "none that were ever written"));
}

TEST_CASE("a key that is no package is reported") {
  Crash crash;
  REQUIRE(crash.space.put("stranger", "x"));
  REQUIRE(says(crash.judge(), "other keys than the packages"));
}

TEST_CASE("an operation without a result may be there or not") {
  Crash crash;
  SECTION("a put that is there") { crash.put(crash.begin({{0, Action::put}}), 0); }
  SECTION("a put that is not") { crash.begin({{0, Action::put}}); }
  SECTION("an erasure that is there") {
    crash.begin({{0, Action::erase}});
    REQUIRE(crash.erase(0));
  }
  SECTION("an erasure that is not") { crash.begin({{0, Action::erase}}); }
  REQUIRE(crash.judge().empty());
}

TEST_CASE("a batch without a result is there whole or not at all") {
  Crash crash;
  const auto batch = crash.begin({{0, Action::put}, {1, Action::put}, {2, Action::erase}});
  SECTION("not at all") { REQUIRE(crash.judge().empty()); }
  SECTION("one of two puts") {
    crash.put(batch, 1, 1);
    REQUIRE(crash.erase(2));
    REQUIRE(says(crash.judge(), "package a: a batch is there only in part"));
  }
  SECTION("puts without the erasure") {
    crash.put(batch, 0, 0);
    REQUIRE(says(crash.judge(), "only in part"));
  }
  SECTION("the erasure without the puts") {
    REQUIRE(crash.erase(2));
    REQUIRE(says(crash.judge(), "package a: a batch is there only in part"));
  }
  SECTION("whole, under one number") {
    actable::Batch written;
    std::string value;
    for (std::uint32_t package : {0U, 1U}) {
      packages::make_update(batch.update + package * crash.journal.update_stride(),
                            crash.index.packages()[package].stanza, value);
      REQUIRE(written.put(crash.space, crash.index.packages()[package].key, value));
    }
    REQUIRE(written.erase(crash.space, "c"));
    REQUIRE(crash.store.write(written));
    REQUIRE(crash.judge().empty());
  }
}

TEST_CASE("numbers that repeat or go back are reported") {
  Crash crash;
  const Seq cut = crash.store.last_seq() + 10;
  SECTION("repeat") {
    crash.journal.finish(crash.begin({{0, Action::put}}), cut);
    crash.journal.finish(crash.begin({{1, Action::put}}), cut);
    REQUIRE(says(crash.judge(cut), "two writes were given the same number"));
  }
  SECTION("go back") {
    crash.journal.finish(crash.begin({{0, Action::put}}), crash.loaded.front());
    REQUIRE(says(crash.judge(cut), "numbers went back"));
  }
}

TEST_CASE("what was discarded by one recovery must not be back after the next") {
  Crash crash;
  const Seq cut = crash.store.last_seq() + 1;
  const auto discarded = crash.begin({{0, Action::put}});
  crash.journal.finish(discarded, cut);
  REQUIRE(crash.judge(cut).empty());

  crash.put(discarded, 0);
  Findings findings;
  REQUIRE(crash.model.verify(crash.space, crash.store.last_seq() + 1, findings));
  REQUIRE(findings.problem_count == 1);
}

TEST_CASE("a writer's results outlive its mapping") {
  Crash crash;
  crash.journal.finish(crash.begin({{0, Action::put}, {1, Action::erase}}), 77);
  crash.begin({{3, Action::put}}, Crash::k_sync);
  crash.journal.set_opened({.cut = 5, .recovery = std::chrono::microseconds{6}});
  crash.journal.set_failure("first");
  crash.journal.set_failure("second");

  const Journal read = Journal::open(crash.directory.path() / "journal").value();
  REQUIRE(read.begun() == 3);
  REQUIRE(read.opened()->cut == 5);
  REQUIRE(read.failure() == "first");
  std::vector<Journal::Operation> operations;
  read.for_each([&](const Journal::Operation& operation) { operations.push_back(operation); });
  REQUIRE(operations.size() == 2);
  REQUIRE(operations[0].seq == 77);
  REQUIRE(operations[0].steps.size() == 2);
  REQUIRE(operations[0].steps[1].action == Action::erase);
  REQUIRE((operations[1].seq == 0 && operations[1].steps[0].sync && operations[1].steps[0].package == 3));
  REQUIRE(operations[1].first_update != operations[0].first_update);
}
