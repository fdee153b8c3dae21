// Backups: a copy of a store that is in use is an exact prefix of it; what is there is
// not copied again; and a copy that was broken off is never taken for a whole one.

#include "tests/store/backup_scene.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/threads.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <string>

using namespace actable;
using namespace actable::test;

namespace {

/// What the directory opens with, of a copy of it.
Opened opened_copy(const std::filesystem::path& directory, const TemporaryDirectory& scratch) {
  const std::filesystem::path copy = scratch / "copy";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(directory, copy, std::filesystem::copy_options::recursive);
  Store store = must(Store::open(small_store(copy)));
  Opened found{.content = content(must(store.space("s"))), .cut = store.stats().recovery.cut};
  must(store.close());
  return found;
}

std::size_t count_files(const SimulatedDisk& disk, std::string_view prefix) {
  const auto names = disk.names();
  return static_cast<std::size_t>(
      std::ranges::count_if(names, [prefix](const std::string& name) { return name.starts_with(prefix); }));
}

}  // namespace

TEST_CASE("a backup of a store that is being written to is an exact prefix, with all that had returned", "[backup]") {
  constexpr unsigned k_writers = 3;
  constexpr int k_backups = 12;
  for (const LogIo io : every_log_io()) {
    const TemporaryDirectory directory;
    Store store = must(Store::open(small_store(directory / "store", io)));
    Telling telling;
    std::atomic<bool> over{false};
    int made = 0;
    std::array<std::atomic<std::uint64_t>, k_writers> written{};
    const std::uint64_t first_seed = seed();
    together(k_writers + 2, [&](unsigned i) {
      if (i < k_writers) {
        Teller teller(store, telling, first_seed + i, "w" + std::to_string(i));
        for (; !over.load(); ++written[i]) teller.write();
      } else if (i == k_writers) {
        store::Access::core(store).checkpointer().set_part_bytes(100'000);
        while (!over.load()) must(store.checkpoint());
      } else {
        try {
          for (int nth = 0; nth < k_backups; ++nth) {
            // One in turn is incremental, of a directory that was left two backups ago.
            const std::filesystem::path to = directory / (nth % 2 == 0 ? "even" : "odd");
            const Seq returned = telling.last();
            const BackupStats stats = must(store.backup(to));
            expect(stats.cut > returned, "a backup lacks what had returned");
            const Opened found = opened_copy(to, directory);
            expect(found.cut == stats.cut, "a backup opens with another cut");
            // Writers tell a moment after the store has: two writes more, and none that was
            // under way then is.
            std::array<std::uint64_t, k_writers> then{};
            for (unsigned w = 0; w < k_writers; ++w) then[w] = written[w].load();
            for (unsigned w = 0; w < k_writers; ++w) {
              until("a writer has gone on", [&] { return written[w].load() >= then[w] + 2; });
            }
            const std::string wrong = difference(found.content, telling.below(stats.cut));
            expect(wrong.empty(), "backup " + std::to_string(nth) + ": " + wrong);
            ++made;
          }
        } catch (...) {
          over = true;
          throw;
        }
        over = true;
      }
    });
    must(store.close());
    CHECK(made == k_backups);
  }
}

TEST_CASE("a backup into an older one writes only what is new", "[backup]") {
  Scene scene;
  Store store = must(scene.open(k_store_path));
  Telling telling;
  Teller teller(store, telling, seed(), "w");
  const auto write_some = [&](int writes) {
    for (int i = 0; i < writes; ++i) teller.write();
  };
  const auto check = [&](const BackupStats& stats) {
    const Opened found = must(opened(image_of(scene.backup)));
    CHECK(found.cut == stats.cut);
    CHECK(difference(found.content, telling.below(stats.cut)) == "");
    CHECK(difference(found.content, content(must(store.space("s")))) == "");
  };
  write_some(2'000);
  must(store.sync());
  must(store.checkpoint());
  until_log_shortened(scene);
  write_some(500);

  const BackupStats first = must(store.backup(k_backup_path));
  CHECK(first.present_bytes == 0);
  CHECK(first.copied_bytes > 200'000);
  check(first);

  // At rest the log may have added frames without records.
  const BackupStats again = must(store.backup(k_backup_path));
  CHECK(again.present_bytes == first.copied_bytes);
  CHECK(again.copied_bytes < 50'000);
  check(again);

  write_some(200);
  const BackupStats more = must(store.backup(k_backup_path));
  CHECK(more.present_bytes == again.present_bytes + again.copied_bytes);
  CHECK(more.copied_bytes > 50'000);
  CHECK(more.copied_bytes < first.copied_bytes);
  check(more);

  // Of a new checkpoint everything is new; the files of the one before go.
  write_some(100);
  must(store.checkpoint());
  const BackupStats anew = must(store.backup(k_backup_path));
  CHECK(anew.copied_bytes >= store.stats().checkpoint.bytes);
  CHECK(count_files(scene.backup, "ckpt-") == count_files(scene.disk, "ckpt-"));
  check(anew);
}

TEST_CASE("a backup has checkpoints in parts, batches, dropped spaces and nothing that is in memory only", "[backup]") {
  Scene scene;
  Store store = must(scene.open(k_store_path));
  store::Access::core(store).checkpointer().set_part_bytes(2'000);
  Telling telling;
  Teller teller(store, telling, seed(), "w");
  must(must(store.space("unlogged", {.logged = false})).put("k", "v"));
  must(must(store.space("dropped")).put("k", "v"));
  for (int i = 0; i < 500; ++i) teller.write();
  must(store.checkpoint());
  CHECK(count_files(scene.disk, "ckpt-") > 4);
  CHECK(must(store.drop_space("dropped")));
  must(must(store.space("late")).put("k", std::string(300'000, 'v')));
  must(store.backup(k_backup_path));
  must(store.close());

  Store copy = must(scene.open(k_backup_path));
  CHECK(copy.spaces() == std::vector<std::string>{"late", "s"});
  CHECK(must(must(copy.space("late")).get("k")) == std::string(300'000, 'v'));
  CHECK(difference(content(must(copy.space("s"))), telling.below(~Seq{0})) == "");
}

TEST_CASE("what a backup copies stays while checkpoints replace it, and goes when the backup ends", "[backup]") {
  Scene scene;
  std::optional<Store> store;
  Telling telling;
  std::optional<Teller> teller;
  Seq before = 0;
  bool began = false;
  std::size_t most_files = 0;
  std::uint64_t most_segments = 0;
  // In the middle of the copying, on the thread that copies.
  scene.backup.watch([&](const DiskChange& change) {
    if (began || !change.name.starts_with("ckpt-")) return;
    began = true;
    for (int pass = 0; pass < 3; ++pass) {
      // Several segments' worth, so that those of before would be used again.
      for (int i = 0; i < 400; ++i) teller->write();
      must(store->checkpoint());
    }
    most_files = count_files(scene.disk, "ckpt-");
    must(store->sync());
    most_segments = store->stats().log.segments;
  });
  store = must(scene.open(k_store_path));
  teller.emplace(*store, telling, seed(), "w");
  for (int i = 0; i < 400; ++i) teller->write();
  must(store->checkpoint());
  for (int i = 0; i < 100; ++i) teller->write();
  before = telling.last();
  const std::size_t files_at_rest = count_files(scene.disk, "ckpt-");

  const BackupStats stats = must(store->backup(k_backup_path));
  CHECK(began);
  CHECK(most_files > files_at_rest);
  CHECK(count_files(scene.disk, "ckpt-") == files_at_rest);
  const Opened found = must(opened(image_of(scene.backup)));
  CHECK(stats.cut > before);
  CHECK(difference(found.content, telling.below(stats.cut)) == "");
  CHECK(difference(found.content, telling.below(before + 1)) == "");

  // The log, too, lets go of what was held: its segments are used again.
  CHECK(most_segments > 6);
  until("segments are let go of", [&] { return store->stats().log.segments < most_segments; });
  teller.reset();
  must(store->close());
  CHECK(difference(content(must(must(scene.open(k_store_path)).space("s"))), telling.below(~Seq{0})) == "");
}

TEST_CASE("two backups at the same time, into two directories, are both whole", "[backup]") {
  Scene scene;
  std::optional<Store> store;
  std::optional<BackupStats> inner;
  scene.backup.watch([&](const DiskChange& change) {
    if (inner || !change.name.starts_with("log-")) return;
    inner.emplace();
    inner = must(store->backup(k_other_path));
    must(store->checkpoint());
  });
  store = must(scene.open(k_store_path));
  Telling telling;
  Teller teller(*store, telling, seed(), "w");
  for (int i = 0; i < 300; ++i) teller.write();
  must(store->checkpoint());
  for (int i = 0; i < 100; ++i) teller.write();
  const BackupStats outer = must(store->backup(k_backup_path));
  REQUIRE(inner);
  for (const auto& [disk, stats] : {std::pair(&scene.backup, outer), std::pair(&scene.other, *inner)}) {
    const Opened found = must(opened(image_of(*disk)));
    CHECK(found.cut == stats.cut);
    CHECK(difference(found.content, telling.below(~Seq{0})) == "");
  }
}

TEST_CASE("opening makes a store of a backup, which is none from then on", "[backup]") {
  const TemporaryDirectory directory;
  Telling telling;
  Store store = must(Store::open(small_store(directory / "store")));
  Teller teller(store, telling, seed(), "w");
  for (int i = 0; i < 100; ++i) teller.write();
  must(store.backup(directory / "backup"));
  CHECK(std::filesystem::exists(directory / "backup" / "BACKUP"));
  {
    Store copy = must(Store::open(small_store(directory / "backup")));
    CHECK_FALSE(std::filesystem::exists(directory / "backup" / "BACKUP"));
    CHECK_FALSE(copy.stats().recovery.clean);
    // While it is open, and below once it is closed.
    CHECK(outcome(store.backup(directory / "backup")) == "invalid_argument");
    must(must(copy.space("s")).put("own", "life", k_sync));
    // A store like any other: its backups open, too.
    must(copy.checkpoint());
    must(copy.backup(directory / "second"));
    must(copy.close());
  }
  const auto refused = store.backup(directory / "backup");
  CHECK(outcome(refused) == "invalid_argument");
  CHECK(message(refused).find("a backup that was opened is a store of its own") != std::string::npos);
  for (const char* const name : {"backup", "second"}) {
    Store copy = must(Store::open(small_store(directory / name)));
    Content due = telling.below(~Seq{0});
    Content found = content(must(copy.space("s")));
    CHECK(found["own"].value == "life");
    found.erase("own");
    CHECK(difference(found, due) == "");
  }
  CHECK(difference(content(must(store.space("s"))), telling.below(~Seq{0})) == "");
}

TEST_CASE("a backup that does not open stays a backup", "[backup]") {
  Scene scene;
  Store store = must(scene.open(k_store_path));
  must(must(store.space("s")).put("k", "v"));
  must(store.checkpoint());
  must(store.backup(k_backup_path));
  std::vector<std::byte>& file = scene.backup.bytes("ckpt-00000001");
  file[70] ^= std::byte{1};
  CHECK(outcome(scene.open(k_backup_path)) == "corrupt");
  const auto names = scene.backup.names();
  CHECK(std::ranges::find(names, "BACKUP") != names.end());
}

TEST_CASE("a backup replaces what another life of the store had left there", "[backup]") {
  Scene scene;
  Store store = must(scene.open(k_store_path));
  must(must(store.space("s")).put("k", "common"));
  must(store.backup(k_backup_path));
  must(store.close());
  // Two lives that begin with the same backup have the same eras, generations and numbers.
  const SimulatedDisk::Image common = image_of(scene.backup);
  SimulatedDisk target;
  for (const char* const value : {"one", "two"}) {
    for (const bool with_checkpoint : {false, true}) {
      SimulatedDisk life(common);
      RoutedFiles files{{{k_store_path, &life}, {k_backup_path, &target}}};
      Store copy = must(store::Access::open_unchecked(scene_options(k_store_path), files));
      must(must(copy.space("s")).put("k", value, k_sync));
      if (with_checkpoint) must(copy.checkpoint());
      // So that the last frames, which have no records, are the same in both.
      must(must(copy.space("s")).put("l", "same", k_sync));
      must(copy.backup(k_backup_path));
      const Opened found = must(opened(image_of(target)));
      CHECK(found.content.at("k").value == value);
      CHECK(found.content.at("l").value == "same");
      must(copy.close());
    }
  }
}
