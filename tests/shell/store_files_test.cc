// Closed files, read without changing them or keeping their owner out.

#include "shell/store_files.h"
#include "shell/context.h"
#include "shell/load_target.h"
#include "store/access.h"
#include "store/backup_record.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <actable/store.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace actable;
using namespace actable::test;
using debug::Bytes;
using debug::Document;
using shell::StoreFiles;

namespace {

namespace fs = std::filesystem;

Options options_in(const fs::path& directory) {
  Options options;
  options.directory = directory;
  options.segment_bytes = std::uint64_t{1} << 20;
  return options;
}

template <class T>
T must_have(shell::Got<T> got) {
  if (!got) fail_test(got.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(got);
}

/// The names and bytes of all files.
std::map<std::string, std::string> bytes_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().filename().string()] = bytes.str();
  }
  return files;
}

Document::Map of_space(const char* space, const char* field, Document value) {
  return {{"space", space}, {field, std::move(value)}};
}

void flip_byte(const fs::path& file, std::uint64_t offset) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(stream.get() ^ 0x40);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(byte);
}

}  // namespace

TEST_CASE("closed files hold what the store held, and reading changes nothing", "[files]") {
  const auto compression = GENERATE(CheckpointCompression::none, CheckpointCompression::zstd);
  const TemporaryDirectory directory;
  Random random(seed());
  std::map<std::string, std::string> model;
  {
    Options options = options_in(directory / "store");
    options.checkpoint_compression = compression;
    Store store = must(Store::open(options));
    Space space = must(store.space("s"));
    const std::uint64_t writes = scaled(20'000);
    for (std::uint64_t i = 0; i < writes; ++i) {
      if (i == writes / 2) must(store.checkpoint());
      const std::string key = "key " + std::to_string(random.below(3'000));
      if (random.one_in(4)) {
        must(space.erase(key));
        model.erase(key);
      } else {
        const std::string value(random.skewed(3'000), static_cast<char>(random.below(256)));
        must(space.put(key, value));
        model[key] = value;
      }
    }
    must(must(store.space("dropped")).put("k", "v"));
    REQUIRE(must(store.drop_space("dropped")));
    must(store.close());
  }
  const auto before = bytes_of(directory / "store");
  const auto files = must_have(StoreFiles::open(directory / "store"));

  const Document scanned =
      must_have(files->ask("scan", {{"space", "s"}, {"prefix", Bytes{}}, {"limit", std::uint64_t{1} << 40}}));
  std::map<std::string, std::string> read;
  for (const Document& entry : scanned["entries"].list()) {
    read.emplace(entry.list()[0].bytes(), entry.list()[2].bytes());
  }
  CHECK(read == model);
  std::multimap<std::string, std::string> each;
  must_have(files->each("s", [&each](std::string_view key, std::string_view value) {
    each.emplace(key, value);
    return true;
  }));
  CHECK(each == std::multimap<std::string, std::string>(model.begin(), model.end()));
  int seen = 0;
  must_have(files->each("s", [&seen](std::string_view, std::string_view) { return ++seen < 10; }));
  CHECK(seen == 10);
  for (int i = 0; i < 20; ++i) {
    const std::string key = "key " + std::to_string(random.below(3'000));
    const Document found = must_have(files->ask("get", of_space("s", "key", Bytes{key})));
    REQUIRE(found.null() == !model.contains(key));
    if (!found.null()) CHECK(found["value"].bytes() == model[key]);
  }
  CHECK(must_have(files->ask("count", of_space("s", "prefix", Bytes{"key 1"})))["count"].number() ==
        static_cast<std::uint64_t>(
            std::ranges::count_if(model, [](const auto& entry) { return entry.first.starts_with("key 1"); })));
  const Document spaces = must_have(files->ask("spaces", {}));
  REQUIRE(spaces.list().size() == 1);
  CHECK(spaces.list()[0]["keys"].number() == model.size());
  CHECK(must_have(files->ask("stats", {}))["recovery"]["clean"].truth());
  CHECK(must_have(files->verify()).clean);

  CHECK(bytes_of(directory / "store") == before);
  // And its owner may have it at any time.
  must(Store::open(options_in(directory / "store")));
}

TEST_CASE("frames and records are shown as they lie there", "[files]") {
  const TemporaryDirectory directory;
  {
    Store store = must(Store::open(options_in(directory / "store")));
    Space space = must(store.space("s"));
    for (int i = 0; i < 100; ++i) must(space.put("k" + std::to_string(i), "v"));
    must(space.erase("k0"));
    must(store.close());
  }
  const auto files = must_have(StoreFiles::open(directory / "store"));
  std::uint64_t frames = 0, records = 0, erased = 0;
  const auto see_frame = [&](std::uint64_t, const wal::FrameHeader&, std::span<const std::byte> payload) {
    ++frames;
    while (const auto record = wal::take_record(payload)) {
      ++records;
      erased += record->tombstone ? 1 : 0;
    }
    return true;
  };
  const auto is_whole = [](const StoreFiles::Segment& segment) { return segment.state == wal::HeaderState::whole; };
  REQUIRE(files->walk_frames(is_whole, see_frame));
  CHECK(frames >= 3);
  // The hundred, the erasure, and the space's name in the catalog.
  CHECK(records == 102);
  CHECK(erased == 1);
  CHECK(must_have(files->space_name(1)) == "s");
}

TEST_CASE("what a process has written since is seen when the files are read again", "[files]") {
  const TemporaryDirectory directory;
  const auto write = [&](const char* space) {
    Store store = must(Store::open(options_in(directory / "store")));
    must(must(store.space(space)).put("k", "v"));
    must(store.close());
  };
  write("first");
  const auto files = must_have(StoreFiles::open(directory / "store"));
  CHECK(must_have(files->segment_bytes()) == std::uint64_t{1} << 20);
  const auto spaces = [&files] {
    const Document list = must_have(files->ask("spaces", {}));
    return list.list().size();
  };
  CHECK(spaces() == 1);
  write("second");
  must_have(files->read_again());
  CHECK(spaces() == 2);
  CHECK(must_have(files->ask("get", of_space("second", "key", Bytes{"k"})))["value"].bytes() == "v");
  CHECK(must_have(files->verify()).clean);
}

TEST_CASE("closed files of a store that was healed are read, though STORE names the old log", "[files]") {
  const TemporaryDirectory directory;
  const fs::path path = directory / "store";
  FaultyFileSystem files;
  {
    Store store = must(store::Access::open(options_in(path), files));
    Space space = must(store.space("s"));
    must(space.put("before", "1", {.durability = Durability::sync}));
    files.fail_from(Call::write, 1);
    CHECK_FALSE(space.put("in flight", "2", {.durability = Durability::sync}));
    files.heal();
    fs::copy_file(path / "STORE", directory / "STORE");
    must(store.heal());
    must(space.put("after", "3"));
    must(store.close());
  }
  fs::copy_file(directory / "STORE", path / "STORE", fs::copy_options::overwrite_existing);
  const auto read = must_have(StoreFiles::open(path));
  for (const auto& [key, value] : std::map<std::string, std::string>{{"before", "1"}, {"after", "3"}}) {
    const Document answer = must_have(read->ask("get", of_space("s", "key", Bytes{key})));
    CHECK(answer["value"].bytes() == value);
  }
  CHECK(must_have(read->verify()).clean);
}

TEST_CASE("a backup that was not finished is refused, and a finished one is read", "[files]") {
  const TemporaryDirectory directory;
  {
    Store store = must(Store::open(options_in(directory / "store")));
    must(must(store.space("s")).put("k", "v"));
    must(store.backup(directory / "backup"));
  }
  base::FileSystem& system = base::posix_file_system();
  {
    const auto files = must_have(StoreFiles::open(directory / "backup"));
    must_have(files->readable());
    const Document found = must_have(files->ask("get", of_space("s", "key", Bytes{"k"})));
    CHECK(found["value"].bytes() == "v");
  }
  auto record = must(store::read_backup_record(system, directory / "backup"));
  REQUIRE(record);
  REQUIRE(record->complete);
  record->complete = false;
  must(store::write_backup_record(system, directory / "backup", *record));
  {
    const auto files = must_have(StoreFiles::open(directory / "backup"));
    const auto readable = files->readable();
    REQUIRE_FALSE(readable);
    CHECK(readable.error().status == shell::k_status_failed);
    CHECK_THAT(readable.error().message, StartsWith((directory / "backup").string()) &&
                                             ContainsSubstring("a backup that was not finished") &&
                                             ContainsSubstring("`repair NEWDIR`"));
  }
  // What says so may be damaged, too.
  flip_byte(directory / "backup" / store::k_backup_file, 26);
  const auto files = must_have(StoreFiles::open(directory / "backup"));
  const auto readable = files->readable();
  REQUIRE_FALSE(readable);
  CHECK_THAT(readable.error().message, ContainsSubstring(store::k_backup_file));
}

TEST_CASE(
    "what is loaded into a store that was a backup goes into segments of the service's size, where it had it open",
    "[files]") {
  constexpr std::uint64_t k_own = std::uint64_t{2} << 20;
  const TemporaryDirectory directory;
  Options options = options_in(directory / "store");
  options.segment_bytes = k_own;
  {
    Store store = must(Store::open(options));
    Space space = must(store.space("s"));
    // More than the least size of a segment, and no round one.
    for (int i = 0; i < 12; ++i) must(space.put("key " + std::to_string(i), std::string(100'000, 'x')));
    must(store.backup(directory / "backup"));
  }
  const bool opened = GENERATE(false, true);
  if (opened) {
    options.directory = directory / "backup";
    must(must(Store::open(options)).close());
  }
  // What a backup copied ends where its frames end, and says nothing.
  CHECK(must_have(must_have(StoreFiles::open(directory / "backup"))->segment_bytes()) == (opened ? k_own : 0));
  {
    const auto context = must_have(shell::Context::open({.directory = directory / "backup", .allow_writes = true}));
    const auto target = must_have(shell::LoadTarget::open(*context, "s", shell::IfMissing::fail));
    must_have(target->put({.key = "loaded", .value = "v"}));
    must_have(target->finish());
  }
  std::uint64_t largest = 0;
  for (const auto& [name, bytes] : bytes_of(directory / "backup")) {
    if (name.starts_with("log-")) largest = std::max<std::uint64_t>(largest, bytes.size());
  }
  CHECK(largest == (opened ? k_own : Options().segment_bytes));
  options.directory = directory / "backup";
  Store store = must(Store::open(options));
  CHECK(must(store.space("s")).size() == 13);
  CHECK(must(must(store.space("s")).get("loaded")) == "v");
}

TEST_CASE("damage is found and named, and what is whole is still shown", "[files]") {
  const TemporaryDirectory directory;
  {
    Store store = must(Store::open(options_in(directory / "store")));
    Space space = must(store.space("s"));
    for (int i = 0; i < 10; ++i) must(space.put("k" + std::to_string(i), "v", {.durability = Durability::sync}));
    must(store.close());
  }
  fs::path segment;
  for (const auto& entry : fs::directory_iterator(directory / "store")) {
    if (entry.path().filename().string().starts_with("log-")) segment = entry.path();
  }
  // In the header of the third frame, behind the segment's own block and two frames
  // of a block each: a frame may hold no more than its header.
  flip_byte(segment, 3 * 4096 + 16);
  const auto files = must_have(StoreFiles::open(directory / "store"));
  const auto verified = files->verify();
  REQUIRE_FALSE(verified);
  CHECK(verified.error().status == shell::k_status_failed);
  CHECK_THAT(verified.error().message, ContainsSubstring(segment.filename().string()));
  CHECK_THAT(verified.error().message, ContainsSubstring("offset"));
  std::uint64_t frames = 0;
  REQUIRE(files->walk_frames([](const StoreFiles::Segment&) { return true; },
                             [&](std::uint64_t, const wal::FrameHeader&, std::span<const std::byte>) {
                               ++frames;
                               return true;
                             }));
  CHECK(frames > 5);
}

TEST_CASE("damage in a compressed checkpoint is found and named", "[files]") {
  const TemporaryDirectory directory;
  {
    Options options = options_in(directory / "store");
    options.checkpoint_compression = CheckpointCompression::zstd;
    Store store = must(Store::open(options));
    Space space = must(store.space("s"));
    for (int i = 0; i < 1'000; ++i) must(space.put("k" + std::to_string(i), std::string(1'000, 'v')));
    must(store.checkpoint());
    must(store.close());
  }
  CHECK(must_have(must_have(StoreFiles::open(directory / "store"))->verify()).clean);
  fs::path file;
  for (const auto& entry : fs::directory_iterator(directory / "store")) {
    if (entry.path().filename().string().starts_with(checkpoint::k_file_prefix)) file = entry.path();
  }
  // A twentieth of what the records would take: they were compressed.
  REQUIRE(fs::file_size(file) < 50'000);
  flip_byte(file, checkpoint::k_block_header_bytes + 100);
  const auto verified = must_have(StoreFiles::open(directory / "store"))->verify();
  REQUIRE_FALSE(verified);
  CHECK(verified.error().status == shell::k_status_failed);
  CHECK_THAT(verified.error().message, ContainsSubstring(file.filename().string()));
  CHECK_THAT(verified.error().message, ContainsSubstring("offset"));
}

TEST_CASE("what is no store is refused in one line that says why", "[files]") {
  const TemporaryDirectory directory;
  const auto why_not = [](const fs::path& path) {
    const auto opened = StoreFiles::open(path);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().status == shell::k_status_not_asked);
    CHECK(opened.error().message.find('\n') == std::string::npos);
    return opened.error().message;
  };
  CHECK_THAT(why_not(directory / "missing"), ContainsSubstring("does not exist"));
  CHECK_THAT(why_not(directory.path()), ContainsSubstring("holds no store"));
  std::ofstream(directory / "file") << "text";
  CHECK_THAT(why_not(directory / "file"), ContainsSubstring("is no directory"));
}

TEST_CASE("a store of a newer version is refused as such", "[files]") {
  const TemporaryDirectory directory;
  must(must(Store::open(options_in(directory / "store"))).close());
  auto& files = base::posix_file_system();
  auto identity = must(wal::read_identity(files, directory / "store"));
  identity->format_version = wal::k_format_version + 1;
  must(wal::write_identity(files, directory / "store", *identity));
  const auto opened = StoreFiles::open(directory / "store");
  REQUIRE_FALSE(opened);
  CHECK(opened.error().status == shell::k_status_not_asked);
  CHECK_THAT(opened.error().message, ContainsSubstring("newer version"));
}

TEST_CASE("a live process without a debug socket is named, and goes on undisturbed", "[files]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(options_in(directory / "store")));
  const auto opened = StoreFiles::open(directory / "store");
  REQUIRE_FALSE(opened);
  CHECK_THAT(opened.error().message, ContainsSubstring("is open in process " + std::to_string(getpid())));
  must(must(store.space("s")).put("k", "v", {.durability = Durability::sync}));
  must(store.close());
  CHECK(StoreFiles::open(directory / "store").has_value());
}

TEST_CASE("files that a process takes while they are read are not trusted", "[files]") {
  const TemporaryDirectory directory;
  must(must(Store::open(options_in(directory / "store"))).close());
  const auto files = must_have(StoreFiles::open(directory / "store"));
  const Store store = must(Store::open(options_in(directory / "store")));
  const auto verified = files->verify();
  REQUIRE_FALSE(verified);
  CHECK_THAT(verified.error().message, ContainsSubstring("is open in process"));
}
