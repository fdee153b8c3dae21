// Backups that cannot be: what is asked for is refused with an error that says why, what
// fails or is broken off is told and can be gone on with, and the store is unharmed.

#include "store/backup.h"
#include "store/backup_record.h"
#include "tests/store/backup_scene.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"
#include "wal/log_copy.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <unistd.h>

using namespace actable;
using namespace actable::test;

namespace {

/// A store with a checkpoint, a log behind it, and a backup.
///
/// Thread safety: *confined*.
struct Disked {
  TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory / "store")));
  Telling telling;

  Disked() {
    Teller teller(store, telling, seed(), "w");
    for (int i = 0; i < 50; ++i) teller.write();
    must(store.checkpoint());
    for (int i = 0; i < 50; ++i) teller.write();
  }

  /// The call is refused with that code, says this, and has changed no directory.
  void refuses(const std::filesystem::path& to, std::string_view code, std::string_view says) {
    INFO(to);
    const auto before = tree();
    const auto made = store.backup(to);
    CHECK(outcome(made) == code);
    CHECK(message(made).find(says) != std::string::npos);
    CHECK(tree() == before);
  }

  [[nodiscard]] std::set<std::string> tree() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
      // Those of the store come and go.
      if (entry.path().parent_path() != directory / "store") names.insert(entry.path().string());
    }
    return names;
  }

  /// The store works, and so do its backups.
  void is_well() {
    must(must(store.space("s")).put("well", "1"));
    CHECK(must(must(store.space("s")).get("well")) == "1");
    must(store.backup(directory / "well"));
    Store copy = must(Store::open(small_store(directory / "well")));
    CHECK(difference(content(must(copy.space("s"))), content(must(store.space("s")))) == "");
  }
};

