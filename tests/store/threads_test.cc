// Threads that come and go, and more of them than a store takes.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <latch>
#include <mutex>
#include <thread>

using namespace actable;
using namespace actable::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;

/// Threads with small stacks that do one thing, then stay until they are let go.
///
/// Thread safety: *confined* to the thread that made it.
class Crowd {
 public:
  ~Crowd() { let_go(size()); }

  /// Starts a thread and returns what its work came to; empty when the system
  /// has no room for one more.
  std::optional<std::string> add(std::function<std::string()> work) {
    Member& member = members_.emplace_back(Member{.crowd = this, .work = std::move(work)});
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, k_stack_bytes);
    const int failed = ::pthread_create(&member.thread, &attributes, &Crowd::run, &member);
    ::pthread_attr_destroy(&attributes);
    if (failed != 0) {
      members_.pop_back();
      return std::nullopt;
    }
    std::unique_lock lock(mutex_);
    worked_.wait(lock, [&] { return member.outcome.has_value(); });
    return member.outcome;
  }

  /// Ends the `count` oldest threads.
  void let_go(std::size_t count) {
    {
      const std::scoped_lock lock(mutex_);
      for (std::size_t i = 0; i < count; ++i) members_[i].may_end = true;
    }
    released_.notify_all();
    for (std::size_t i = 0; i < count; ++i) {
      ::pthread_join(members_.front().thread, nullptr);
      members_.pop_front();
    }
  }

  [[nodiscard]] std::size_t size() const { return members_.size(); }

 private:
  static constexpr std::size_t k_stack_bytes = 256 * 1024;

  struct Member {
    Crowd* crowd;
    std::function<std::string()> work;
    pthread_t thread{};
    std::optional<std::string> outcome{};
    bool may_end = false;
  };

  static void* run(void* argument) {
    Member& member = *static_cast<Member*>(argument);
    std::string outcome = member.work();
    std::unique_lock lock(member.crowd->mutex_);
    member.outcome = std::move(outcome);
    member.crowd->worked_.notify_one();
    member.crowd->released_.wait(lock, [&] { return member.may_end; });
    return nullptr;
  }

  std::mutex mutex_;
  std::condition_variable worked_;
  std::condition_variable released_;
  std::deque<Member> members_;  // whose elements stay where they are
};

/// Memory and places that a store has taken for its threads.
struct Taken {
  std::size_t resident;
  std::size_t carved;
  std::size_t staging;
  unsigned threads;
};

Taken taken_by(const Store& store) {
  const StoreStats stats = store.stats();
  return {resident_bytes(), stats.memory.carved_bytes, stats.log.staging_bytes, stats.threads};
}

/// Keeps a thread until all have come so far, also when it fails.
struct Staying {
  std::latch& others;
  ~Staying() { others.arrive_and_wait(); }
};

void run_waves(Store& store, unsigned waves, unsigned threads) {
  Space space = must(store.space("s"));
  for (unsigned wave = 0; wave < waves; ++wave) {
    std::latch all_wrote(threads);
    together(threads, [&](unsigned thread) {
      // All are there at once, so that every wave takes as much.
      const Staying staying{all_wrote};
      Space mine = space;
      for (std::uint64_t i = 0; i < 200; ++i) {
        const std::string key = std::to_string(thread % 50) + ":" + std::to_string(i % 40);
        must(mine.put(key, sealed(i, 100)));
        expect(must(mine.get(key)).has_value(), "a key just put is absent");
      }
    });
  }
}

void check_waves(Store& store) {
  // The first waves write enough for replaced records to be reused.
  constexpr unsigned k_wave = 100;
  run_waves(store, 5, k_wave);
  const Taken first = taken_by(store);
  run_waves(store, 5, k_wave);
  const Taken last = taken_by(store);
  CAPTURE(first.resident, last.resident, first.carved, last.carved, first.staging, last.staging);
  CHECK(last.threads <= 2);  // this one and the log's
  // How far the threads get side by side is chance, and makes a MiB or two. A
  // loss of 8 KiB a thread would be more.
  CHECK(last.carved <= first.carved + 4 * k_mib);
  // A buffer lost with each thread would be 31 MiB.
  CHECK(last.staging <= first.staging + 4 * k_mib);
  if (k_slowness == 1) CHECK(last.resident <= first.resident + 8 * k_mib);
  CHECK(must(store.space("s")).size() == 50 * 40);
}

}  // namespace

