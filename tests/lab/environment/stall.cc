// A sync that takes ten seconds, for real: the one in the leg that has to.

#include "store/access.h"
#include "tests/lab/environment/scenario.h"
#include "tests/store/vocabulary.h"
#include "tests/support/faulty_file_system.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace actable::lab::environment {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr auto k_stall = 10s;
// Far below what any machine does, far above what a reader does that waits for a
// sync. How quick reads are is for the benchmark to say: a machine that others
// use too slows them down for minutes.
constexpr std::uint64_t k_reads_per_second = 1'000;
constexpr std::int64_t k_waits_max = 20;
constexpr std::size_t k_mib = std::size_t{1} << 20;
constexpr unsigned k_writers = 2;
constexpr std::uint64_t k_keys = 500;  // a writer
constexpr std::size_t k_value_bytes = 4'000;

std::string key_of(unsigned writer, std::uint64_t i) {
  return std::to_string(writer) + "-" + std::to_string(i % k_keys);
}

/// A writer that goes on and on.
struct Writer {
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> turned_away{0};
  std::atomic<std::int64_t> longest_ns{0};
  std::string failed{};

  void run(Space space, unsigned number, const std::stop_token& stop) {
    for (std::uint64_t i = 0; !stop.stop_requested(); ++i) {
      const auto began_at = steady_clock::now();
      const auto put = space.put(key_of(number, i), test::sealed(i, k_value_bytes));
      const auto took = (steady_clock::now() - began_at) / 1ns;
      if (took > longest_ns) longest_ns = took;
      if (put) {
        ++written;
      } else if (put.error().code == ErrorCode::overloaded) {
        ++turned_away;
        --i;  // The same again.
      } else {
        failed = test::describe(put.error());
        return;
      }
    }
  }
};

/// What a reader has done so far.
struct Pace {
  std::uint64_t reads = 0;
  /// How often it gave the processor back to wait for something.
  std::int64_t waits = 0;
};

/// Gets, each of which has to be whole.
class Reader {
 public:
  void run(const Space& space, std::uint64_t seed, const std::stop_token& stop) {
    constexpr std::uint64_t k_reads_per_look = 64;
    test::Random random(seed);
    std::string value;
    for (std::uint64_t reads = 1; !stop.stop_requested(); ++reads) {
      const auto found = space.get(key_of(static_cast<unsigned>(random.below(k_writers)), random()), value);
      if (!found || (*found && !test::unseal(value))) {
        failed_ = found ? "a torn value" : test::describe(found.error());
        return;
      }
      if (reads % k_reads_per_look == 0) publish(reads);
    }
  }

  [[nodiscard]] Pace pace() const {
    const std::lock_guard lock(mutex_);
    return pace_;
  }
  /// Once it has ended.
  [[nodiscard]] const std::string& failed() const { return failed_; }

 private:
  void publish(std::uint64_t reads) {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return;  // Or it would wait itself.
    pace_ = {reads, usage.ru_nvcsw};
  }

  mutable std::mutex mutex_;
  Pace pace_;
  std::string failed_;
};

