// Checkpoints: what a store holds is the same with one and without, and the log
// before it is let go of.

#include "checkpoint/file_writer.h"
#include "checkpoint/format.h"
#include "checkpoint/manifest.h"
#include "store/access.h"
#include "store/catalog.h"
#include "tests/store/lives.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/threads.h"
#include "tests/support/wait.h"
#include "wal/identity.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace actable;
using namespace actable::test;

namespace {

/// Puts, erases and overwrites keys.
void scribble(Space space, Random& random, int writes) {
  for (int i = 0; i < writes; ++i) {
    const std::string key = "key" + std::to_string(random.below(2'000));
    if (random.one_in(4)) {
      (void)must(space.erase(key));
    } else {
      (void)must(space.put(key, sealed(random(), 8 + random.skewed(300))));
    }
  }
}

}  // namespace

TEST_CASE("a store opens from its checkpoint and what the log holds behind it", "[checkpoint]") {
  Random random(seed());
  Lives lives;
  Content before;
  for (int life = 0; life < 4; ++life) {
    INFO("life " << life);
    Store& store = life % 2 == 0 ? lives.reopen() : lives.kill();
    Space space = must(store.space("s"));
    CHECK(difference(content(space), before) == "");
    scribble(space, random, 5'000);
    must(store.checkpoint());
    const StoreStats stats = store.stats();
    CHECK(stats.checkpoint.passes == 1);
    CHECK_FALSE(stats.checkpoint.running);
    CHECK(stats.checkpoint.records == space.size() + 1);  // And the catalog's.
    scribble(space, random, 3'000);
    before = content(space);
    must(store.sync());
  }
  Store& store = lives.reopen();
  CHECK(difference(content(must(store.space("s"))), before) == "");
  CHECK(store.stats().recovery.checkpoint_records != 0);
}

TEST_CASE("what was erased before a checkpoint stays erased behind it", "[checkpoint]") {
  Lives lives;
  {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    must(space.put("gone", "1"));
    must(space.put("stays", "2"));
    must(space.put("gone later", "3"));
    CHECK(must(space.erase("gone")));
    must(store.checkpoint());
    CHECK(must(space.erase("gone later")));
  }
  // The log's first segment, which holds all of this, is still there.
  for (int life = 0; life < 3; ++life) {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    CHECK(must(space.get("gone")) == std::nullopt);
    CHECK(must(space.get("gone later")) == std::nullopt);
    CHECK(must(space.get("stays")) == "2");
    if (life == 0) must(store.checkpoint());
  }
}

TEST_CASE("what was erased stays erased where only the erasure's part of the log is let go of", "[checkpoint]") {
  Lives lives;
  Options options = simulated_options();
  // What is staged stays so until somebody asks for it, or its buffer is full.
  options.write_interval = options.sync_interval = std::chrono::seconds(10);
  Store& store = lives.reopen(options);
  Space space = must(store.space("s"));
  must(store.sync());
  must(space.put("gone", "1"));
  const std::uint64_t written = store.stats().log.written_bytes;
  // Of a later number, and earlier in the log: in segments that it fills.
  std::jthread([&] {
    CHECK(must(space.erase("gone")));
    // So many buffers that the log's thread is woken for them.
    for (int i = 0; i < 72; ++i) must(space.put("long", std::string(50'000, 'v')));
  }).join();
  until("what the other wrote is on its way",
        [&] { return store.stats().log.written_bytes >= written + 2 * options.segment_bytes; });
  // A checkpoint that begins before the log's thread has told how far it is lets go of less.
  until("its segments are let go of", [&] {
    must(store.checkpoint());
    must(store.sync());
    return store.stats().log.live_bytes < 2 * options.segment_bytes;
  });
  Space found = must(lives.kill().space("s"));
  CHECK(must(found.get("gone")) == std::nullopt);
  CHECK(must(found.get("long")));
}

TEST_CASE("spaces that are made, dropped and memory-only come out of a checkpoint as they are", "[checkpoint]") {
  Lives lives;
  {
    Store& store = lives.reopen();
    must(must(store.space("kept")).put("a", "1"));
    must(must(store.space("dropped")).put("a", "1"));
    must(must(store.space("dropped later")).put("a", "1"));
    must(must(store.space("memory", {.logged = false})).put("a", "1"));
    CHECK(must(store.drop_space("dropped")));
    must(store.checkpoint());
    CHECK(must(store.drop_space("dropped later")));
    must(must(store.space("made later")).put("b", "2"));
    must(must(store.space("dropped")).put("b", "2"));
  }
  for (int life = 0; life < 2; ++life) {
    Store& store = lives.reopen();
    CHECK(store.spaces() == std::vector<std::string>{"dropped", "kept", "made later"});
    CHECK(must(must(store.space("kept")).get("a")) == "1");
    CHECK(must(must(store.space("made later")).get("b")) == "2");
    CHECK(must(must(store.space("dropped")).get("a")) == std::nullopt);
    CHECK(must(must(store.space("dropped")).get("b")) == "2");
    must(store.checkpoint());
  }
}

TEST_CASE("a large store is written in parts, each of which replaces its own", "[checkpoint]") {
  Lives lives;
  Content before;
  {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    Random random(seed());
    must(store.checkpoint());
    CHECK(lives.files("ckpt-") == 1);
    // 40 MB.
    for (int i = 0; i < 400; ++i) must(space.put("key" + std::to_string(i), sealed(random(), 100'000)));
    must(store.checkpoint());
    CHECK(lives.files("ckpt-") == 4);
    CHECK(store.stats().checkpoint.serial == 5);
    before = content(space);
  }
  Store& store = lives.reopen();
  CHECK(difference(content(must(store.space("s"))), before) == "");
  CHECK(store.stats().recovery.records_applied == 0);
}

TEST_CASE("a checkpoint that is cancelled half-way leaves a store that opens", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  Space space = must(store.space("s"));
  for (int i = 0; i < 400; ++i) must(space.put("key" + std::to_string(i), std::string(100'000, 'v')));
  must(store.sync());
  store::StoreCore& core = store::Access::core(store);
  const std::uint64_t pass = core.checkpointer().ask();
  // Until the first of the parts has been published.
  while (store.stats().checkpoint.serial == 0) (void)must(core.step_checkpoint());
  (void)must(core.step_checkpoint());
  store.cancel_checkpoint();
  CHECK(outcome(core.step_checkpoint()) == "closed");
  CHECK(core.checkpointer().ended() == pass);
  CHECK(outcome(core.checkpointer().outcome()) == "closed");
  CHECK(store.stats().checkpoint.failures == 1);
  CHECK(lives.files("ckpt-") == 1);

  must(space.erase("key7"));
  Store& again = lives.reopen();
  CHECK(must(again.space("s")).size() == 399);
  must(again.checkpoint());
  CHECK(lives.files("ckpt-") == 4);
}

TEST_CASE("closing ends a checkpoint that is being written", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  must(must(store.space("s")).put("a", "1"));
  store::StoreCore& core = store::Access::core(store);
  (void)core.checkpointer().ask();
  while (lives.files("ckpt-") == 0) (void)core.step_checkpoint();
  must(store.close());
  CHECK(lives.files("ckpt-") == 0);
  CHECK(outcome(store.checkpoint()) == "closed");
  CHECK(must(must(lives.reopen().space("s")).get("a")) == "1");
}

TEST_CASE("what the log holds below a checkpoint's cut is not applied", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  must(must(store.space("below")).put("a", "1"));
  const Seq cut = must(store.sync()) + 1;
  must(must(store.space("above")).put("a", "1"));
  must(store.close());
  // A checkpoint that says: at the cut there was nothing. So what is left of writes below
  // it in the log was undone by others, of which nothing is left.
  const auto identity = must(wal::read_identity(lives.disk(), "/simulated"));
  checkpoint::Manifest manifest{.store_id = identity->store_id, .hash_seed = identity->hash_seed, .next_space_id = 9};
  for (checkpoint::Group& group : manifest.groups) group.cut = cut;
  REQUIRE_FALSE(checkpoint::write_manifest(lives.disk(), "/simulated", manifest).error);
  Store& again = lives.kill();
  CHECK(again.spaces() == std::vector<std::string>{"above"});
  CHECK(must(must(again.space("above")).get("a")) == "1");
  CHECK(again.last_seq() >= cut);
}

TEST_CASE("a store that lost its checkpoint, or got another's, is refused", "[checkpoint]") {
  Lives lives;
  {
    Store& store = lives.reopen();
    Space space = must(store.space("s"));
    must(space.put("a", "1"));
    must(store.checkpoint());
    const std::string large(400'000, 'v');
    for (int i = 0; i < 8; ++i) must(space.put("large", large));
    // Written, so that the checkpoint knows the frames.
    must(store.sync());
    must(store.checkpoint());
    until("the log has let go", [&] { return store.stats().log.segments <= 2; });
    must(store.close());
  }
  const auto killed = lives.disk().killed();
  const std::vector<std::byte> manifest = killed->bytes(checkpoint::k_manifest_file);
  const auto refused = [&](const std::string& why) {
    const auto opened = store::Access::open(simulated_options(), *killed);
    INFO(why);
    CHECK(outcome(opened) == "corrupt");
    CHECK_THAT(message(opened), ContainsSubstring(why));
  };
  killed->drop(checkpoint::k_manifest_file);
  refused("CHECKPOINT: offset 0: the file is missing");
  auto damaged = manifest;
  damaged[40] ^= std::byte{1};
  killed->put(checkpoint::k_manifest_file, damaged);
  refused("CHECKPOINT: checksum does not match");
  killed->put(checkpoint::k_manifest_file, manifest);
  const auto names = killed->names();
  const std::string part = *std::ranges::find_if(names, [](const auto& n) { return n.starts_with("ckpt-"); });
  const std::vector<std::byte> bytes = killed->bytes(part);
  killed->drop(part);
  refused(part + ": offset 0: the file is missing, and the checkpoint names it");
  killed->put(part, bytes);
  CHECK(outcome(store::Access::open(simulated_options(), *killed)) == "ok");
}

TEST_CASE("a checkpoint that no store writes is refused", "[checkpoint]") {
  Lives lives;
  must(must(lives.reopen().space("s")).put("a", "1"));
  must(lives.reopen().close());
  const auto identity = must(wal::read_identity(lives.disk(), "/simulated"));
  const checkpoint::Manifest empty{
      .store_id = identity->store_id, .hash_seed = identity->hash_seed, .next_space_id = 9};
  const auto refused = [&](const checkpoint::Manifest& manifest, const std::string& why) {
    const auto disk = lives.disk().killed();
    REQUIRE_FALSE(checkpoint::write_manifest(*disk, "/simulated", manifest).error);
    const auto opened = store::Access::open(simulated_options(), *disk);
    INFO(why);
    CHECK(outcome(opened) == "corrupt");
    CHECK_THAT(message(opened), ContainsSubstring(why));
  };
  // Further on than any log behind it.
  checkpoint::Manifest manifest = empty;
  manifest.groups[3].cut = Seq{1} << 61;
  refused(manifest, "the log ends before what the checkpoint holds");
  manifest = empty;
  manifest.hash_seed ^= 1;
  refused(manifest, "CHECKPOINT: offset 0: the checkpoint is older than the log");

  // A space that has the catalog's number, one without one, and one of no space.
  const auto with_record = [&](std::uint32_t space, std::string_view value) {
    const auto disk = lives.disk().killed();
    const auto writer = must(checkpoint::FileWriter::create(*disk, "/simulated", 1, identity->store_id));
    std::vector<std::byte> record(checkpoint::record_bytes(4, value.size()));
    checkpoint::encode({5, space, "evil", value}, record.data());
    must(writer->append(record, 5));
    checkpoint::Manifest one = empty;
    one.files.push_back(must(writer->finish()));
    one.spaces = {{0, "", 1}};
    for (checkpoint::Group& group : one.groups) group.file = 1;
    REQUIRE_FALSE(checkpoint::write_manifest(*disk, "/simulated", one).error);
    const auto opened = store::Access::open(simulated_options(), *disk);
    CHECK(outcome(opened) == "corrupt");
    return message(opened);
  };
  CHECK_THAT(with_record(0, store::encode_space(0)), ContainsSubstring("a number that no space can have"));
  CHECK_THAT(with_record(0, "no number"), ContainsSubstring("in a way that this version cannot read"));
  CHECK_THAT(with_record(7, "value"), ContainsSubstring("a space that the checkpoint does not name"));
}

TEST_CASE("once a batch was torn for want of memory no checkpoint is written until reopening", "[checkpoint]") {
  Lives lives;
  Store& store = lives.reopen();
  must(must(store.space("s")).put("a", "1"));
  store::Access::core(store).checkpointer().forbid();
  CHECK(outcome(store.checkpoint()) == "no_memory");
  CHECK(lives.files("ckpt-") == 0);
  must(lives.reopen().checkpoint());
}

TEST_CASE("files that are left of a checkpoint go, and others' stay", "[checkpoint]") {
  Lives lives;
  must(must(lives.reopen().space("s")).put("a", "1"));
  must(lives.reopen().checkpoint());
  const std::vector<std::string> before = lives.disk().names();
  lives.disk().put("ckpt-00000050", {});
  lives.disk().put("ckpt-00000051", std::vector<std::byte>(10'000));
  lives.disk().put("ckpt-00000052", std::vector<std::byte>(10'000, std::byte{'x'}));
  lives.disk().put("ckpt-copy", {});
  Store& store = lives.reopen();
  std::vector<std::string> due = before;
  due.insert(due.end(), {"ckpt-00000052", "ckpt-copy"});
  std::ranges::sort(due);
  CHECK(lives.disk().names() == due);
  // Nor is a name that is taken used.
  must(must(store.space("s")).put("a", "2"));
  must(store.checkpoint());
  CHECK(lives.disk().bytes("ckpt-00000052") == std::vector<std::byte>(10'000, std::byte{'x'}));
}

TEST_CASE("a pure-memory store has no checkpoint") {
  Store store = must(Store::open({}));
  CHECK(outcome(store.checkpoint()) == "unsupported");
}

TEST_CASE("checkpoints beside writers lose nothing and bring nothing back", "[checkpoint]") {
  constexpr unsigned k_writers = 3;
  Lives lives;
  std::vector<std::map<std::string, std::string>> written(k_writers);
  Store* store = &lives.reopen();
  for (int life = 0; life < 3; ++life) {
    Space space = must(store->space("s"));
    std::atomic<unsigned> writing{k_writers};
    std::vector<std::jthread> threads;
    for (unsigned w = 0; w < k_writers; ++w) {
      threads.emplace_back([&, w] {
        Random random(seed() + w + 10 * static_cast<unsigned>(life));
        for (int i = 0; i < 6'000; ++i) {
          const std::string key = std::to_string(w) + "." + std::to_string(random.below(500));
          if (random.one_in(3)) {
            (void)must(space.erase(key));
            written[w].erase(key);
          } else {
            written[w][key] = sealed(random(), 20 + random.skewed(400));
            (void)must(space.put(key, written[w][key]));
          }
        }
        --writing;
      });
    }
    do must(store->checkpoint());
    while (writing != 0);
    threads.clear();
    CHECK(store->stats().checkpoint.passes > 0);
    must(store->sync());
    const Content before = content(space);
    store = &lives.kill();
    const Content found = content(must(store->space("s")));
    CHECK(difference(found, before) == "");
    std::size_t keys = 0;
    for (const auto& one : written) {
      keys += one.size();
      for (const auto& [key, value] : one) CHECK(found.at(key).value == value);
    }
    CHECK(found.size() == keys);
  }
}

namespace {

/// Writes a checkpoint and a backup, and opens both.
void check_without_direct_access(base::FileSystem& files, const std::filesystem::path& directory) {
  Random random(seed());
  Options options = simulated_options();
  options.directory = directory / "store";
  Content before;
  {
    Store store = must(store::Access::open(options, files));
    Space space = must(store.space("s"));
    scribble(space, random, 20'000);
    must(store.checkpoint());
    scribble(space, random, 1'000);
    before = content(space);
    must(store.backup(directory / "backup"));
    must(store.close());
  }
  for (const char* const name : {"store", "backup"}) {
    options.directory = directory / name;
    Store store = must(store::Access::open(options, files));
    CHECK(store.stats().recovery.checkpoint_records != 0);
    CHECK(difference(content(must(store.space("s"))), before) == "");
    must(store.close());
  }
}

}  // namespace

TEST_CASE("where files cannot be accessed directly checkpoints and backups are written and read", "[checkpoint]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  files.refuse_direct();
  check_without_direct_access(files, directory.path());
}

TEST_CASE("a file system in memory takes checkpoints and backups", "[checkpoint]") {
  const TemporaryDirectory name;
  const std::filesystem::path directory = std::filesystem::path("/dev/shm") / name.path().filename();
  if (!std::filesystem::is_directory("/dev/shm")) {
    WARN("no /dev/shm here");
    return;
  }
  struct Removed {
    const std::filesystem::path& directory;
    ~Removed() { std::filesystem::remove_all(directory); }
  } const removed{directory};
  std::filesystem::create_directory(directory);
  check_without_direct_access(base::posix_file_system(), directory);
}
