// Files as released versions wrote them are opened by this one. tests/kept has a
// directory for each version that changed a format: a store, a backup of it, a store
// whose checkpoint is compressed, which formats they have, and how long each file was
// before the zeros at its end were cut.
//
// For a new format: `test_store_formats "[.keep]"` makes the directory of the version that
// is being built.

#include "checkpoint/manifest.h"
#include "store/access.h"
#include "store/backup_record.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"
#include "wal/format.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

using namespace actable;
using namespace actable::test;
namespace fs = std::filesystem;

namespace {

const fs::path k_kept = fs::path(ACTABLE_SOURCE_DIR) / "tests" / "kept";
constexpr const char* k_sizes = "SIZES";

std::string formats_now() {
  return "log " + std::to_string(wal::k_format_version) + "\ncheckpoint " +
         std::to_string(checkpoint::k_format_version) + "\nbackup " + std::to_string(store::k_backup_format_version) +
         "\n";
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary);
  out << bytes;
  expect(out.flush().good(), "cannot write " + file.string());
}

/// Writes of all kinds, a checkpoint in their middle. What every kept store holds: never
/// to be changed, as the kept files cannot be.
void write_all(Store& store, bool on_disk) {
  Space sessions = must(store.space("sessions"));
  Space counters = must(store.space("counters"));
  const auto key = [](int i) { return "session " + std::to_string(i); };
  const auto value = [](int i) {
    return sealed(static_cast<std::uint64_t>(i), static_cast<std::size_t>(8 + i * 7 % 300));
  };
  for (int i = 0; i < 200; ++i) must(sessions.put(key(i), value(i)));
  for (int i = 0; i < 200; i += 7) expect(must(sessions.erase(key(i))), "nothing to erase");
  must(sessions.put(std::string("\0\xff", 2), ""));
  for (int i = 0; i < 30; ++i) must(counters.add("counter " + std::to_string(i % 4), i));
  must(must(store.space("dropped")).put("k", "v"));
  if (on_disk) must(store.checkpoint());
  must(sessions.put("longer than a frame", sealed(1, 100'000)));
  for (int i = 0; i < 200; i += 3) must(sessions.put(key(i), value(i + 1'000)));
  for (int i = 0; i < 200; i += 5) (void)must(sessions.erase(key(i)));
  Batch batch;
  must(batch.put(sessions, "both", "1"));
  must(batch.put(counters, "both", "2"));
  must(batch.erase(sessions, key(1)));
  (void)must(store.write(batch));
  expect(must(store.drop_space("dropped")), "no space to drop");
}

/// All spaces with all keys and values. Numbers differ from run to run.
std::map<std::string, std::map<std::string, std::string>> values(Store& store) {
  std::map<std::string, std::map<std::string, std::string>> found;
  for (const std::string& name : store.spaces()) {
    auto& space = found[name];
    for (auto& [key, held] : content(must(store.space(name)))) space[key] = held.value;
  }
  return found;
}

Options options_in(const fs::path& directory) {
  Options options = small_store(directory);
  options.segment_bytes = std::uint64_t{1} << 20;
  return options;
}

/// The files as they were, in a new directory.
void take_out(const fs::path& kept, const fs::path& to) {
  fs::create_directory(to);
  std::ifstream sizes(kept / k_sizes);
  std::string name;
  for (std::uintmax_t size = 0; sizes >> name >> size;) {
    fs::copy_file(kept / name, to / name);
    fs::permissions(to / name, fs::perms::owner_read | fs::perms::owner_write);
    fs::resize_file(to / name, size);
  }
}

void keep(const fs::path& from, const fs::path& kept) {
  fs::create_directories(kept);
  std::map<std::string, std::uintmax_t> sizes;
  for (const auto& file : fs::directory_iterator(from)) {
    const std::string name = file.path().filename();
    if (name == "LOCK") continue;
    std::string bytes = read(file.path());
    sizes[name] = bytes.size();
    bytes.resize(bytes.find_last_not_of('\0') + 1);
    write(kept / name, bytes);
  }
  std::string lines;
  for (const auto& [name, size] : sizes) lines += name + " " + std::to_string(size) + "\n";
  write(kept / k_sizes, lines);
}

}  // namespace

TEST_CASE("files of every version that was released are opened, and written on") {
  Store memory = must(Store::open({}));
  write_all(memory, false);
  const auto due = values(memory);
  bool kept_now = false;
  for (const auto& version : fs::directory_iterator(k_kept)) {
    INFO(version.path());
    kept_now = kept_now || read(version.path() / "FORMATS") == formats_now();
    for (const char* part : {"store", "backup", "compressed"}) {
      INFO(part);
      const TemporaryDirectory directory;
      const fs::path files = directory / part;
      take_out(version.path() / part, files);
      {
        Store store = must(Store::open(options_in(files)));
        CHECK(values(store) == due);
        CHECK(store.stats().recovery.checkpoint_records > 100);
        CHECK(store.stats().recovery.records_applied > 50);
        must(must(store.space("sessions")).put("new", "1", k_sync));
        must(store.checkpoint());
        must(store.close());
      }
      Store store = must(Store::open(options_in(files)));
      auto with_new = due;
      with_new["sessions"]["new"] = "1";
      CHECK(values(store) == with_new);
    }
  }
  INFO("keep files of this build's formats: see the head of this file");
  CHECK(kept_now);
}

TEST_CASE("keeps files as this version writes them", "[.keep]") {
  const TemporaryDirectory directory;
  const fs::path kept = k_kept / ACTABLE_VERSION;
  REQUIRE_FALSE(fs::exists(kept));
  {
    Store store = must(Store::open(options_in(directory / "store")));
    write_all(store, true);
    must(store.sync());
    must(store.backup(directory / "backup"));
    must(store.close());
  }
  {
    Options options = options_in(directory / "compressed");
    options.checkpoint_compression = CheckpointCompression::zstd;
    Store store = must(Store::open(options));
    write_all(store, true);
    must(store.close());
  }
  keep(directory / "store", kept / "store");
  keep(directory / "compressed", kept / "compressed");
  keep(directory / "backup", kept / "backup");
  write(kept / "FORMATS", formats_now());
}
