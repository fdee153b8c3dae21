#include "tests/store/kill_client.h"

#include "tests/store/vocabulary.h"
#include "tests/support/seed.h"
#include "tests/support/threads.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>

namespace actable::test::killing {
namespace {

void publish_durable(const Store& store, Life& life) {
  const Seq now = store.durable_seq();
  // relaxed: a number by itself, read after this process is gone
  Seq before = life.durable.load(std::memory_order_relaxed);
  while (before < now && !life.durable.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
  }
}

/// One thread of a life.
///
/// Thread safety: *confined* to that thread.
class Client {
 public:
  Client(Store& store, Life& life, unsigned thread, std::uint64_t life_number, const Work& work)
      : store_(store),
        life_(life),
        thread_(thread),
        first_nonce_(life_number << 32 | std::uint64_t{thread} << 24),
        work_(work),
        random_(work.seed ^ (std::uint64_t{thread} + 1) * 0x2545f4914f6cdd1dU),
        spaces_(spaces_in(store)) {}

  void write_all() {
    while (!over_ && entries_ < std::min(work_.writes, k_entries_max)) {
      if (work_.checkpoint_one_in != 0 && random_.one_in(work_.checkpoint_one_in)) checkpoint();
      step();
      if (entries_ % 8 == 0) publish_durable(store_, life_);
    }
  }

 private:
  void checkpoint() {
    const auto written = store_.checkpoint();
    const bool as_expected = written || (work_.expects && work_.expects(written.error()));
    if (!as_expected) fail_test(describe(written.error()));
  }

