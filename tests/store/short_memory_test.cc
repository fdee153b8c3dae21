// Maintenance where memory is short: it neither makes it shorter nor gets stuck.

#include "store/access.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/forked.h"
#include "tests/support/seed.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

using namespace actable;
using namespace actable::test;

namespace {

constexpr unsigned k_shards = 4;
constexpr std::size_t k_mib = std::size_t{1} << 20;
constexpr std::uint64_t k_keys = 200'000;

std::string key_of(std::uint64_t i) { return "key" + std::to_string(i); }

/// As long as it lives the process gets no more than `bytes` of address space
/// beside what it has. The heap has some MiB ready: small blocks of the C++
/// library's are not what these tests are about.
class Limit {
 public:
  explicit Limit(std::size_t bytes) {
    fill_heap();
    getrlimit(RLIMIT_AS, &before_);
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit now = before_;
    now.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + bytes;
    set_ = setrlimit(RLIMIT_AS, &now) == 0;
  }
  ~Limit() { setrlimit(RLIMIT_AS, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

  [[nodiscard]] bool set() const noexcept { return set_; }

 private:
  void fill_heap() {
    std::vector<std::unique_ptr<char[]>> blocks;
    for (int i = 0; i < 64; ++i) blocks.push_back(std::make_unique<char[]>(k_mib / 16));
    // Above them, so that they stay.
    kept_ = std::make_unique<char[]>(64);
  }

  std::unique_ptr<char[]> kept_;
  rlimit before_{};
  bool set_ = false;
};

/// A store of which a third of the keys is left.
class Place {
 public:
  Place() {
    for (std::uint64_t i = 0; i < k_keys; ++i) must(space.put(key_of(i), std::string(100, 'v')));
    for (std::uint64_t i = 0; i < k_keys; ++i) {
      if (i % 3 != 0) must(space.erase(key_of(i)));
    }
    memory().advance();
  }
  /// Each shard's steps. False when one failed.
  bool step(unsigned times) {
    bool all = true;
    for (unsigned i = 0; i < times * k_shards; ++i) all = core().maintain(i % k_shards).has_value() && all;
    return all;
  }
  /// Puts keys that were erased, and some that were not. How many could not be.
  std::uint64_t put(std::uint64_t count) {
    std::uint64_t refused = 0;
    for (std::uint64_t i = 0; i < count; ++i) refused += space.put(key_of(next_++), std::string(100, 'w')) ? 0 : 1;
    return refused;
  }
  [[nodiscard]] store::StoreCore& core() { return store::Access::core(store); }
  [[nodiscard]] std::uint64_t compactions() { return store.stats().memory.compactions; }
  [[nodiscard]] bool compacting() { return store.stats().memory.compacting; }

  Store store = must(Store::open({.shards = k_shards, .retired_bytes = k_mib}));
  Space space = must(store.space("s"));

 private:
  [[nodiscard]] base::Epochs& memory() { return core().epochs(); }
  std::uint64_t next_ = 0;
};

}  // namespace

TEST_CASE("a compaction for which there is no memory is not begun, and keys can be written", "[short_memory]") {
  if (k_address_sanitizer || k_thread_sanitizer) return;  // They need address space without limit.
  enum Outcome { as_due, no_limit, refused, begun, step_failed, request_lost };
  const int outcome = in_forked_child([] {
    Place place;
    {
      const Limit limit(4 * k_mib);
      if (!limit.set()) return no_limit;
      place.core().ask_for_compaction();
      if (!place.step(500)) return step_failed;
      if (place.put(20'000) != 0) return refused;
      if (place.compacting() || place.compactions() != 0) return begun;
    }
    // When there is memory again it is done, without being asked for again.
    place.step(20'000);
    return place.compactions() == 1 && !place.compacting() ? as_due : request_lost;
  });
  CHECK(outcome == as_due);
}

TEST_CASE("a compaction that has begun ends, and keys can be written, without any more memory", "[short_memory]") {
  if (k_address_sanitizer || k_thread_sanitizer) return;
  enum Outcome { as_due, no_limit, not_begun, refused, step_failed, not_ended };
  const int outcome = in_forked_child([] {
    Place place;
    place.core().ask_for_compaction();
    place.step(1);
    if (!place.compacting()) return not_begun;
    const Limit limit(0);
    if (!limit.set()) return no_limit;
    for (int i = 0; i < 20'000 && place.compacting(); ++i) {
      if (!place.step(1)) return step_failed;
      if (i < 1'000 && place.put(10) != 0) return refused;
    }
    return place.compactions() == 1 ? as_due : not_ended;
  });
  CHECK(outcome == as_due);
}
