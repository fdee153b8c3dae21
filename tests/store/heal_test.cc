// A store whose log failed is healed: with a new checkpoint and a new log it takes
// writes again, and nothing that was to be seen is lost. Over both ways to the disk.

#include "checkpoint/manifest.h"
#include "store/access.h"
#include "tests/store/each_failure.h"
#include "tests/store/patient.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/threads.h"
#include "wal/identity.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace actable;
using namespace actable::test;

namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;

}  // namespace

TEST_CASE("a store that is healed takes writes again and has all that was to be seen", "[heal]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Options options = small_store(directory / "store", GENERATE(from_range(every_log_io())));
  options.segment_bytes = k_mib;
  options.staging_bytes = k_mib;
  std::mutex told_mutex;
  std::string told;
  options.log = [&](LogLevel level, std::string_view text) {
    const std::lock_guard lock(told_mutex);
    if (level == LogLevel::info) told = text;
  };
  const Failure failure = each_failure();
  CAPTURE(static_cast<int>(failure.call), static_cast<int>(failure.fault));
  Random random(seed());
  Content last;
  {
    Store store = must(store::Access::open(options, files));
    Space space = must(store.space("s"));
    Space memory = must(store.space("memory", {.logged = false}));
    for (std::uint64_t round = 1; round <= 3; ++round) {
      INFO("round " << round);
      scribble(store, random, 500);
      const Seq acknowledged = must(space.put("acknowledged", std::to_string(round), k_sync));
      put_and_fail(
          files, store, failure.call, [&] { files.fail_from(failure.call, 1, failure.fault); }, std::to_string(round));
      const Content before = content(space);

      // The disk is still bad.
      CHECK(outcome(store.heal()) == "io_error");
      CHECK(store.stats().read_only);
      CHECK(outcome(space.put("refused", "x")) == "read_only");
      must(memory.put("goes", "on"));
      CHECK(difference(content(space), before) == "");

      files.heal();
      const Healed healed = must(store.heal());
      CHECK(healed.began_anew);
      CHECK(healed.open_from > acknowledged);
      CHECK(healed.open_from <= before.at("in flight").seq);
      CHECK(healed.durable >= before.at("in flight").seq);
      // And the catalog's, and those of the spaces made below.
      CHECK(healed.records == before.size() + 1 + 2 * (round - 1));
      CHECK(healed.bytes > 0);
      const StoreStats stats = store.stats();
      CHECK_FALSE(stats.read_only);
      CHECK(stats.read_only_reason.empty());
      CHECK(stats.heals == round);
      CHECK(stats.durable_seq >= healed.durable);
      CHECK(outcome(store.wait_durable(before.at("in flight").seq)) == "ok");
      CHECK(difference(content(space), before) == "");
      {
        const std::lock_guard lock(told_mutex);
        CHECK_THAT(told, ContainsSubstring("takes writes again"));
        CHECK_THAT(told, ContainsSubstring(std::to_string(healed.open_from)));
      }

      CHECK(must(space.put("works", "again", k_sync)) > healed.durable);
      CHECK_FALSE(must(store.heal()).began_anew);
      CHECK(must(memory.get("goes")) == "on");
      last = content(space);
      must(must(store.space("made " + std::to_string(round))).put("a", "b"));
    }
    CHECK(outcome(store.close()) == "ok");
  }
  for (int life = 0; life < 2; ++life) {
    Store store = must(store::Access::open(options, files));
    CHECK(difference(content(must(store.space("s"))), last) == "");
    CHECK(store.spaces() == std::vector<std::string>{"made 1", "made 2", "made 3", "s"});
    CHECK(must(must(store.space("made 3")).get("a")) == "b");
    must(store.checkpoint());
  }
}