  void step() {
    const KeyId owned = owned_key(thread_, static_cast<unsigned>(random_.below(k_owned_keys)));
    const KeyId shared = shared_key(static_cast<unsigned>(random_.below(k_shared_keys)));
    const std::uint64_t kind = random_.below(1'000);
    if (kind < 350)
      put(owned);
    else if (kind < 450)
      put(shared);
    else if (kind < 500)
      update(shared);
    else if (kind < 550)
      update_away(shared);
    else if (kind < 600)
      update_away(owned);
    else if (kind < 670)
      erase(owned);
    else if (kind < 710)
      take(owned);
    else if (kind < 760)
      put_if_absent(owned);
    else if (kind < 810)
      compare_and_set(owned);
    else if (kind < 900)
      add();
    else if (kind < 995)
      batch(owned, shared);
    else if (thread_ == 0)
      drop();
  }

  Entry& begin(Verb verb, KeyId key) {
    Entry& entry = life_.entries[thread_][entries_];
    entry.verb = verb;
    entry.key = key;
    entry.nonce = first_nonce_ + ++entries_;
    entry.synchronous = random_.one_in(work_.synchronous_one_in);
    return entry;
  }

  // release: whoever finds the step finds what the entry says of it. The killed
  // process cannot have stored in another order than it was written here.
  static void reach(Entry& entry, Progress progress) { entry.progress.store(progress, std::memory_order_release); }
  static void number(Entry& entry, Seq seq) {
    entry.seq = seq;
    reach(entry, seq == 0 ? Progress::refused : Progress::numbered);
  }
  /// What came back; empty for an error that was to be expected.
  template <class T>
  std::optional<T> came_of(Entry& entry, Result<T> result) {
    if (result) return *std::move(result);
    if (!work_.expects || !work_.expects(result.error())) fail_test(describe(result.error()));
    if (result.error().refused())
      reach(entry, Progress::refused);
    else
      over_ = true;
    return std::nullopt;
  }
  void numbered(Entry& entry, Result<Seq> result) {
    if (const auto seq = came_of(entry, std::move(result))) number(entry, *seq);
  }
  /// For writes of owned keys that say only whether they happened.
  void happened(Entry& entry, Result<bool> result) {
    const auto did = came_of(entry, std::move(result));
    if (!did) return;
    reach(entry, *did ? Progress::done : Progress::refused);
    if (*did && entry.verb == Verb::put) number(entry, held(space(entry.key), name_of(entry.key)).value().seq);
  }

  [[nodiscard]] Space& space(KeyId key) { return spaces_[space_of(key)]; }
  [[nodiscard]] static std::string value(const Entry& entry) { return sealed(entry.nonce, value_bytes(entry.nonce)); }
  [[nodiscard]] static WriteOptions options(const Entry& entry) { return entry.synchronous ? k_sync : WriteOptions{}; }

  void put(KeyId key) {
    Entry& entry = begin(Verb::put, key);
    reach(entry, Progress::begun);
    numbered(entry, space(key).put(name_of(key), value(entry), options(entry)));
  }
  void update(KeyId key) {
    Entry& entry = begin(Verb::put, key);
    const auto replace = [&](auto) { return std::optional(value(entry)); };
    reach(entry, Progress::begun);
    numbered(entry, space(key).update(name_of(key), replace, options(entry)));
  }
  void update_away(KeyId key) {
    Entry& entry = begin(Verb::erase, key);
    const auto nothing = [](auto) { return std::optional<std::string>(); };
    reach(entry, Progress::begun);
    numbered(entry, space(key).update(name_of(key), nothing, options(entry)));
  }
  void erase(KeyId key) {
    Entry& entry = begin(Verb::erase, key);
    reach(entry, Progress::begun);
    happened(entry, space(key).erase(name_of(key), options(entry)));
  }
  void take(KeyId key) {
    Entry& entry = begin(Verb::erase, key);
    reach(entry, Progress::begun);
    const auto taken = came_of(entry, space(key).take(name_of(key), options(entry)));
    if (taken) happened(entry, taken->has_value());
  }
  void put_if_absent(KeyId key) {
    Entry& entry = begin(Verb::put, key);
    reach(entry, Progress::begun);
    happened(entry, space(key).put_if_absent(name_of(key), value(entry), options(entry)));
  }
  void compare_and_set(KeyId key) {
    const auto present = held(space(key), name_of(key));
    Entry& entry = begin(Verb::put, key);
    reach(entry, Progress::begun);
    const Seq expected = present ? present->seq : 0;
    happened(entry, space(key).compare_and_set(name_of(key), expected, value(entry), options(entry)));
  }
  void add() {
    const KeyId key = counter_key(static_cast<unsigned>(random_.below(k_counters)));
    Entry& entry = begin(Verb::add, key);
    reach(entry, Progress::begun);
    const auto sum = came_of(entry, space(key).add(name_of(key), 1, options(entry)));
    if (!sum) return;
    entry.sum = *sum;
    reach(entry, Progress::done);
  }
  void batch(KeyId owned, KeyId shared) {
    Entry& entry = begin(Verb::batch, owned);
    entry.shared = shared;
    entry.erases = random_.one_in(4);
    Batch batch;
    for (unsigned i = 0; i < k_witness_keys; ++i) {
      const KeyId witness = witness_key(thread_, i);
      must(batch.put(space(witness), name_of(witness), value(entry)));
    }
    must(batch.put(space(shared), name_of(shared), value(entry)));
    must(entry.erases ? batch.erase(space(owned), name_of(owned))
                      : batch.put(space(owned), name_of(owned), value(entry)));
    reach(entry, Progress::begun);
    numbered(entry, store_.write(batch, options(entry)));
  }
  void drop() {
    Entry& entry = begin(Verb::drop, 0);
    const std::string name = doomed_space(entry.nonce);
    reach(entry, Progress::begun);
    auto doomed = came_of(entry, store_.space(name));
    if (!doomed || !came_of(entry, doomed->put("k", "v"))) return;
    const auto dropped = came_of(entry, store_.drop_space(name));
    if (!dropped) return;
    expect(*dropped, "a space just made is not there to drop");
    if (!came_of(entry, store_.sync())) return;
    entry.synchronous = true;
    reach(entry, Progress::done);
  }

  Store& store_;
  Life& life_;
  unsigned thread_;
  std::uint64_t first_nonce_;
  const Work work_;
  Random random_;
  std::array<Space, 2> spaces_;
  unsigned entries_ = 0;
  bool over_ = false;
};

}  // namespace

void live(Life& life, std::uint64_t number, const Work& work, const std::function<Result<Store>()>& open) {
  try {
    life.phase = Phase::opening;
    Store store = must(open());
    life.cut = store.stats().recovery.cut;
    life.last_seq = store.last_seq();
    life.phase = Phase::open;
    life.found = dump(store);
    life.phase = Phase::dumped;
    together(work.threads, [&](unsigned thread) { Client(store, life, thread, number, work).write_all(); });
    if (work.afterwards) {
      work.afterwards(store);
      publish_durable(store, life);
    }
    life.phase = Phase::wrote;
    if (!work.closes) {
      for (;;) ::pause();
    }
    const auto closed = store.close();
    if (!closed && (!work.expects || !work.expects(closed.error()))) fail_test(describe(closed.error()));
    publish_durable(store, life);
    life.phase = Phase::closed;
    for (;;) ::pause();
  } catch (const std::exception& failure) {
    std::strncpy(life.failure.data(), failure.what(), life.failure.size() - 1);
    life.phase = Phase::failed;
  }
}

}  // namespace actable::test::killing
