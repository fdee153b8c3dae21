// What the process that a store lives in may be limited to or do: few
// descriptors, a file size limit, forks, signal handlers.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/temporary_directory.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

constexpr rlim_t k_kib = 1024;

bool limit(int resource, rlim_t to) {
  const rlimit limits{to, to};
  return setrlimit(static_cast<__rlimit_resource>(resource), &limits) == 0;
}

std::set<std::string> threads_now() {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    found.insert(entry.path().filename());
  return found;
}

/// The signals that a thread blocks, number n as bit n - 1.
std::uint64_t blocked_by(const std::string& thread) {
  std::ifstream status("/proc/self/task/" + thread + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:")) return std::stoull(line.substr(7), nullptr, 16);
  }
  return 0;
}

/// The nice value that a thread gets that asks for one.
int nice_granted(int wanted) {
  int granted = 0;
  std::jthread([&] {
    (void)setpriority(PRIO_PROCESS, 0, wanted);
    granted = getpriority(PRIO_PROCESS, 0);
  }).join();
  return granted;
}

}  // namespace

TEST_CASE("a log of many segments needs few descriptors, to write it and to read it back", "[host]") {
  const TemporaryDirectory directory;
  const int outcome = in_forked_child([&] {
    constexpr rlim_t k_descriptors = 48;
    if (!limit(RLIMIT_NOFILE, k_descriptors)) return 1;
    Options options = small_store(directory / "store");
    options.segment_bytes = 1024 * k_kib;
    {
      auto store = Store::open(options);
      if (!store) return 2;
      auto space = store->space("s");
      for (std::uint64_t i = 0; i < 100; ++i) {
        if (!space->put(std::to_string(i % 5), sealed(i, 900'000), i % 10 == 9 ? k_sync : WriteOptions{})) return 3;
      }
      if (store->stats().log.segments < 2 * k_descriptors) return 4;
      if (!store->close()) return 5;
    }
    auto store = Store::open(options);
    if (!store) return 6;
    auto space = store->space("s");
    for (std::uint64_t i = 95; i < 100; ++i) {
      if (must(space->get(std::to_string(i % 5))) != sealed(i, 900'000)) return 7;
    }
    return 0;
  });
  CHECK(outcome == 0);
}

TEST_CASE("a file size limit is an error and not the end of the process", "[host]") {
  const TemporaryDirectory directory;
  const int at_opening = in_forked_child([&] {
    if (!limit(RLIMIT_FSIZE, 512 * k_kib)) return 1;
    const auto store = Store::open(small_store(directory / "one"));
    return outcome(store) == "io_error" && !message(store).empty() ? 0 : 2;
  });
  CHECK(at_opening == 0);
  const int while_writing = in_forked_child([&] {
    Options options = small_store(directory / "two");
    options.segment_bytes = 1024 * k_kib;
    if (!limit(RLIMIT_FSIZE, 1536 * k_kib)) return 1;
    auto store = Store::open(options);
    if (!store) return 2;
    auto space = store->space("s");
    if (outcome(space->put("k", sealed(1, 100), k_sync)) != "ok") return 3;
    // Needs a segment of its own size.
    if (outcome(space->put("k", sealed(2, 2048 * k_kib), k_sync)) != "indeterminate") return 4;
    return outcome(space->put("k", "v")) == "read_only" ? 0 : 5;
  });
  CHECK(while_writing == 0);
  const Options large = small_store(directory / "three");
  const int in_a_checkpoint = in_forked_child([&] {
    Options options = large;
    options.segment_bytes = 1024 * k_kib;
    auto store = Store::open(options);
    if (!store) return 2;
    auto space = store->space("s");
    for (int i = 0; i < 20; ++i) {
      if (!space->put("k" + std::to_string(i), sealed(1, 100 * k_kib))) return 3;
    }
    if (!store->sync() || !limit(RLIMIT_FSIZE, 1536 * k_kib)) return 1;
    if (outcome(store->checkpoint()) != "io_error") return 4;
    if (store->stats().checkpoint.failure.empty()) return 5;
    return outcome(space->put("after", "v", k_sync)) == "ok" ? 0 : 6;
  });
  CHECK(in_a_checkpoint == 0);
  Store store = must(Store::open(large));
  CHECK(must(store.space("s")).size() == 21);
}

TEST_CASE("a forked child that ends leaves its parent's store alone, and does not hang", "[host]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory / "store")));
  Space space = must(store.space("s"));
  const Seq before = must(space.put("k", "before"));
  const int outcome = in_forked_child([&] {
    if (test::outcome(store.checkpoint()) != "closed") return 2;
    if (test::outcome(store.close()) != "closed") return 1;
    const Store ends_here(std::move(store));
    return 0;
  });
  CHECK(outcome == 0);
  const Seq after = must(space.put("k", "after", k_sync));
  CHECK(after > before);
  must(store.close());
  Store reopened = must(Store::open(small_store(directory / "store")));
  CHECK(must(must(reopened.space("s")).get("k")) == "after");
}

TEST_CASE("the log's thread takes no signal from the host's threads", "[host]") {
  const TemporaryDirectory directory;
  const std::set<std::string> before = threads_now();
  const std::uint64_t own = blocked_by(std::to_string(gettid()));
  Store store = must(Store::open(small_store(directory / "store")));
  unsigned started = 0;
  for (const std::string& thread : threads_now()) {
    if (before.contains(thread)) continue;
    ++started;
    const std::uint64_t blocked = blocked_by(thread);
    for (const int signal : {SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGXFSZ, SIGPROF}) {
      CHECK((blocked >> (signal - 1) & 1) == 1);
    }
  }
  CHECK(started >= 1);
  CHECK(blocked_by(std::to_string(gettid())) == own);
}

TEST_CASE("the log's thread has the priority that was asked for, where the process may have it", "[host]") {
  const TemporaryDirectory directory;
  const int own = getpriority(PRIO_PROCESS, 0);
  for (const int wanted : {-7, 0}) {
    Options options = small_store(directory / std::to_string(wanted));
    options.log_nice = wanted;
    const Store store = must(Store::open(options));
    const int due = wanted == 0 ? own : std::min(own, nice_granted(wanted));
    until("the log's thread has its priority", [&] { return store.stats().log.nice == due; });
  }
  CHECK(getpriority(PRIO_PROCESS, 0) == own);
}