TEST_CASE("five hundred threads more, in waves, take no more memory", "[threads]") {
  Store store = must(Store::open({.retired_bytes = k_mib}));
  check_waves(store);
}

TEST_CASE("five hundred threads more, in waves, take no more memory with a log", "[threads]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  options.retired_bytes = options.staging_bytes = k_mib;
  options.write_deadline = std::chrono::minutes(5);  // the disk may be busy with others
  Store store = must(Store::open(options));
  check_waves(store);
}

TEST_CASE("threads that use many stores leave nothing in them", "[threads]") {
  std::vector<Store> stores;
  for (int i = 0; i < 10; ++i) stores.push_back(must(Store::open({})));
  for (int wave = 0; wave < 5; ++wave) {
    together(20, [&](unsigned thread) {
      for (Store& store : stores) must(must(store.space("s")).put(std::to_string(thread), "v"));
    });
    if (wave != 2) continue;
    stores.erase(stores.begin() + 5, stores.end());
    stores.push_back(must(Store::open({})));
  }
  for (Store& store : stores) {
    CHECK(store.stats().threads <= 2);
    CHECK(must(store.space("s")).size() == 20);
  }
}

TEST_CASE("the thread after the last that a store takes is refused until others end", "[threads]") {
  if (k_thread_sanitizer) return;  // it cannot keep so many threads itself
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  must(space.put("k", "v"));  // this thread is one of them
  Crowd crowd;
  std::optional<std::string> said;
  const auto write = [&] { return outcome(space.put("k", "w")); };
  while (crowd.size() < k_threads_max + 10 && (said = crowd.add(write)) && *said == "ok") continue;
  if (!said) {
    WARN("this system has no room for " << k_threads_max << " threads; it refused number " << crowd.size() + 1);
    return;
  }
  CHECK(*said == "overloaded");
  // This thread, those that worked, and at most the log's own of other tests.
  CHECK(crowd.size() - 1 <= k_threads_max - 1);
  CHECK(crowd.size() - 1 >= k_threads_max - 3);
  CHECK(store.stats().threads <= k_threads_max);

  // Reads need a place too, and the message says what is full.
  CHECK(crowd.add([&] { return outcome(space.get("k")); }) == "overloaded");
  CHECK(crowd.add([&] { return outcome(space.scan().next()); }) == "overloaded");
  std::string why;
  CHECK(crowd.add([&] { return why = message(space.put("k", "x")), std::string(); }));
  CHECK_THAT(why, ContainsSubstring("thread") && ContainsSubstring(std::to_string(k_threads_max)));
  CHECK(must(space.get("k")) == "w");

  // Those that are in go on.
  must(space.put("k", "still"));
  crowd.let_go(100);
  for (int i = 0; i < 90; ++i) CHECK(crowd.add(write) == "ok");
  CHECK(must(space.get("k")) == "w");
}

TEST_CASE("a thread that ends while its writes are staged loses nothing", "[threads]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store", GENERATE(from_range(every_log_io())));
  options.write_interval = options.sync_interval = 10s;  // so that nothing is taken before they end
  constexpr unsigned k_threads = 50;
  Content before;
  Seq highest = 0;
  {
    Store store = must(Store::open(options));
    Space space = must(store.space("s"));
    for (int wave = 0; wave < 4; ++wave) {
      together(k_threads, [&](unsigned thread) {
        Space mine = space;
        must(mine.put(std::to_string(wave) + ":" + std::to_string(thread), sealed(thread, 50 + thread)));
        must(mine.add("counter", 1));
      });
    }
    before = content(space);
    for (const auto& [key, record] : before) highest = std::max(highest, record.seq);
    if (GENERATE(false, true)) {
      CHECK(must(store.sync()) >= highest);
      std::filesystem::copy(directory / "store", directory / "crashed");
      std::filesystem::permissions(directory / "crashed", std::filesystem::perms::owner_all);
      options.directory = directory / "crashed";
    }
  }
  Store store = must(Store::open(options));
  CHECK(difference(content(must(store.space("s"))), before) == "");
  CHECK(before.size() == 4 * k_threads + 1);
}

TEST_CASE("a thread's last writes are synced by a thread that never wrote", "[threads]") {
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  options.write_interval = options.sync_interval = 10s;
  Store store = must(Store::open(options));
  Space space = must(store.space("s"));
  Seq seq = 0;
  std::jthread([&] { seq = must(space.put("k", "v")); }).join();
  std::jthread([&] { must(store.wait_durable(seq)); }).join();
  CHECK(store.durable_seq() >= seq);
}
