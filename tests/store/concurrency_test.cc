// Eight threads on sixteen keys: what may happen to exactly one of them does,
// and a reader sees only what was stored, in order.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

constexpr unsigned k_threads = 8;
constexpr unsigned k_keys = 16;

std::string hot_key(std::uint64_t i) { return "hot" + std::to_string(i % k_keys); }

/// A space in memory or one with a log, which take different ways through a
/// write. Shards are few, so that the keys share buckets.
struct Place {
  explicit Place(bool logged) {
    Options options = logged ? small_store(directory / "store") : Options{};
    options.shards = 1;
    store = must(Store::open(options));
    space = must(store->space("s"));
  }
  TemporaryDirectory directory;
  std::optional<Store> store;
  std::optional<Space> space;
};

std::int64_t number_of(const Space& space, const std::string& key) {
  const auto record = held(space, key);
  std::int64_t number = 0;
  for (unsigned i = 0; record && i < 8; ++i) {
    number |= static_cast<std::int64_t>(static_cast<unsigned char>(record->value.at(i))) << (8 * i);
  }
  return number;
}

/// How often each of many things happened. Thread safety: *synchronized*.
template <std::size_t N>
struct Tally {
  std::array<std::atomic<unsigned>, N> times{};
  // relaxed: read after the counting threads were joined
  void count(std::size_t i) { times.at(i).fetch_add(1, std::memory_order_relaxed); }
  unsigned operator[](std::size_t i) const { return times.at(i).load(std::memory_order_relaxed); }
};

/// Counts a thread out, also when an expectation of it fails: others wait for that.
struct Leaving {
  std::atomic<unsigned>& present;
  ~Leaving() { --present; }
};

}  // namespace

