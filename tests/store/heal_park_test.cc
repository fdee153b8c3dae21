// A healing while a writer is stopped in the middle of a write that began before the log
// failed, and while the healing itself is stopped.

#include "tests/store/patient.h"
#include "tests/support/catch.h"
#include "tests/support/park.h"

#include <future>
#include <string>

using namespace actable;
using namespace actable::test;

namespace {

/// Has the log fail though a writer is stopped: what needs a buffer of its own is
/// written before a round comes to its end.
void fail_log(Patient& patient) {
  patient.files().fail_from(Call::write, 1);
  (void)must(patient.store().space("s")).put("large", std::string(100'000, 'v'));
  until("the log has failed", [&] { return patient.store().stats().read_only; });
  patient.files().heal();
}

}  // namespace

TEST_CASE("a write that is half done when the log fails is waited for, and kept", "[heal]") {
  const char* const point = GENERATE("store.before_draw", "store.published", "staging.append");
  CAPTURE(point);
  // Whoever does not wait may still come too late to be seen.
  for (int round = 0; round < 20; ++round) {
    Patient patient;
    Random random(seed());
    scribble(patient.store(), random, 50);
    must(patient.store().sync());
    Result<Seq> put = Seq{0};
    ParkedThread stopped(point, 1, [&] { put = must(patient.store().space("s")).put("half done", "v"); });
    REQUIRE(stopped.stopped());
    fail_log(patient);
    const std::uint64_t epoch = patient.store().stats().epoch;
    auto healing = std::async(std::launch::async, [&] { return patient.store().heal(); });
    until("the healing has begun", [&] { return patient.store().stats().epoch > epoch; });
    stopped.resume();
    const Healed healed = must(healing.get());
    CHECK(must(std::move(put)) <= healed.durable);
    {
      const Content healthy = patient.content();
      CHECK(difference(Patient(patient.disk().killed()).content(), healthy) == "");
    }
    CHECK(must(must(patient.store().space("s")).get("half done")) == "v");
    must(must(patient.store().space("s")).put("after", "v", k_sync));
    const Content before = patient.content();
    (void)patient.reopen();
    REQUIRE(difference(patient.content(), before) == "");
  }
}

TEST_CASE("while a healing is stopped reads and memory-only writes go on, and others are refused", "[heal]") {
  Patient patient;
  Space space = must(patient.store().space("s"));
  Space memory = must(patient.store().space("memory", {.logged = false}));
  must(space.put("a", "1"));
  put_and_fail_once(patient.files(), patient.store());
  Healed healed;
  ParkedThread stopped("heal.bumped", 1, [&] { healed = must(patient.store().heal()); });
  REQUIRE(stopped.stopped());
  for (int i = 0; i < 10'000; ++i) must(memory.put("key" + std::to_string(i % 100), "v"));
  CHECK(must(space.get("a")) == "1");
  CHECK(outcome(space.put("a", "2")) == "read_only");
  CHECK(patient.store().stats().read_only);
  must(patient.store().space("made meanwhile", {.logged = false}));
  CHECK(outcome(patient.store().space("refused")) == "read_only");
  stopped.resume();
  CHECK(healed.began_anew);
  CHECK(must(space.put("a", "2", k_sync)) > healed.durable);
  CHECK(memory.size() == 100);
  (void)patient.reopen();
  CHECK(must(must(patient.store().space("s")).get("a")) == "2");
}