void write_file(const std::filesystem::path& path, std::string_view text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("a backup is refused into directories that are not for it", "[backup][bad]") {
  Disked at;
  const std::filesystem::path own = at.directory / "store";
  at.refuses("", "invalid_argument", "the path is empty");
  at.refuses(own, "invalid_argument", "is the store's own directory");
  at.refuses(own / "", "invalid_argument", "is the store's own directory");
  at.refuses(own / "." / ".." / "store", "invalid_argument", "is the store's own directory");
  at.refuses(own / "inside", "invalid_argument", "lies in the store's own directory");
  CHECK_FALSE(std::filesystem::exists(own / "inside"));
  at.refuses(own / "far" / "inside", "invalid_argument", "lies in the store's own directory");
  at.refuses(at.directory.path(), "invalid_argument", "has the store's own directory inside");
  std::filesystem::create_directory_symlink(own, at.directory / "link");
  at.refuses(at.directory / "link", "invalid_argument", "is the store's own directory");
  at.refuses(at.directory / "link" / "inside", "invalid_argument", "lies in the store's own directory");

  std::filesystem::create_directory(at.directory / "full");
  write_file(at.directory / "full" / "letter.txt", "dear");
  at.refuses(at.directory / "full", "invalid_argument", "is not empty, and holds no backup");
  write_file(at.directory / "file", "text");
  at.refuses(at.directory / "file", "invalid_argument", "is not a directory");
  at.refuses(at.directory / "missing" / "deep", "not_found", "make directory");
  std::filesystem::create_directory(at.directory / "open to all");
  std::filesystem::permissions(at.directory / "open to all", std::filesystem::perms::all);
  at.refuses(at.directory / "open to all", "invalid_argument", "any user may write");

  { const Store closed = must(Store::open(small_store(at.directory / "another"))); }
  at.refuses(at.directory / "another", "invalid_argument", "holds a store");
  {
    Store other = must(Store::open(small_store(at.directory / "another")));
    at.refuses(at.directory / "another", "invalid_argument", "holds a store");
    must(other.backup(at.directory / "backup of another"));
  }
  at.refuses(at.directory / "backup of another", "invalid_argument", "a backup of another store");
  at.is_well();
}

TEST_CASE("a backup is refused where the directory may not be written", "[backup][bad]") {
  // Root may write everywhere.
  if (::geteuid() == 0) return;
  Disked at;
  std::filesystem::create_directory(at.directory / "closed");
  std::filesystem::permissions(at.directory / "closed", std::filesystem::perms::owner_read);
  at.refuses(at.directory / "closed", "invalid_argument", "write in directory");
  std::filesystem::permissions(at.directory / "closed", std::filesystem::perms::owner_all);
  at.is_well();
}

TEST_CASE("a backup is refused where the record of the one before cannot be followed", "[backup][bad]") {
  Disked at;
  const std::filesystem::path to = at.directory / "backup";
  must(at.store.backup(to));
  base::FileSystem& files = base::posix_file_system();
  const store::BackupRecord record = *must(store::read_backup_record(files, to));
  store::BackupRecord newer = record;
  ++newer.format_version;
  must(store::write_backup_record(files, to, newer));
  at.refuses(to, "unsupported", "use a newer version");
  CHECK(outcome(Store::open(small_store(to))) == "unsupported");

  must(store::write_backup_record(files, to, record));
  const auto bytes = std::filesystem::file_size(to / "BACKUP");
  for (std::uintmax_t i = 0; i < bytes; ++i) {
    must(store::write_backup_record(files, to, record));
    std::fstream file(to / "BACKUP", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(i));
    const char byte = static_cast<char>(file.get() ^ 4);
    file.seekp(static_cast<std::streamoff>(i));
    file.put(byte);
    file.close();
    at.refuses(to, "corrupt", "BACKUP");
    CHECK(outcome(Store::open(small_store(to))) == "corrupt");
  }
  std::filesystem::resize_file(to / "BACKUP", 0);
  at.refuses(to, "corrupt", "empty the directory and make the backup anew");
  must(store::write_backup_record(files, to, record));
  must(at.store.backup(to));
  at.is_well();
}

TEST_CASE("a backup is refused into a directory that another one, or a store, has locked", "[backup][bad]") {
  Disked at;
  const std::filesystem::path to = at.directory / "backup";
  must(at.store.backup(to));
  {
    const auto lock = must(base::posix_file_system().lock(to));
    at.refuses(to, "locked", "(this one)");
  }
  must(at.store.backup(to));
  at.is_well();
}

TEST_CASE("a store without a directory, a closed one and one that was moved from have no backup", "[backup][bad]") {
  const TemporaryDirectory directory;
  Store memory = must(Store::open({}));
  CHECK(outcome(memory.backup(directory / "backup")) == "unsupported");
  Store store = must(Store::open(small_store(directory / "store")));
  must(store.close());
  CHECK(outcome(store.backup(directory / "backup")) == "closed");
  const Store other = std::move(store);
  CHECK(outcome(store.backup(directory / "backup")) == "closed");
  CHECK_FALSE(std::filesystem::exists(directory / "backup"));
}

TEST_CASE("a backup that finds the disk full is refused by open, and is gone on with when there is room",
          "[backup][bad]") {
  const TemporaryDirectory directory;
  FaultyFileSystem full;
  RoutedFiles files{{{directory / "store", &base::posix_file_system()}, {directory / "backup", &full}}};
  Store store = must(store::Access::open(small_store(directory / "store"), files));
  Telling telling;
  Teller teller(store, telling, seed(), "w");
  store::Access::core(store).checkpointer().set_part_bytes(100'000);
  for (int i = 0; i < 500; ++i) teller.write();
  must(store.checkpoint());
  for (int i = 0; i < 200; ++i) teller.write();

  full.cap_bytes_written(300'000);
  const auto made = store.backup(directory / "backup");
  CHECK(outcome(made) == "io_error");
  CHECK(message(made).find("is not finished: call Store::backup with it again") != std::string::npos);
  const auto refused = Store::open(small_store(directory / "backup"));
  CHECK(outcome(refused) == "corrupt");
  CHECK(message(refused).find("holds a backup that was not finished") != std::string::npos);
  teller.write();

  full.heal();
  const BackupStats stats = must(store.backup(directory / "backup"));
  // What was finished before is not written again.
  CHECK(stats.present_bytes > 0);
  CHECK(stats.copied_bytes > 0);
  Store copy = must(Store::open(small_store(directory / "backup")));
  CHECK(difference(content(must(copy.space("s"))), telling.below(~Seq{0})) == "");
}

TEST_CASE("of a store whose log has failed a backup has all that was durable", "[backup][bad]") {
  const TemporaryDirectory directory;
  FaultyFileSystem source;
  RoutedFiles files{{{directory / "store", &source}, {directory / "backup", &base::posix_file_system()}}};
  Store store = must(store::Access::open(small_store(directory / "store"), files));
  Telling telling;
  Teller teller(store, telling, seed(), "w");
  for (int i = 0; i < 100; ++i) teller.write();
  must(store.checkpoint());
  for (int i = 0; i < 100; ++i) teller.write();
  must(store.sync());
  const Seq durable = store.durable_seq();
  source.fail_from(Call::sync, 1);
  CHECK(outcome(must(store.space("s")).put("lost", "1", k_sync)) == "indeterminate");

  const BackupStats stats = must(store.backup(directory / "backup"));
  CHECK(stats.cut > telling.last());
  CHECK(stats.cut <= durable + 1);
  Store copy = must(Store::open(small_store(directory / "backup")));
  CHECK(difference(content(must(copy.space("s"))), telling.below(~Seq{0})) == "");
}

TEST_CASE("damage in the store's own files is found by a backup, which names it", "[backup][bad]") {
  Scene scene;
  Store store = must(scene.open(k_store_path));
  Space space = must(store.space("s"));
  must(space.put("k", std::string(5'000, 'v')));
  must(store.checkpoint());
  must(space.put("l", std::string(5'000, 'w'), k_sync));
  const auto damaged = [&](const std::string& file, std::size_t at) {
    INFO(file);
    scene.disk.bytes(file)[at] ^= std::byte{16};
    const auto made = store.backup(k_backup_path);
    CHECK(outcome(made) == "corrupt");
    CHECK(message(made).find("/simulated/" + file + ":") != std::string::npos);
    CHECK(message(made).find("offset ") != std::string::npos);
    CHECK(outcome(scene.open(k_backup_path)) == "corrupt");
    scene.disk.bytes(file)[at] ^= std::byte{16};
    must(space.put("m", "goes on", k_sync));
  };
  damaged("ckpt-00000001", 300);
  const std::vector<std::byte>& log = scene.disk.bytes("log-00000001");
  const auto in_record = std::ranges::search_n(log, 100, std::byte{'w'});
  REQUIRE_FALSE(in_record.empty());
  damaged("log-00000001", static_cast<std::size_t>(in_record.begin() - log.begin()));
  damaged("STORE", 30);
  const auto ckpt = scene.disk.bytes("ckpt-00000001");
  scene.disk.drop("ckpt-00000001");
  const auto missing = store.backup(k_other_path);
  CHECK(outcome(missing) == "corrupt");
  CHECK(message(missing).find("ckpt-00000001: offset 0: the file is missing") != std::string::npos);
  scene.disk.put("ckpt-00000001", ckpt);
  must(store.backup(k_backup_path));
  CHECK(must(opened(image_of(scene.backup))).content == content(space));
}

TEST_CASE("a file of the backup that is gone or has another length is copied again", "[backup][bad]") {
  Scene scene;
  Store store = must(scene.open(k_store_path));
  Telling telling;
  Teller teller(store, telling, seed(), "w");
  for (int i = 0; i < 2'000; ++i) teller.write();
  must(store.sync());
  must(store.checkpoint());
  until_log_shortened(scene);
  for (int i = 0; i < 200; ++i) teller.write();
  must(store.backup(k_backup_path));
  for (const std::string& name : scene.backup.names()) {
    if (!name.starts_with("ckpt-") && !name.starts_with("log-")) continue;
    INFO(name);
    const auto backup_again = [&] {
      const BackupStats stats = must(store.backup(k_backup_path));
      const Opened found = must(opened(image_of(scene.backup)));
      CHECK(found.cut == stats.cut);
      CHECK(difference(found.content, telling.below(~Seq{0})) == "");
    };
    scene.backup.bytes(name).resize(scene.backup.bytes(name).size() - 4'096);
    backup_again();
    scene.backup.drop(name);
    backup_again();
  }
}

TEST_CASE("after a crash at any change of its disk a backup is whole, or is refused and can be gone on with",
          "[backup][crash]") {
  constexpr std::array k_survivals{Survival::none, Survival::all, Survival::prefix, Survival::some, Survival::torn};
  Random random(seed());
  Scene scene;
  Store store = must(scene.open(k_store_path));
  store::Access::core(store).checkpointer().set_part_bytes(60'000);
  Telling telling;
  Teller teller(store, telling, seed() + 1, "w");
  const auto write_some = [&] {
    for (int i = 0; i < 60; ++i) teller.write();
  };
  write_some();
  must(store.checkpoint());
  write_some();

  // The first has an empty directory before it, the others an older backup: with the same
  // checkpoint and a shorter log, and with another checkpoint.
  SimulatedDisk::Image before;
  std::optional<Opened> old;
  std::size_t refused = 0;
  std::size_t whole = 0;
  for (int nth = 0; nth < 3; ++nth) {
    const Content due = content(must(store.space("s")));
    SimulatedDisk::Image after;
    for (std::uint64_t changes = 0;; ++changes) {
      INFO("backup " << nth << ", stopped after " << changes << " changes");
      SimulatedDisk disk(before);
      disk.stop_after(changes);
      RoutedFiles files{{{k_store_path, &scene.disk}, {k_backup_path, &disk}}};
      // On the same store, as it is open, another disk for the backup.
      const auto made =
          store::Backup(store::Access::core(store), files, *store::Access::core(store).find_log(), k_backup_path).run();
      if (made) {
        after = image_of(disk);
        CHECK(must(opened(after)).content == due);
        break;
      }
      CHECK(outcome(made) == "io_error");
      for (const Survival survival : k_survivals) {
        const SimulatedDisk::Image left = disk.image(survival, random);
        const auto found = opened(left);
        if (found) {
          ++whole;
          // What was there before, or nothing at all, or the new one.
          const bool is_old = old ? found->cut == old->cut && found->content == old->content : found->content.empty();
          const bool is_new = found->content == due;
          CHECK((is_old || is_new));
          if (!left.contains("BACKUP")) CHECK_FALSE(left.contains("STORE"));
        } else {
          ++refused;
          CHECK(outcome(found) == "corrupt");
          CHECK(message(found).find("holds a backup that was not finished") != std::string::npos);
        }
        SimulatedDisk again(left);
        RoutedFiles there{{{k_store_path, &scene.disk}, {k_backup_path, &again}}};
        must(store::Backup(store::Access::core(store), there, *store::Access::core(store).find_log(), k_backup_path)
                 .run());
        CHECK(must(opened(image_of(again))).content == due);
      }
    }
    before = std::move(after);
    old = must(opened(before));
    write_some();
    if (nth == 1) must(store.checkpoint());
  }
  CHECK(refused > 100);
  CHECK(whole > 20);
}