TEST_CASE("counters that eight threads add to end at the exact sum", "[concurrency]") {
  Place place(GENERATE(false, true));
  const std::uint64_t rounds = scaled(200'000);
  std::array<std::atomic<std::int64_t>, k_keys> due{};
  together(k_threads, [&](unsigned thread) {
    Random random(seed() + thread);
    Space space = *place.space;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const std::uint64_t key = random.below(k_keys);
      const auto delta = static_cast<std::int64_t>(random.below(2'001)) - 1'000;
      must(space.add(hot_key(key), delta));
      due.at(key).fetch_add(delta, std::memory_order_relaxed);  // read after the threads were joined
    }
  });
  for (unsigned key = 0; key < k_keys; ++key) {
    CHECK(number_of(*place.space, hot_key(key)) == due.at(key).load());
  }
}

TEST_CASE("every sum that add returns is returned once", "[concurrency]") {
  Place place(GENERATE(false, true));
  constexpr std::size_t k_sums = 40'000;
  Tally<k_threads * k_sums + 1> returned;
  const std::uint64_t rounds = scaled(k_sums);
  together(k_threads, [&](unsigned) {
    Space space = *place.space;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      returned.count(static_cast<std::size_t>(must(space.add("counter", 1))));
    }
  });
  bool once = true;
  for (std::size_t sum = 1; sum <= k_threads * rounds; ++sum) once = once && returned[sum] == 1;
  CHECK(once);
}

TEST_CASE("updates by eight threads are all applied, one after the other", "[concurrency]") {
  Place place(GENERATE(false, true));
  const std::uint64_t rounds = scaled(100'000);
  const auto increment = [](std::optional<std::string_view> old) {
    return std::optional(std::to_string(old ? std::stoull(std::string(*old)) + 1 : 1));
  };
  together(k_threads, [&](unsigned) {
    Space space = *place.space;
    Seq last = 0;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      // All threads go through the keys together, so that they meet.
      const Seq seq = must(space.update(hot_key(i), increment));
      expect(seq > last, "a thread's own updates are not numbered upwards");
      last = seq;
    }
  });
  std::uint64_t sum = 0;
  for (unsigned key = 0; key < k_keys; ++key) {
    if (const auto value = must(place.space->get(hot_key(key)))) sum += std::stoull(*value);
  }
  CHECK(sum == k_threads * rounds);
}

TEST_CASE("compare_and_set has one winner a round, and the winner's value stays", "[concurrency]") {
  Place place(GENERATE(false, true));
  constexpr std::size_t k_rounds_max = 10'000;
  const std::size_t rounds = scaled(k_rounds_max);
  Tally<k_rounds_max> winners;
  std::array<std::atomic<unsigned>, k_rounds_max> winner{};
  std::atomic<unsigned> wrong{0};
  std::barrier round_ends(k_threads);
  std::atomic<bool> failed{false};
  // A round for each key at a time, so that the threads wait for each other less.
  together(k_threads, [&](unsigned thread) {
    Space space = *place.space;
    for (std::size_t first = 0; first < rounds; first += k_keys) {
      const std::size_t end = std::min(first + k_keys, rounds);
      std::array<Seq, k_keys> seen{};
      for (std::size_t round = first; round < end; ++round) {
        if (!space.visit(hot_key(round), [&](const Entry& entry) { seen.at(round - first) = entry.seq; }))
          failed = true;
      }
      round_ends.arrive_and_wait();
      for (std::size_t round = first; round < end; ++round) {
        const Result<bool> won = space.compare_and_set(hot_key(round), seen.at(round - first), std::to_string(thread));
        if (!won) failed = true;
        if (!won || !*won) continue;
        winners.count(round);
        winner.at(round) = thread;
      }
      round_ends.arrive_and_wait();
      for (std::size_t round = first; round < end; ++round) {
        const Result<std::optional<std::string>> stored = space.get(hot_key(round));
        if (!stored || *stored != std::to_string(winner.at(round))) wrong.fetch_add(1);
      }
      round_ends.arrive_and_wait();
    }
  });
  CHECK_FALSE(failed);
  CHECK(wrong == 0);
  std::size_t with_one = 0;
  for (std::size_t round = 0; round < rounds; ++round) with_one += winners[round] == 1;
  CHECK(with_one == rounds);
}

TEST_CASE("put_if_absent stores one thread's value and says so to that thread only", "[concurrency]") {
  Place place(GENERATE(false, true));
  constexpr std::size_t k_contested_max = 100'000;
  const std::size_t contested = scaled(k_contested_max);
  Tally<k_contested_max> stored;
  std::array<std::atomic<unsigned>, k_contested_max> winner{};
  together(k_threads, [&](unsigned thread) {
    Space space = *place.space;
    for (std::size_t i = 0; i < contested; ++i) {
      if (!must(space.put_if_absent(std::to_string(i), std::to_string(thread)))) continue;
      stored.count(i);
      winner.at(i) = thread;
    }
  });
  std::size_t right = 0;
  for (std::size_t i = 0; i < contested; ++i) {
    right += stored[i] == 1 && must(place.space->get(std::to_string(i))) == std::to_string(winner.at(i));
  }
  CHECK(right == contested);
  CHECK(place.space->size() == contested);
}

TEST_CASE("take and erase give each value to exactly one", "[concurrency]") {
  Place place(GENERATE(false, true));
  constexpr std::size_t k_values_max = 100'000;
  const std::size_t values = scaled(k_values_max);
  const bool erase_too = GENERATE(false, true);
  Tally<k_values_max> taken;
  Tally<1> erased;
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> gone{0};
  std::atomic<bool> failed{false};
  together(k_threads, [&](unsigned thread) {
    Space space = *place.space;
    Random random(seed() + thread);
    while (gone < values && !failed) {
      const std::string key = hot_key(random());
      if (thread < k_threads / 2) {
        // A value is put only where there is none, so none is overwritten.
        const std::size_t value = next.fetch_add(1);
        if (value >= values) return;
        Result<bool> put = false;
        while (put && !*put && !failed) {
          put = space.put_if_absent(hot_key(random()), std::to_string(value));
          if (put && !*put) std::this_thread::yield();
        }
        if (!put) failed = true;
      } else if (erase_too && random.one_in(4)) {
        const Result<bool> done = space.erase(key);
        if (!done) failed = true;
        if (done && *done) erased.count(0), ++gone;
      } else {
        const auto value = space.take(key);
        if (!value) failed = true;
        if (value && *value) taken.count(std::stoull(**value)), ++gone;
        if (value && !*value) std::this_thread::yield();
      }
    }
  });
  CHECK_FALSE(failed);
  std::size_t once = 0;
  std::size_t twice = 0;
  for (std::size_t i = 0; i < values; ++i) {
    once += taken[i] == 1;
    twice += taken[i] > 1;
  }
  CHECK(twice == 0);
  CHECK(once + erased[0] == values);
  CHECK(place.space->size() == 0);
}

TEST_CASE("readers see whole values only, and a key's numbers never go back", "[concurrency]") {
  Place place(GENERATE(false, true));
  const std::uint64_t writes = scaled(200'000);
  constexpr unsigned k_writers = 4;
  std::atomic<unsigned> writing{k_writers};
  together(k_threads, [&](unsigned thread) {
    Space space = *place.space;
    Random random(seed() + thread);
    if (thread < k_writers) {
      const Leaving leaving{writing};
      for (std::uint64_t i = 0; i < writes; ++i) {
        const std::string key = hot_key(random());
        const std::string value = sealed(random(), 8 + random.skewed(2'000));
        if (random.one_in(8))
          must(space.erase(key));
        else if (random.one_in(4))
          must(space.update(key, [&](auto) { return std::optional(value); }));
        else
          must(space.put(key, value));
      }
      return;
    }
    std::array<Seq, k_keys> seen{};
    std::array<std::uint64_t, k_keys> number{};
    std::string value;
    while (writing != 0) {
      const std::uint64_t key = random.below(k_keys);
      if (random.one_in(3)) {
        if (must(space.get(hot_key(key), value))) expect(unseal(value).has_value(), "get gave a torn value");
        continue;
      }
      must(space.visit(hot_key(key), [&](const Entry& entry) {
        const auto found = unseal(entry.value);
        expect(found.has_value(), "visit showed a torn value");
        expect(entry.key == hot_key(key), "visit showed another key");
        expect(entry.seq >= seen.at(key), "a key's number went back");
        expect(entry.seq > seen.at(key) || *found == number.at(key), "one number, two values");
        seen.at(key) = entry.seq;
        number.at(key) = *found;
      }));
    }
  });
}

TEST_CASE("a batch and single writes to its keys agree on which came last", "[concurrency]") {
  Place place(GENERATE(false, true));
  const std::uint64_t rounds = scaled(30'000);
  std::array<std::array<std::atomic<Seq>, k_keys>, k_threads> last{};
  together(k_threads, [&](unsigned thread) {
    Space space = *place.space;
    Random random(seed() + thread);
    for (std::uint64_t i = 0; i < rounds; ++i) {
      if (thread % 2 == 0) {
        const std::uint64_t key = random.below(k_keys);
        last.at(thread).at(key) = must(space.put(hot_key(key), std::to_string(thread)));
        continue;
      }
      Batch batch;
      const std::uint64_t from = random.below(k_keys);
      for (std::uint64_t key = from; key < from + 5; ++key)
        must(batch.put(space, hot_key(key), std::to_string(thread)));
      const Seq seq = must(place.store->write(batch));
      for (std::uint64_t key = from; key < from + 5; ++key) last.at(thread).at(key % k_keys) = seq;
    }
  });
  for (unsigned key = 0; key < k_keys; ++key) {
    Seq highest = 0;
    unsigned by = 0;
    for (unsigned thread = 0; thread < k_threads; ++thread) {
      if (last.at(thread).at(key) > highest) highest = last.at(thread).at(key), by = thread;
    }
    const auto record = held(*place.space, hot_key(key));
    REQUIRE(record);
    CHECK(record->seq == highest);
    CHECK(record->value == std::to_string(by));
  }
}