TEST_CASE("a disk that was full is healed once there is room", "[heal]") {
  Patient patient;
  Store& store = patient.store();
  Space space = must(store.space("s"));
  must(space.put("acknowledged", "1", k_sync));
  patient.files().cap_bytes_written(k_mib / 2);
  const std::string large(100'000, 'v');
  int written = 0;
  while (true) {
    const auto put = space.put("large" + std::to_string(written), large, k_sync);
    if (!put) break;
    ++written;
    expect(written < 100, "the disk does not run full");
  }
  const Content before = patient.content();
  CHECK(outcome(store.heal()) == "io_error");
  CHECK(store.stats().read_only);
  CHECK(patient.count("ckpt-") == 0);
  patient.files().heal();
  must(store.heal());
  CHECK(difference(patient.content(), before) == "");
  must(space.put("more", large, k_sync));
  const Content after = patient.content();
  CHECK(patient.count("log-") == 1);
  (void)patient.reopen();
  CHECK(difference(patient.content(), after) == "");
}

TEST_CASE("writers go on after a healing that they did not wait for", "[heal]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Options options = small_store(directory / "store");
  options.segment_bytes = k_mib;
  options.staging_bytes = k_mib;
  Random random(seed());
  constexpr unsigned k_writers = 4;
  constexpr unsigned k_heals = 5;
  std::array<std::map<std::string, Seq>, k_writers> acknowledged;
  Content last;
  {
    Store store = must(store::Access::open(options, files));
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> in_memory{0};
    std::atomic<std::uint64_t> logged{0};
    together(k_writers + 2, [&](unsigned thread) {
      if (thread == k_writers) {
        // Never refused.
        Space memory = must(store.space("memory", {.logged = false}));
        // relaxed: counts and a flag, nothing else hangs on them; here and below.
        while (!over.load(std::memory_order_relaxed)) {
          must(memory.put("key" + std::to_string(in_memory.load(std::memory_order_relaxed) % 100), "v"));
          in_memory.fetch_add(1, std::memory_order_relaxed);
        }
        return;
      }
      if (thread == k_writers + 1) {
        for (unsigned i = 0; i < k_heals; ++i) {
          const std::uint64_t so_far = logged.load(std::memory_order_relaxed);
          until("the writers write", [&] { return logged.load(std::memory_order_relaxed) > so_far + 200; });
          files.fail_nth(i % 2 == 0 ? Call::write : Call::sync, 1 + random.below(5));
          until("the log fails", [&] { return store.stats().read_only; });
          files.heal();
          expect(must(store.heal()).began_anew, "nothing was healed");
        }
        over.store(true, std::memory_order_relaxed);
        return;
      }
      Space space = must(store.space("s"));
      for (std::uint64_t i = 0; !over.load(std::memory_order_relaxed); ++i) {
        const std::string key = std::to_string(thread) + "key" + std::to_string(i % 1'000);
        const bool sync = i % 20 == 0;
        const bool large = i % 97 == 0;
        const auto put = space.put(key, sealed(i, large ? 100'000 : 100), sync ? k_sync : WriteOptions{});
        if (put) logged.fetch_add(1, std::memory_order_relaxed);
        if (put && sync) acknowledged.at(thread)[key] = *put;
        if (put) continue;
        const std::string why = outcome(put);
        expect(why == "read_only" || why == "indeterminate" || why == "overloaded", "a put failed otherwise: " + why);
      }
    });
    CHECK(store.stats().heals == k_heals);
    last = content(must(store.space("s")));
    CHECK(outcome(store.close()) == "ok");
  }
  Store store = must(store::Access::open(options, files));
  CHECK(difference(content(must(store.space("s"))), last) == "");
  std::size_t lost = 0;
  for (const auto& of : acknowledged) {
    for (const auto& [key, seq] : of) lost += !last.contains(key) || last.at(key).seq < seq;
  }
  CHECK(lost == 0);
}

TEST_CASE("healing ends a checkpoint that is being written, and later ones work", "[heal]") {
  Patient patient;
  Store& store = patient.store();
  Space space = must(store.space("s"));
  const std::string large(100'000, 'v');
  for (int i = 0; i < 400; ++i) must(space.put("key" + std::to_string(i), large));
  must(store.sync());
  store::StoreCore& core = store::Access::core(store);
  const std::uint64_t pass = core.checkpointer().ask();
  // Until the first of the parts has been published, and a bit of the next.
  while (store.stats().checkpoint.serial == 0) (void)must(core.step_checkpoint());
  (void)must(core.step_checkpoint());
  put_and_fail_once(patient.files(), store);
  const Content before = patient.content();
  must(store.heal());
  CHECK(core.checkpointer().ended() == pass);
  CHECK(outcome(core.checkpointer().outcome()) == "read_only");
  // One for 16 MiB or so.
  CHECK(patient.count("ckpt-") == 4);
  CHECK(patient.count("log-") == 1);
  {
    Patient next(patient.disk().killed());
    CHECK(difference(next.content(), before) == "");
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 50; ++i) must(space.put("more" + std::to_string(i), large));
    must(store.sync());
    must(store.checkpoint());
    until("the log has let go", [&] { return store.stats().log.segments <= 2; });
  }
  CHECK(patient.count("ckpt-") == 4);
  const Content after = patient.content();
  (void)patient.reopen();
  CHECK(difference(patient.content(), after) == "");
}

TEST_CASE("a new log counts though STORE names the old one, and no checkpoint of before goes with it", "[heal]") {
  Patient patient;
  Random random(seed());
  scribble(patient.store(), random, 300);
  must(patient.store().checkpoint());
  scribble(patient.store(), random, 300);
  put_and_fail_once(patient.files(), patient.store());
  const auto before = patient.disk().killed();
  must(patient.store().heal());
  must(must(patient.store().space("s")).put("later", "1", k_sync));
  const Content content = patient.content();
  must(patient.store().close());
  const auto identity = must(wal::read_identity(patient.disk(), k_simulated_directory));
  const auto manifest = must(checkpoint::read_manifest(patient.disk(), k_simulated_directory, identity->store_id));
  CHECK(identity->first_generation == manifest->log_generation);
  CHECK(identity->first_frame == manifest->log_first_frame);

  // As if it could not be written.
  const auto behind = patient.disk().killed();
  behind->put(wal::k_identity_file, before->bytes(wal::k_identity_file));
  for (int life = 0; life < 2; ++life) {
    Patient next(behind->killed());
    CHECK(difference(next.content(), content) == "");
    must(next.store().checkpoint());
    CHECK(difference(next.content(), content) == "");
    CHECK(difference(Patient(next.disk().killed()).content(), content) == "");
  }
  // An older checkpoint.
  const auto older = patient.disk().killed();
  older->put(checkpoint::k_manifest_file, before->bytes(checkpoint::k_manifest_file));
  Options options;
  options.directory = k_simulated_directory;
  const auto opened = store::Access::open(options, *older);
  CHECK(outcome(opened) == "corrupt");
  CHECK_THAT(message(opened), ContainsSubstring("the checkpoint is older than the log"));
  // None, and the old log's identity.
  behind->drop(checkpoint::k_manifest_file);
  CHECK(outcome(store::Access::open(options, *behind)) == "corrupt");
}

TEST_CASE("what cannot be healed says why", "[heal]") {
  {
    Store store = must(Store::open({}));
    CHECK(outcome(store.heal()) == "unsupported");
  }
  {
    Patient patient;
    must(must(patient.store().space("s")).put("a", "1"));
    must(patient.store().checkpoint());
    put_and_fail_once(patient.files(), patient.store());
    std::string inside;
    CHECK(must(
        must(patient.store().space("s")).visit("a", [&](const Entry&) { inside = outcome(patient.store().heal()); })));
    CHECK(inside == "invalid_argument");
    CHECK(patient.store().stats().read_only);

    store::Access::core(patient.store()).checkpointer().forbid();
    const auto torn = patient.store().heal();
    CHECK(outcome(torn) == "no_memory");
    CHECK_THAT(message(torn), ContainsSubstring("open the store again"));
    // What there was is as it was.
    CHECK(patient.count("ckpt-") == 1);
    CHECK(must(must(Patient(patient.disk().killed()).store().space("s")).get("a")) == "1");
    CHECK(outcome(patient.store().close()) == "indeterminate");
    CHECK(outcome(patient.store().heal()) == "closed");
  }
  {
    Patient patient;
    must(must(patient.store().space("s")).put("a", "1"));
    store::Access::core(patient.store()).refuse_writes("an actor crashed too often");
    const auto refused = patient.store().heal();
    CHECK(outcome(refused) == "read_only");
    CHECK_THAT(message(refused), ContainsSubstring("an actor crashed too often"));
  }
}
