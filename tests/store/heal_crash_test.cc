// Healing that fails, or is cut short by a crash, at each of its steps: the store is as
// it was, or healed, and never between the two.

#include "tests/store/patient.h"
#include "tests/support/catch.h"

#include <string>

using namespace actable;
using namespace actable::test;

TEST_CASE("wherever healing fails the store stays as it was, and the next attempt heals it", "[heal]") {
  const Call kind = GENERATE(Call::list, Call::open, Call::write, Call::sync, Call::allocate, Call::rename,
                             Call::remove, Call::sync_directory);
  CAPTURE(static_cast<int>(kind));
  Random random(seed());
  unsigned failed = 0;
  for (std::uint64_t nth = 1;; ++nth) {
    INFO("call " << nth);
    REQUIRE(nth < 100);
    Patient patient;
    scribble(patient.store(), random, 200);
    if (random.one_in(2)) must(patient.store().checkpoint());
    scribble(patient.store(), random, 50);
    put_and_fail_once(patient.files(), patient.store());
    patient.files().heal();
    const Content before = patient.content();
    const std::uint64_t calls = patient.files().calls(kind);
    patient.files().fail_nth(kind, nth);
    const auto healed = patient.store().heal();
    if (!healed) {
      ++failed;
      CHECK(outcome(healed) == "io_error");
      CHECK(patient.store().stats().read_only);
      CHECK(outcome(must(patient.store().space("s")).put("a", "refused")) == "read_only");
      CHECK(difference(patient.content(), before) == "");
      // What a killed process would leave opens, too.
      {
        Patient other(patient.disk().killed());
        must(must(other.store().space("s")).put("works", "there", k_sync));
        (void)other.reopen();
      }
      patient.files().heal();
      CHECK(must(patient.store().heal()).began_anew);
    } else if (patient.files().calls(kind) < calls + nth) {
      break;
    }
    patient.files().heal();
    CHECK(difference(patient.content(), before) == "");
    // Unless the log failed over it, behind the healing.
    if (!must(patient.store().heal()).began_anew) CHECK(patient.store().stats().heals == 1);
    must(must(patient.store().space("s")).put("works", "again", k_sync));
    Content after = patient.content();
    (void)patient.reopen();
    CHECK(difference(patient.content(), after) == "");
    must(patient.store().checkpoint());
    must(must(patient.store().space("s")).put("works", "twice", k_sync));
    after = patient.content();
    (void)patient.reopen();
    CHECK(difference(patient.content(), after) == "");
  }
  if (kind != Call::remove) CHECK(failed > 0);
}

TEST_CASE("a crash at any step of healing leaves the old state or the new one", "[heal]") {
  Random random(seed());
  bool old_state = false;
  bool new_state = false;
  for (std::uint64_t steps = 0;; ++steps) {
    INFO("changes of the disk: " << steps);
    REQUIRE(steps < 200);
    Patient patient;
    scribble(patient.store(), random, 200);
    if (random.one_in(2)) must(patient.store().checkpoint());
    must(patient.store().sync());
    const Content durable = patient.content();
    put_and_fail_once(patient.files(), patient.store());
    patient.files().heal();
    const Content visible = patient.content();
    patient.disk().stop_after(steps);
    const auto healed = patient.store().heal();
    Content later;
    if (healed) {
      const auto put = must(patient.store().space("s")).put("later", "1", k_sync);
      if (put) later = patient.content();
    }
    for (int cut = 0; cut < 4; ++cut) {
      Patient next(patient.disk().power_cut(random));
      Content found = next.content();
      const bool is_new = difference(found, visible) == "";
      if (!later.empty()) {
        CHECK(difference(found, later) == "");
      } else if (healed) {
        found.erase("later");
        CHECK(difference(found, visible) == "");
      } else {
        // The write in flight was in the old log, or was not.
        CHECK((is_new || difference(found, durable) == ""));
      }
      old_state |= !healed && !is_new;
      new_state |= is_new;
      // And it goes on from there, over what the attempt left: some segments, a crash, another life.
      Space space = must(next.store().space("s"));
      const std::string large(100'000, 'v');
      for (int i = 0; i < 25; ++i) must(space.put("large" + std::to_string(i % 5), large));
      must(next.store().sync());
      const Content then = next.content();
      Patient last(next.disk().power_cut(random));
      CHECK(difference(last.content(), then) == "");
    }
    if (!later.empty()) break;
  }
  CHECK(old_state);
  CHECK(new_state);
}

TEST_CASE("an attempt of which it is not known whether it counts is followed by one that does", "[heal]") {
  Patient patient;
  Random random(seed());
  scribble(patient.store(), random, 300);
  must(patient.store().checkpoint());
  scribble(patient.store(), random, 300);
  must(patient.store().sync());
  const Content durable = patient.content();
  put_and_fail_once(patient.files(), patient.store());
  const Content before = patient.content();
  for (int attempt = 0; attempt < 3; ++attempt) {
    // The manifest is renamed, and the directory may forget it: that is the last of three syncs.
    patient.files().fail_nth(Call::sync_directory, 3);
    CHECK(outcome(patient.store().heal()) == "io_error");
    CHECK(patient.store().stats().read_only);
    for (int cut = 0; cut < 8; ++cut) {
      Patient next(patient.disk().power_cut(random));
      const Content found = next.content();
      CHECK((difference(found, before) == "" || difference(found, durable) == ""));
      must(must(next.store().space("s")).put("goes", "on", k_sync));
      Content then = next.content();
      CHECK(difference(Patient(next.disk().power_cut(random)).content(), then) == "");
    }
  }
  patient.files().heal();
  must(patient.store().heal());
  for (int cut = 0; cut < 8; ++cut) {
    Patient next(patient.disk().power_cut(random));
    CHECK(difference(next.content(), before) == "");
    CHECK(next.count("ckpt-") == 1);
  }
}
