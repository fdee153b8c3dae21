#include "examples/packages/crash.h"

#include <actable/store.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "examples/packages/child.h"
#include "examples/packages/format.h"
#include "examples/packages/journal.h"
#include "examples/packages/threads.h"
#include "examples/packages/writer.h"

namespace packages {

using actable::ErrorCode;
using actable::Result;
using std::chrono::milliseconds;

namespace {

/// No writer is slower than this; one that is has hung.
constexpr std::chrono::seconds k_patience{30};

/// Data that a writer may write before it is killed early: the log keeps all of
/// it, and each recovery reads it.
constexpr std::uint64_t k_written_bytes_max = std::uint64_t{256} << 20;

/// When to kill: after `duration` of writing or after about `writes_max` steps,
/// whichever comes first, but not before `writes_min` steps have been begun
/// and a synchronous one among them has returned.
struct KillRule {
  milliseconds duration;
  std::uint64_t writes_min;
  std::uint64_t writes_max;
};

/// What is left of a writer.
struct Remains {
  Journal journal;
  std::int64_t killed_ns;
};

class Crash {
 public:
  Crash(const CrashSite& site, const PackageIndex& index, Model& model, Report& report)
      : site_(site), index_(index), model_(model), report_(report), random_(site.seed) {}

  Result<void> once() {
    const Result<Remains> first = run_and_kill("1st", kill_after({500, 1500}, 20'000));
    if (!first) return std::unexpected(first.error());
    return reopen([&](const actable::RecoveryStats& recovery, Findings& findings) -> Result<void> {
      model_.replay(first->journal, recovery.cut, first->killed_ns, findings);
      return {};
    });
  }

  /// The third writer recovers what the second left, and says which cut it
  /// found before it is killed in turn.
  Result<void> twice() {
    const Result<Remains> second = run_and_kill("2nd", kill_after({300, 800}, 5'000));
    if (!second) return std::unexpected(second.error());
    const Result<Remains> third = run_and_kill("3rd", kill_after({0, 100}, 100));
    if (!third) return std::unexpected(third.error());
    return reopen([&](const actable::RecoveryStats& recovery, Findings& findings) -> Result<void> {
      const std::optional<OpenedStore> between = third->journal.opened();
      model_.replay(second->journal, between->cut, second->killed_ns, findings);
      Findings last;
      model_.replay(third->journal, recovery.cut, third->killed_ns, last);
      add_up(findings, last);
      return {};
    });
  }

 private:
  KillRule kill_after(std::pair<int, int> range_ms, std::uint64_t writes_min) {
    const std::uint64_t fit = k_written_bytes_max * index_.packages().size() / index_.payload_bytes();
    const std::uint64_t most = std::max<std::uint64_t>(std::min(Journal::k_lane_entries / 2, fit), 2);
    return {.duration = milliseconds(std::uniform_int_distribution(range_ms.first, range_ms.second)(random_)),
            .writes_min = std::min(writes_min, most / 2),
            .writes_max = std::uniform_int_distribution(most / 2, most)(random_)};
  }

  static void add_up(Findings& sum, const Findings& last) {
    sum.sync_acknowledged += last.sync_acknowledged;
    sum.async_returned += last.async_returned;
    sum.async_lost += last.async_lost;
    sum.lost_window = std::max(sum.lost_window, last.lost_window);
    sum.unknown += last.unknown;
    sum.add(last);
  }

  Result<Remains> run_and_kill(const std::string& name, KillRule rule) {
    const std::filesystem::path path = site_.directory / ("journal-" + name);
    Result<Journal> journal =
        Journal::create(path, {.seed = random_(), .lanes = worker_threads() + 1, .first_update = next_first_update_});
    if (!journal) return std::unexpected(journal.error());
    next_first_update_ = journal->next_first_update();
    Result<Child> child = Child::start(
        {"--index=" + site_.index_path.string(), "--dir=" + site_.directory.string(), "--writer=" + path.string()});
    if (!child) return std::unexpected(child.error());
    const auto first_write = wait_for_kill(*child, *journal, rule);
    if (!first_write) return std::unexpected(first_write.error());
    const auto killed = Clock::now();
    if (!child->kill()) return ended(*journal);
    report_.add(name + " writer", "killed with SIGKILL after " + duration_text(killed - *first_write) + " and " +
                                      grouped(journal->begun()) + " writes");
    return Remains{std::move(*journal), killed.time_since_epoch() / std::chrono::nanoseconds{1}};
  }

  /// Returns when the first write was seen.
  Result<Clock::time_point> wait_for_kill(Child& child, const Journal& journal, KillRule rule) const {
    const std::uint32_t sync_lane = journal.plan().lanes - 1;
    const auto started = Clock::now();
    std::optional<Clock::time_point> first_write;
    for (;;) {
      if (!child.running()) return ended(journal);
      const auto now = Clock::now();
      const std::uint64_t begun = journal.begun();
      if (begun > 0 && !first_write) first_write = now;
      // The sync lane's second operation has begun: its first was acknowledged.
      const bool enough = begun >= rule.writes_min && journal.begun(sync_lane) > Journal::k_steps_max;
      if (enough && (now - *first_write >= rule.duration || begun >= rule.writes_max)) return *first_write;
      if (now - started > k_patience) {
        return actable::fail(ErrorCode::overloaded, "the writer made only " + grouped(begun) + " writes in " +
                                                        duration_text(now - started) +
                                                        ": is the disk that slow? Give another --dir");
      }
      std::this_thread::sleep_for(milliseconds{1});
    }
  }

  static std::unexpected<actable::Error> ended(const Journal& journal) {
    const std::string why = journal.failure();
    return actable::fail(ErrorCode::io_error, "the writer process ended before it was killed: " +
                                                  (why.empty() ? std::string("it said nothing") : why));
  }

  /// Opens the store, lets `replay` tell the model what the writers did, and
  /// compares.
  template <class Replay>
  Result<void> reopen(Replay replay) {
    const auto begin = Clock::now();
    Result<actable::Store> store =
        actable::Store::open({.directory = site_.store_directory, .create_if_missing = false});
    const auto opened_after = Clock::now() - begin;
    if (!store) return std::unexpected(store.error());
    const Result<actable::Space> space = store->space(k_space_name);
    if (!space) return std::unexpected(space.error());
    const actable::RecoveryStats recovery = store->stats().recovery;
    report_.add("recovered", "in " + duration_text(opened_after) + ", " + duration_text(recovery.duration) +
                                 " of it for " + megabytes(recovery.log_bytes) + " of log");
    Findings findings;
    const Result<void> replayed = replay(recovery, findings);
    if (!replayed) return replayed;
    const Result<void> verified = model_.verify(*space, recovery.cut, findings);
    if (!verified) return verified;
    const Result<void> judged = judge(findings);
    if (!judged) return judged;
    return store->close();
  }

  Result<void> judge(const Findings& findings) {
    for (const std::string& problem : findings.problems) std::fprintf(stderr, "WRONG: %s\n", problem.c_str());
    if (findings.problem_count > 0) {
      return actable::fail(ErrorCode::corrupt,
                           grouped(findings.problem_count) +
                               " checks did not hold after the kill, the first of them above; seed " +
                               std::to_string(site_.seed) + ", files in " + site_.directory.string());
    }
    report_.add("synchronous writes", grouped(findings.sync_acknowledged) + " acknowledged, all there");
    report_.add("asynchronous writes", grouped(findings.async_lost) + " of " + grouped(findings.async_returned) +
                                           " lost, from the last " + duration_text(findings.lost_window) +
                                           " before the kill");
    report_.add("exact prefix", "all " + grouped(index_.packages().size()) + " packages, " +
                                    grouped(findings.packages_present) + " present; of " + grouped(findings.unknown) +
                                    " writes that the kill hit, " + grouped(findings.unknown_kept) + " are there");
    return {};
  }

  const CrashSite& site_;
  const PackageIndex& index_;
  Model& model_;
  Report& report_;
  std::mt19937_64 random_;
  std::uint64_t next_first_update_ = 1;
};

}  // namespace

Result<void> crash_and_verify(const CrashSite& site, const PackageIndex& index, Model& model, Report& report) {
  Crash crash(site, index, model, report);
  const Result<void> once = crash.once();
  return once ? crash.twice() : once;
}

}  // namespace packages