/// One stall. With a deadline that outlasts it writers wait; else they are
/// turned away. `length` tells how long each sync takes from its beginning on.
void stall(Scenario& scenario, std::chrono::milliseconds deadline, std::chrono::seconds length) {
  test::FaultyFileSystem files;
  Options options = test::small_store(scenario.fresh_directory());
  options.staging_bytes = 2 * k_mib;
  options.write_deadline = deadline;
  const bool outlasts = deadline > length;
  std::array<Writer, k_writers> writers;
  test::Content at_the_end;
  {
    Store store = test::must(store::Access::open(options, files));
    Space space = test::must(store.space("s"));
    Reader reader;
    std::vector<std::jthread> crew;
    crew.emplace_back([&, seed = scenario.random()](const std::stop_token& stop) { reader.run(space, seed, stop); });
    for (unsigned i = 0; i < k_writers; ++i) {
      crew.emplace_back([&, i](const std::stop_token& stop) { writers.at(i).run(space, i, stop); });
    }
    test::until("all keys are there", [&] { return space.size() == k_writers * k_keys; });
    const std::size_t resident = test::resident_bytes();

    // Before the sync begins: while this says so, the disk has not answered.
    const auto stalled_at = steady_clock::now();
    const auto stalls = [&] { return steady_clock::now() - stalled_at < length; };
    files.delay(test::Call::sync, length);
    require(files.wait_until_delayed(test::Call::sync), "no sync came");
    auto sync = std::async(std::launch::async, [&store] { return store.sync(); });
    const auto waits_or_turned_away = [&] {
      const LogStats log = store.stats().log;
      return outlasts ? log.waits > 0 : log.overloads > 0;
    };
    scenario.check(test::eventually(length, waits_or_turned_away), "nobody waits while a sync stalls");
    const Seq durable = store.durable_seq();
    const std::uint64_t written = writers[0].written + writers[1].written;
    const Pace stalled = reader.pace();
    std::size_t resident_max = 0;
    std::size_t staging_max = 0;
    while (steady_clock::now() - stalled_at < length - 500ms) {
      resident_max = std::max(resident_max, test::resident_bytes());
      staging_max = std::max(staging_max, store.stats().log.staging_bytes);
      const bool returned = sync.wait_for(50ms) == std::future_status::ready;
      const bool moved = store.durable_seq() != durable;
      if (!stalls()) break;
      require(!returned, "sync returned though the disk had not");
      require(!moved, "something became durable while the disk stood still");
    }
    // A buffer a thread beyond the limit, rounded up to the MiB that they come by.
    scenario.check(staging_max <= options.staging_bytes + k_mib, "staging goes beyond its limit");
    scenario.check(test::k_slowness > 1 || resident_max < resident + 48 * k_mib, "memory grows while a sync stalls");
    const Pace later = reader.pace();
    const std::uint64_t reads_min = k_reads_per_second * static_cast<std::uint64_t>(length / 1s - 1);
    scenario.check(later.reads - stalled.reads > reads_min,
                   "only " + std::to_string(later.reads - stalled.reads) + " reads while a sync stalls");
    // Reads do not wait; the test's own memory may, at times.
    scenario.check(later.waits - stalled.waits < k_waits_max, "reads wait while a sync stalls");
    const std::uint64_t during = writers[0].written + writers[1].written - written;
    scenario.check(!stalls() || during * k_value_bytes <= 2 * options.staging_bytes,
                   "writers are not slowed by a stalled disk");
    test::until("the stall is over", [&] { return !stalls(); });
    files.delay(test::Call::sync, 0s);
    const auto synced = sync.get();
    scenario.check(synced.has_value(), "sync failed after a stall");
    const std::uint64_t before = writers[0].written + writers[1].written;
    test::until("the writers go on", [&] { return writers[0].written + writers[1].written > before + 1'000; });
    for (std::jthread& one : crew) one.request_stop();
    crew.clear();
    scenario.check(reader.failed().empty(), "a read failed: " + reader.failed());
    for (const Writer& writer : writers) {
      scenario.check(writer.failed.empty(), "a write failed: " + writer.failed);
      scenario.check(!outlasts || writer.turned_away == 0, "writers were turned away before their deadline");
      scenario.check(std::chrono::nanoseconds(writer.longest_ns) < length + 60s, "a write waited beyond the stall");
    }
    scenario.check(outlasts || writers[0].turned_away + writers[1].turned_away > 0, "nobody was turned away");
    scenario.check(!store.stats().read_only, "a stall is taken for a failure");
    at_the_end = test::content(space);
    test::must(store.close());
  }
  Store store = test::must(Store::open(options));
  const std::string differs = test::difference(test::content(test::must(store.space("s"))), at_the_end);
  scenario.check(differs.empty(), "after a stall: " + differs);
  scenario.lived();
}

}  // namespace

void a_sync_stalls(Scenario& scenario) {
  scenario.say("a sync of 10 s, writers that may wait for longer");
  stall(scenario, 60s, k_stall);
  scenario.say("a sync of 2 s, writers that may not wait as long");
  stall(scenario, 100ms, 2s);
}

}  // namespace actable::lab::environment
