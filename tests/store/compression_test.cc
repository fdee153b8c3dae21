// Checkpoints that are compressed: they hold what others hold, in less of the disk.

#include "checkpoint/format.h"
#include "store/access.h"
#include "store/checkpointer.h"
#include "tests/store/backup_scene.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/forked.h"
#include "tests/support/seed.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/temporary_directory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

using namespace actable;
using namespace actable::test;

namespace {

constexpr std::size_t k_mib = std::size_t{1} << 20;

Options options_with(CheckpointCompression compression) {
  Options options = scene_options(k_store_path);
  options.checkpoint_compression = compression;
  return options;
}

/// So many keys, with values of which zstd makes a tenth or so, and one in pieces.
void fill(Space space, int keys, std::size_t bytes = 1'000) {
  for (int i = 0; i < keys; ++i) {
    must(space.put("key" + std::to_string(i), std::to_string(i) + std::string(bytes, static_cast<char>('a' + i % 26))));
  }
  must(space.put("long", std::string(2 * k_mib, 'l')));
}

/// How many of the blocks of the checkpoint's files are compressed, and how many are not.
struct Kinds {
  int compressed = 0;
  int plain = 0;
};
Kinds kinds_of(SimulatedDisk& disk) {
  Kinds kinds;
  for (const std::string& name : disk.names()) {
    if (!name.starts_with(checkpoint::k_file_prefix)) continue;
    const auto& bytes = disk.bytes(name);
    for (std::size_t at = 0; at < bytes.size();) {
      const auto header = checkpoint::decode_block_header(std::span(bytes).subspan(at));
      REQUIRE(header);
      ++((header->flags & checkpoint::BlockHeader::k_compressed) != 0 ? kinds.compressed : kinds.plain);
      at += checkpoint::block_bytes(header->payload_bytes);
    }
  }
  return kinds;
}

}  // namespace

