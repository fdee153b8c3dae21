// What `latency doctor` says of statistics.

#include "shell/doctor.h"
#include "tests/support/catch.h"

#include <algorithm>

using namespace shell;
using actable::debug::Document;
using List = Document::List;
using Map = Document::Map;
using Weight = Finding::Weight;

namespace {

/// A healthy store, to be changed in one point.
struct Case {
  Map store{{"read_only", false},
            {"read_only_reason", ""},
            {"durable_lag_us", 5'000U},
            {"epoch", 1'000U},
            {"epoch_pinned_oldest", 1'000U},
            {"pins_long", 0U},
            {"membarrier", true},
            {"threads", 4U}};
  Map log{{"io", "io_uring"},
          {"direct_io", true},
          {"waits", 0U},
          {"overloads", 0U},
          {"staging_bytes", 1U << 20},
          {"written_bytes", 1U << 20},
          {"sync_durations", durations(10)}};
  Map memory{{"retired_bytes", 0U}};
  Map actor{{"name", "space s"}, {"state", "running"}, {"waiting", 0U},   {"refused", 0U},
            {"restarts", 0U},    {"busy_us", 0U},      {"last_crash", ""}};

  /// A thousand syncs of less than 2^step microseconds.
  static Document durations(std::size_t step) {
    List list(25, Document(0U));
    list[step] = 1'000U;
    return list;
  }
  Case& set(Map& map, const char* field, Document value) {
    std::ranges::find(map, field, &Document::Field::name)->value = std::move(value);
    return *this;
  }
  [[nodiscard]] Moment moment() const {
    return {.stats = Map{{"store", store}, {"log", log}, {"memory", memory}, {"recovery", Map{{"log_bytes", 0U}}}},
            .actors = List{actor},
            .config = List{Map{{"option", "retired_bytes"}, {"value", 64U << 20}}}};
  }
};

std::vector<Finding> after(const Case& changed) { return diagnose(Case().moment(), changed.moment(), 1.0); }

/// The only finding has these words, and advice.
void check_one(const Case& changed, Weight weight, const std::string& words) {
  CAPTURE(words);
  const auto found = after(changed);
  REQUIRE(found.size() == 1);
  CHECK(found[0].weight == weight);
  CHECK_THAT(found[0].what, actable::test::ContainsSubstring(words));
  CHECK_FALSE(found[0].advice.empty());
}

}  // namespace

TEST_CASE("a healthy store has nothing to complain of", "[doctor]") { CHECK(after(Case()).empty()); }

TEST_CASE("each thing that is slow is named, with advice", "[doctor]") {
  Case of;
  of.set(of.store, "read_only", true);
  of.set(of.store, "read_only_reason", "the log failed: disk full");
  check_one(of, Weight::bad, "the log failed: disk full");

  of = Case();
  check_one(of.set(of.log, "overloads", 3U), Weight::bad, "3 writes were refused");
  of = Case();
  check_one(of.set(of.log, "waits", 1'234U), Weight::slow, "1,234 writes had to wait");
  of = Case();
  check_one(of.set(of.store, "durable_lag_us", 5'000'000U), Weight::slow, "has waited for 5.0 s");
  of = Case();
  check_one(of.set(of.log, "sync_durations", Case::durations(16)), Weight::slow, "One sync in a hundred takes");
  of = Case();
  check_one(of.set(of.log, "io", "pwrite"), Weight::remark, "pwrite");
  of = Case();
  check_one(of.set(of.log, "direct_io", false), Weight::remark, "no direct writes");
  of = Case();
  check_one(of.set(of.log, "written_bytes", std::uint64_t{8} << 30), Weight::remark, "8.0 GiB");
  of = Case();
  check_one(of.set(of.store, "epoch_pinned_oldest", 1U), Weight::slow, "inside an operation for 999 epochs");
  of = Case();
  check_one(of.set(of.memory, "retired_bytes", 65U << 20), Weight::slow, "more than retired_bytes");
  of = Case();
  check_one(of.set(of.store, "membarrier", false), Weight::remark, "membarrier");
  of = Case();
  check_one(of.set(of.store, "threads", 4'000U), Weight::slow, "4,000 threads");
}

TEST_CASE("each thing that is wrong with an actor is named", "[doctor]") {
  Case of;
  check_one(of.set(of.actor, "state", "stopped"), Weight::bad, "space s was given up");
  of = Case();
  check_one(of.set(of.actor, "refused", 7U), Weight::slow, "7 requests to the actor space s were refused");
  of = Case();
  check_one(of.set(of.actor, "waiting", 1'000U), Weight::slow, "1,000 requests wait");
  of = Case();
  check_one(of.set(of.actor, "busy_us", 950'000U), Weight::slow, "busy for 95.0 %");
  of = Case();
  check_one(of.set(of.actor, "restarts", 1U), Weight::slow, "started again");
}

TEST_CASE("the worst comes first", "[doctor]") {
  Case of;
  of.set(of.log, "io", "pwrite");
  of.set(of.log, "waits", 5U);
  of.set(of.store, "read_only", true);
  const auto found = after(of);
  REQUIRE(found.size() == 3);
  CHECK(found[0].weight == Weight::bad);
  CHECK(found[1].weight == Weight::slow);
  CHECK(found[2].weight == Weight::remark);
}

TEST_CASE("a store without a log is not told about its disk", "[doctor]") {
  Case of;
  of.set(of.log, "io", "");
  of.set(of.log, "direct_io", false);
  of.set(of.log, "sync_durations", List{});
  CHECK(after(of).empty());
}

TEST_CASE("quantiles of the syncs come from the histogram", "[doctor]") {
  List list(25, Document(0U));
  CHECK(sync_quantile_us(list, 0.5) == 0);
  list[3] = 90U;
  list[10] = 10U;
  CHECK(sync_quantile_us(list, 0.5) == 8);
  CHECK(sync_quantile_us(list, 0.9) == 8);
  CHECK(sync_quantile_us(list, 0.99) == 1024);
}
