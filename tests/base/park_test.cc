#include "base/park.h"
#include "base/epoch.h"
#include "tests/support/catch.h"
#include "tests/support/park.h"
#include "tests/support/threads.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace actable::base {
namespace {

using test::ParkedThread;
using test::together;

/// The names of the steps in a source: the macro, and the name in brackets and quotes.
std::vector<std::string> named_steps(const std::string& source, const std::string& macro = "ACTABLE_PARK") {
  const std::string before = macro + "(\"";
  std::vector<std::string> found;
  for (std::size_t at = source.find(before); at != std::string::npos; at = source.find(before, at)) {
    at += before.size();
    found.push_back(source.substr(at, source.find('"', at) - at));
  }
  return found;
}

/// Those of them that the tests do not name.
std::vector<std::string> untested(const std::string& source, const std::string& tests) {
  std::vector<std::string> missed = named_steps(source);
  std::erase_if(missed, [&tests](const std::string& name) { return tests.contains('"' + name + '"'); });
  return missed;
}

/// The text of all C++ files below a folder whose names end like this.
std::string text_of(const std::filesystem::path& folder, std::string_view ending) {
  std::string all;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder)) {
    if (!file.path().native().ends_with(ending)) continue;
    std::ifstream in(file.path());
    all.append(std::istreambuf_iterator<char>(in), {});
  }
  return all;
}

/// The text of all floors' sources and headers.
std::string text_of_floors() {
  std::string all;
  for (const char* floor : {"base", "table", "wal", "cache", "routing", "store", "actors"}) {
    const auto folder = std::filesystem::path(ACTABLE_SOURCE_DIR) / floor;
    if (std::filesystem::exists(folder)) all += text_of(folder, ".cc") + text_of(folder, ".h");
  }
  return all;
}

/// A step with a name, as the floors have them.
void step() { ACTABLE_PARK("test.step"); }

}  // namespace

TEST_CASE("a thread stops at the step that it was told, and goes on when released", "[park]") {
  std::atomic<int> come_to{0};
  ParkedThread parked("test.step", 1, [&] {
    come_to = 1;
    step();
    come_to = 2;
  });
  REQUIRE(parked.stopped());
  CHECK(come_to == 1);
  parked.resume();
  CHECK(come_to == 2);
}

TEST_CASE("a thread stops at the step's time that it was told", "[park]") {
  std::atomic<int> passed{0};
  ParkedThread parked("test.step", 3, [&] {
    for (int i = 0; i < 5; ++i) {
      step();
      ++passed;
    }
  });
  REQUIRE(parked.stopped());
  CHECK(passed == 2);
  parked.resume();
  CHECK(passed == 5);
}

TEST_CASE("threads that did not volunteer pass a step at which another is stopped", "[park]") {
  ParkedThread parked("test.step", 1, step);
  REQUIRE(parked.stopped());
  std::atomic<int> passed{0};
  together(4, [&](unsigned) {
    step();
    ++passed;
  });
  CHECK(passed == 4);
}

TEST_CASE("whoever waits learns that the volunteer ended without reaching the step", "[park]") {
  ParkedThread parked("test.other_step", 1, step);
  CHECK_FALSE(parked.stopped());
}

TEST_CASE("nobody stops once the step is no longer armed", "[park]") {
  {
    ParkedThread parked("test.step", 1, step);
    REQUIRE(parked.stopped());
  }
  ParkedThread parked("test.step", 2, [] {
    step();
    park::release();
    step();
  });
  CHECK_FALSE(parked.stopped());
}

TEST_CASE("a writer stopped before it announces its epoch draws nothing below a cut closed meanwhile", "[park]") {
  Epochs epochs;
  Seq before = 0;
  Seq drawn = 0;
  const auto write = [&epochs] {
    Epochs::Slot& slot = *epochs.slot(thread_index());
    const WritePin pin(epochs, slot);
    return epochs.draw(slot, pin.epoch(), 0);
  };
  // Its first write takes a lease; before its second it has read the epoch.
  ParkedThread parked("epoch.announce", 2, [&] {
    before = write();
    drawn = write();
  });
  REQUIRE(parked.stopped());
  const Seq cut = epochs.bump();
  heavy_fence();
  CHECK_FALSE(epochs.writers_before(epoch_of(cut)));
  parked.resume();
  CHECK(before < cut);
  CHECK(drawn >= cut);
}

TEST_CASE("a step that no test stops at is found", "[park]") {
  const std::string source = R"(ACTABLE_PARK("a.b"); x(); if (y) ACTABLE_PARK("a.c_d");)";
  CHECK(named_steps(source) == std::vector<std::string>{"a.b", "a.c_d"});
  CHECK(untested(source, R"({"a.b", 1}, {"a.c_d", 1})").empty());
  CHECK(untested(source, R"({"a.b", 1}, {"a.c", 1})") == std::vector<std::string>{"a.c_d"});
}

TEST_CASE("every named step in the sources has a test that stops at it", "[park]") {
  const std::string sources = text_of_floors();
  CHECK(named_steps(sources).size() >= 20);
  const std::string tests = text_of(std::filesystem::path(ACTABLE_SOURCE_DIR) / "tests", "park_test.cc");
  for (const std::string& name : untested(sources, tests)) {
    FAIL_CHECK("no file tests/…/park_test.cc names the step `" << name << "`");
  }
}

TEST_CASE("every fail point in the sources is one at which the laboratory kills", "[park]") {
  const std::vector<std::string> points = named_steps(text_of_floors(), "ACTABLE_FAIL_POINT");
  CHECK(points.size() >= 25);
  const std::string listed = text_of(std::filesystem::path(ACTABLE_SOURCE_DIR) / "tests/lab/kills", "points.cc");
  for (const std::string& name : points) {
    if (!listed.contains("{\"" + name + '"'))
      FAIL_CHECK("tests/lab/kills/points.cc lacks the fail point `" << name << "`");
  }
}

}  // namespace actable::base