TEST_CASE("a compressed checkpoint is shorter, and opens whatever the option says then", "[checkpoint][compression]") {
  Scene scene;
  Content before;
  std::uint64_t plain_bytes = 0;
  for (const auto written : {CheckpointCompression::none, CheckpointCompression::zstd}) {
    Store store = must(store::Access::open_unchecked(options_with(written), scene.files));
    Space space = must(store.space("s"));
    if (written == CheckpointCompression::none) fill(space, 3'000);
    must(store.checkpoint());
    const Kinds kinds = kinds_of(scene.disk);
    if (written == CheckpointCompression::none) {
      CHECK(kinds.compressed == 0);
      plain_bytes = store.stats().checkpoint.bytes;
    } else {
      CHECK(kinds.compressed >= 4);
      CHECK(store.stats().checkpoint.bytes < plain_bytes / 4);
      CHECK(store.stats().checkpoint.written_bytes == store.stats().checkpoint.bytes);
    }
    // Some in the log behind it.
    must(space.erase("key1"));
    must(space.put("key2", "later"));
    before = content(space);
    must(store.close());
  }
  for (const auto read : {CheckpointCompression::zstd, CheckpointCompression::none}) {
    Store store = must(store::Access::open_unchecked(options_with(read), scene.files));
    CHECK(store.stats().recovery.checkpoint_records >= 3'000);
    CHECK(difference(content(must(store.space("s"))), before) == "");
    CHECK(kinds_of(scene.disk).compressed >= 4);
    must(store.close());
  }
  // What is replaced without it lies there without it.
  Store store = must(store::Access::open_unchecked(options_with(CheckpointCompression::none), scene.files));
  must(store.checkpoint());
  CHECK(kinds_of(scene.disk).compressed == 0);
  CHECK(store.stats().checkpoint.bytes > plain_bytes / 2);
}

TEST_CASE("damage in a compressed checkpoint is found, and the store is not opened", "[checkpoint][compression]") {
  Scene scene;
  {
    Store store = must(store::Access::open_unchecked(options_with(CheckpointCompression::zstd), scene.files));
    fill(must(store.space("s")), 3'000);
    must(store.checkpoint());
    must(store.close());
  }
  for (const std::string& name : scene.disk.names()) {
    if (!name.starts_with(checkpoint::k_file_prefix)) continue;
    const std::size_t second =
        checkpoint::block_bytes(checkpoint::decode_block_header(scene.disk.bytes(name))->payload_bytes);
    scene.disk.bytes(name).at(second + checkpoint::k_block_header_bytes + 10) ^= std::byte{4};
    const auto opened = store::Access::open_unchecked(options_with(CheckpointCompression::none), scene.files);
    CHECK(outcome(opened) == "corrupt");
    CHECK_THAT(message(opened), ContainsSubstring(name + ": offset " + std::to_string(second) + ": "));
    return;
  }
  FAIL("there is no file of a checkpoint");
}

TEST_CASE("a backup has a compressed checkpoint's files as they are, and only new ones later",
          "[backup][compression]") {
  Scene scene;
  Store store = must(store::Access::open_unchecked(options_with(CheckpointCompression::zstd), scene.files));
  Space space = must(store.space("s"));
  fill(space, 3'000);
  must(store.checkpoint());
  const auto check = [&] {
    int files = 0;
    for (const std::string& name : scene.disk.names()) {
      if (!name.starts_with(checkpoint::k_file_prefix)) continue;
      CHECK(scene.backup.bytes(name) == scene.disk.bytes(name));
      ++files;
    }
    CHECK(files >= 1);
    CHECK(difference(must(opened(image_of(scene.backup))).content, content(space)) == "");
  };
  must(store.backup(k_backup_path));
  check();
  must(space.put("key3", "later"));
  const BackupStats more = must(store.backup(k_backup_path));
  CHECK(more.present_bytes >= store.stats().checkpoint.bytes);
  check();
  must(store.checkpoint());
  CHECK(must(store.backup(k_backup_path)).copied_bytes >= store.stats().checkpoint.bytes);
  check();
}

TEST_CASE("a store is healed with a compressed checkpoint", "[heal][compression]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Options options = small_store(directory / "store");
  options.checkpoint_compression = CheckpointCompression::zstd;
  Content before;
  {
    Store store = must(store::Access::open(options, files));
    Space space = must(store.space("s"));
    fill(space, 3'000);
    must(store.sync());
    files.fail_from(Call::sync, 1);
    REQUIRE_FALSE(space.put("nudge", "n", k_sync));
    REQUIRE(outcome(space.put("more", "m")) == "read_only");
    files.heal();
    const Healed healed = must(store.heal());
    CHECK(healed.began_anew);
    CHECK(healed.bytes < k_mib);
    before = content(space);
    must(store.close());
  }
  Store store = must(Store::open(options));
  CHECK(difference(content(must(store.space("s"))), before) == "");
}

TEST_CASE("of a compressed checkpoint the limit counts what goes to the disk", "[checkpoint][compression]") {
  Options options = options_with(CheckpointCompression::zstd);
  options.checkpoint_bytes_per_second = k_mib;
  Scene scene;
  Store store = must(store::Access::open_unchecked(options, scene.files));
  fill(must(store.space("s")), 30'000);
  must(store.sync());
  const auto began = std::chrono::steady_clock::now();
  must(store.checkpoint());
  const auto took = std::chrono::steady_clock::now() - began;
  const CheckpointStats stats = store.stats().checkpoint;
  // Without it there would be 32 MB, which take half a minute.
  CHECK(stats.written_bytes < 3 * k_mib);
  CHECK(took < std::chrono::seconds(20));
  // And no faster than allowed, but for a burst and what is written last.
  CHECK(took >= std::chrono::duration<double>(static_cast<double>(stats.written_bytes) / k_mib / 2));
}

TEST_CASE("a checkpoint that finds no memory to compress with fails, and the next one does not",
          "[checkpoint][compression]") {
  if (k_address_sanitizer || k_thread_sanitizer) return;  // They need address space without limit.
  enum Outcome { as_due, no_limit, written, other_error, harmed, not_written };
  const TemporaryDirectory directory;
  const int outcome_of_child = in_forked_child([&]() -> int {
    Options options = small_store(directory / "store");
    options.checkpoint_compression = CheckpointCompression::zstd;
    options.checkpoint_compression_level = 19;
    Store store = must(Store::open(options));
    Space space = must(store.space("s"));
    fill(space, 4'000);
    const Content before = content(space);
    rlimit no{};
    getrlimit(RLIMIT_AS, &no);
    rlimit limit = no;
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    limit.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    if (setrlimit(RLIMIT_AS, &limit) != 0) return no_limit;
    // What the heap has at hand would do; it has several, and says no for one of them.
    void* volatile taken = nullptr;
    for (int refusals = 0; refusals < 1'000; refusals += taken == nullptr ? 1 : 0) taken = std::malloc(k_mib);
    // For blocks, and not for what this level takes.
    limit.rlim_cur += 10 * k_mib;
    if (setrlimit(RLIMIT_AS, &limit) != 0) return no_limit;
    const auto failed = store.checkpoint();
    setrlimit(RLIMIT_AS, &no);
    if (failed) return written;
    if (failed.error().code != ErrorCode::no_memory || !failed.error().message.contains("compress")) return other_error;
    if (!difference(content(space), before).empty()) return harmed;
    return store.checkpoint() && store.stats().checkpoint.records > 4'000 ? as_due : not_written;
  });
  CHECK(outcome_of_child == as_due);
}
