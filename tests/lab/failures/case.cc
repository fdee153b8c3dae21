#include "tests/lab/failures/case.h"

#include "base/park.h"
#include "store/access.h"
#include "tests/lab/failures/life.h"
#include "tests/lab/last_words.h"
#include "tests/lab/leg.h"
#include "tests/support/results.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace actable::lab {
namespace {

using test::must;
using test::allocations::Spared;

// No case takes as much of its own time; one that goes on turns in a circle.
constexpr std::chrono::hours k_longest{2};

/// The scheduler, whose own memory never fails, with the log's thread's counted.
///
/// Thread safety: *synchronized*.
class SparingSimulation final : public base::Simulation {
 public:
  explicit SparingSimulation(test::Scheduler& scheduler, std::string context)
      : scheduler_(scheduler), began_at_(scheduler.now()), context_(std::move(context)) {
    base::park::simulate(this);
  }
  ~SparingSimulation() override { base::park::simulate(nullptr); }
  SparingSimulation(const SparingSimulation&) = delete;
  SparingSimulation& operator=(const SparingSimulation&) = delete;

  [[nodiscard]] base::TimePoint now() noexcept override { return scheduler_.now(); }
  [[nodiscard]] std::uint64_t random_word() override { return scheduler_.random_word(); }

  void reach(std::string_view step) override {
    const Spared spared;
    if (step == "log.begin") test::allocations::count_thread(true);
    if (step == "log.end") test::allocations::count_thread(false);
    scheduler_.reach(step);
    check_time();
  }

  void await(std::string_view step, const std::function<bool()>& ready, std::optional<base::TimePoint> until) override {
    const Spared spared;
    scheduler_.await(step, ready, until);
    check_time();
  }

 private:
  void check_time() const {
    if (scheduler_.now() - began_at_ < k_longest) return;
    std::printf("%s%s\nFOUND: it does not come to an end\n", scheduler_.trace().c_str(), context_.c_str());
    std::fflush(stdout);
    std::_Exit(1);
  }

  test::Scheduler& scheduler_;
  const base::TimePoint began_at_;
  const std::string context_;
};

/// What a creation of a store that a crash ended can leave.
test::SimulatedDisk::Image leftover() { return {{"log-00000001", std::vector<std::byte>(64 << 10)}}; }

bool is_unfinished(const Error& error) {
  return error.code == ErrorCode::corrupt && error.message.find("a backup that was not finished") != std::string::npos;
}

/// Recovers from the disk of a moment, judges what is there, and writes.
void recover(std::uint64_t seed, const Moment& moment, const std::string& context, bool print) {
  test::Scheduler scheduler(seed, 16);
  scheduler.print_notes(print);
  scheduler.context(context);
  Disk disk(scheduler, moment.image);
  scheduler.run({[&] {
    auto opened = store::Access::open_unchecked(script_options(), disk);
    if (!opened && moment.before && is_unfinished(opened.error())) return;
    Store store = must(std::move(opened));
    const Seq cut = store.stats().recovery.cut;
    const Content found = content_of(store);
    const bool as_before = moment.before && moment.before->judge(found, cut).empty();
    const History& history = as_before ? *moment.before : moment.history;
    const std::string wrong = history.judge(found, cut);
    require(wrong.empty(), wrong + "; the cut was " + std::to_string(cut));
    Space space = must(store.space("after"));
    const Seq seq = must(space.put("after", "all", {.durability = Durability::sync}));
    require(seq > history.highest(), "a number was given out again");
    must(store.close());
  }});
}

}  // namespace

std::string describe(const Failing& failing) {
  const auto told = [](const std::string& what, std::uint64_t nth, bool for_good) {
    return what + " " + std::to_string(nth) + " fails" + (for_good ? ", and all after it" : "");
  };
  if (failing.call.nth != 0) {
    return told("call", failing.call.nth, failing.call.for_good) + ": " + std::string(name_of(failing.call.fault));
  }
  if (failing.allocation != 0) return told("allocation", failing.allocation, failing.allocation_for_good);
  return "nothing fails";
}

Came run_case(std::uint64_t seed, const Failing& failing, const std::string& replay, bool print) {
  Came came;
  std::vector<Moment> moments;
  const std::string context = describe(failing) + "\n" + replay;
  std::string trace;
  LastWords last_words("failures");
  last_words.now(context);
  {
    test::Scheduler scheduler(seed, 4);
    scheduler.print_notes(print);
    scheduler.context(context);
    const SparingSimulation sparing(scheduler, context);
    Disk disk(scheduler, leftover());
    Disk backup(scheduler);
    Seam seam(scheduler, disk, backup, failing.call);
    test::allocations::reset();
    test::allocations::watch(
        [&](std::uint64_t number) { scheduler.note("allocation " + std::to_string(number) + " FAILS"); });
    test::allocations::fail(failing.allocation, failing.allocation_for_good);
    scheduler.run({[&] {
      Client client(scheduler, disk, backup, seam);
      run_script(client);
      moments = client.moments();
    }});
    test::allocations::heal();
    test::allocations::watch({});
    came = {seam.calls(), seam.failed(), test::allocations::count(), test::allocations::failed(), moments.size()};
    trace = scheduler.trace();
    require(seam.stranger().empty(),
            "a call from a site that is not in tests/lab/failures/sites.cc: " + seam.stranger() + "\n" + context);
  }
  for (const Moment& moment : moments) {
    recover(++seed, moment, trace + "recovering " + moment.where + "\n" + context, print);
  }
  return came;
}

}  // namespace actable::lab
