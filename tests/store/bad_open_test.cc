// What opening refuses: options out of range, and directories that are not a
// store's or not this process's to use. What was there stays as it was.

#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"
#include "tests/support/temporary_directory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>

using namespace actable;
using namespace actable::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t k_kib = 1024;
constexpr std::uint64_t k_mib = 1024 * k_kib;
constexpr std::uint64_t k_gib = 1024 * k_mib;

/// An option set so that opening has to refuse it.
struct BadOption {
  std::string name;
  std::string value;
  std::function<void(Options&)> set;
};

std::vector<BadOption> every_bad_option() {
  return {
      {"shards", "3", [](Options& o) { o.shards = 3; }},
      {"shards", "8192", [](Options& o) { o.shards = 8192; }},
      {"write_interval", "-1 ms", [](Options& o) { o.write_interval = -1ms; }},
      {"write_interval", "0 ms", [](Options& o) { o.write_interval = 0ms; }},
      {"write_interval", "10,001 ms", [](Options& o) { o.write_interval = 10'001ms, o.sync_interval = 60s; }},
      {"sync_interval", "below write_interval", [](Options& o) { o.write_interval = 20ms, o.sync_interval = 19ms; }},
      {"sync_interval", "60,001 ms", [](Options& o) { o.sync_interval = 60'001ms; }},
      {"segment_bytes", "0", [](Options& o) { o.segment_bytes = 0; }},
      {"segment_bytes", "1 MiB - 4 KiB", [](Options& o) { o.segment_bytes = k_mib - 4 * k_kib; }},
      {"segment_bytes", "1 MiB + 1", [](Options& o) { o.segment_bytes = k_mib + 1; }},
      {"segment_bytes", "4 GiB + 4 KiB", [](Options& o) { o.segment_bytes = 4 * k_gib + 4 * k_kib; }},
      {"staging_bytes", "1 MiB - 1", [](Options& o) { o.staging_bytes = k_mib - 1; }},
      {"staging_bytes", "4 GiB + 1", [](Options& o) { o.staging_bytes = 4 * k_gib + 1; }},
      {"write_deadline", "-1 ms", [](Options& o) { o.write_deadline = -1ms; }},
      {"write_deadline", "1 h + 1 ms", [](Options& o) { o.write_deadline = 1h + 1ms; }},
      {"log_nice", "-21", [](Options& o) { o.log_nice = -21; }},
      {"log_nice", "1", [](Options& o) { o.log_nice = 1; }},
      {"checkpoint_compression", "5",
       [](Options& o) { o.checkpoint_compression = static_cast<CheckpointCompression>(5); }},
      {"checkpoint_compression_level", "0", [](Options& o) { o.checkpoint_compression_level = 0; }},
      {"checkpoint_compression_level", "20", [](Options& o) { o.checkpoint_compression_level = 20; }},
      {"checkpoint_compression_level", "-5",
       [](Options& o) {
         o.checkpoint_compression = CheckpointCompression::zstd;
         o.checkpoint_compression_level = -5;
       }},
      {"retired_bytes", "1 MiB - 1", [](Options& o) { o.retired_bytes = k_mib - 1; }},
      {"retired_bytes", "64 GiB + 1", [](Options& o) { o.retired_bytes = 64 * k_gib + 1; }},
  };
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& file, std::string_view text) { std::ofstream(file, std::ios::binary) << text; }

/// Closes a store that holds one record.
void make_store(const fs::path& directory) {
  Store store = must(Store::open(small_store(directory)));
  must(must(store.space("s")).put("a", "1"));
  must(store.close());
}

/// Throws unless the store opens and holds that one record.
void expect_store(const fs::path& directory) {
  Store store = must(Store::open(small_store(directory)));
  expect(must(must(store.space("s")).get("a")) == "1", "the record is not what it was");
}

}  // namespace

TEST_CASE("each option out of range is refused by name and nothing is made", "[bad_open]") {
  const TemporaryDirectory directory;
  for (const BadOption& bad : every_bad_option()) {
    INFO(bad.name << " = " << bad.value);
    Options options;
    options.directory = directory / "store";
    bad.set(options);
    const auto store = Store::open(options);
    CHECK(outcome(store) == "invalid_argument");
    CHECK_THAT(message(store), ContainsSubstring(bad.name));
    CHECK_FALSE(fs::exists(options.directory));
  }
}

TEST_CASE("each option is taken at its limit", "[bad_open]") {
  const auto set = GENERATE(values<void (*)(Options&)>({
      [](Options& o) { o.shards = 1; },
      [](Options& o) { o.shards = k_shards_max; },
      [](Options& o) { o.write_interval = o.sync_interval = 1ms; },
      [](Options& o) { o.write_interval = 10s, o.sync_interval = 60s; },
      [](Options& o) { o.segment_bytes = k_mib; },
      [](Options& o) { o.staging_bytes = k_mib; },
      [](Options& o) { o.write_deadline = 0ms; },
      [](Options& o) { o.write_deadline = 1h; },
      [](Options& o) { o.log_nice = -20; },
      [](Options& o) { o.log_nice = 0; },
      [](Options& o) { o.retired_bytes = k_mib; },
      [](Options& o) { o.retired_bytes = 64 * k_gib; },
  }));
  const TemporaryDirectory directory;
  Options options = small_store(directory / "store");
  set(options);
  {
    Store store = must(Store::open(options));
    must(must(store.space("s")).put("a", "1"));
    CHECK(outcome(store.close()) == "ok");
  }
  expect_store(directory / "store");
}

TEST_CASE("a directory that is a file is refused and stays a file", "[bad_open]") {
  const TemporaryDirectory directory;
  write_file(directory / "file", "mine");
  const auto store = Store::open(small_store(directory / "file"));
  CHECK(outcome(store) == "invalid_argument");
  CHECK_THAT(message(store), ContainsSubstring((directory / "file").string()));
  CHECK(text_of(directory / "file") == "mine");
}

TEST_CASE("a directory whose parent is missing is not made", "[bad_open]") {
  const TemporaryDirectory directory;
  const auto store = Store::open(small_store(directory / "no" / "store"));
  CHECK(outcome(store) == "not_found");
  CHECK_THAT(message(store), ContainsSubstring((directory / "no").string()));
  CHECK(names_in(directory.path()).empty());
}

TEST_CASE("a missing store is not made when that was not asked for", "[bad_open]") {
  const TemporaryDirectory directory;
  fs::create_directory(directory / "empty");
  for (const fs::path& path : {directory / "missing", directory / "empty"}) {
    Options options = small_store(path);
    options.create_if_missing = false;
    const auto store = Store::open(options);
    CHECK(outcome(store) == "not_found");
    CHECK_THAT(message(store), ContainsSubstring(path.string()));
  }
  CHECK_FALSE(fs::exists(directory / "missing"));
  CHECK(names_in(directory / "empty").empty());
  make_store(directory / "store");
  Options options = small_store(directory / "store");
  options.create_if_missing = false;
  CHECK(outcome(Store::open(options)) == "ok");
}

TEST_CASE("a directory that others may write to is refused", "[bad_open]") {
  const TemporaryDirectory directory;
  make_store(directory / "store");
  const auto before = names_in(directory / "store");
  fs::permissions(directory / "store", fs::perms::all);
  const auto store = Store::open(small_store(directory / "store"));
  CHECK(outcome(store) == "invalid_argument");
  CHECK_THAT(message(store), ContainsSubstring((directory / "store").string()));
  CHECK(names_in(directory / "store") == before);
  fs::permissions(directory / "store", fs::perms::owner_all);
  expect_store(directory / "store");
}

TEST_CASE("a directory that may not be written to is refused", "[bad_open]") {
  const TemporaryDirectory directory;
  make_store(directory / "store");
  const auto before = names_in(directory / "store");
  const auto readable = fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec;
  fs::permissions(directory.path(), readable | fs::perms::owner_write);
  fs::permissions(directory / "store", readable);
  // Root may write anywhere, so a child without its rights tries.
  Child opener(program_beside("test_store_opener"), {directory / "store", "nobody"});
  const std::string said = opener.line();
  CHECK_THAT(said, StartsWith("invalid_argument") || StartsWith("io_error"));
  CHECK_THAT(said, ContainsSubstring((directory / "store").string()));
  opener.close_input();
  CHECK(opener.wait() == 0);
  CHECK(names_in(directory / "store") == before);
  fs::permissions(directory / "store", fs::perms::owner_all);
  expect_store(directory / "store");
}

TEST_CASE("a directory under a file system that makes no files is refused", "[bad_open]") {
  const auto store = Store::open(small_store("/proc/self/actable-store"));
  CHECK_FALSE(store);
  CHECK_THAT(message(store), ContainsSubstring("/proc/self"));
}

TEST_CASE("a directory that another process has open is refused and the message names it", "[bad_open]") {
  const TemporaryDirectory directory;
  make_store(directory / "store");
  Child holder(program_beside("test_store_opener"), {directory / "store"});
  REQUIRE(holder.line() == "opened");
  const auto refused = Store::open(small_store(directory / "store"));
  CHECK(outcome(refused) == "locked");
  CHECK_THAT(message(refused), ContainsSubstring(std::to_string(holder.pid())));
  CHECK_THAT(message(refused), ContainsSubstring((directory / "store").string()));
  SECTION("until that one closes") {
    holder.close_input();
    CHECK(holder.wait() == 0);
  }
  SECTION("until that one is killed") { CHECK(holder.kill()); }
  expect_store(directory / "store");
}

TEST_CASE("a directory that this process has open is refused, however it is spelled", "[bad_open]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory / "store")));
  Space space = must(store.space("s"));
  must(space.put("a", "1"));
  fs::create_symlink(directory / "store", directory / "link");
  for (const fs::path& path : {directory / "store", directory / "." / "store", directory / "link"}) {
    const auto second = Store::open(small_store(path));
    CHECK(outcome(second) == "locked");
    CHECK_THAT(message(second), ContainsSubstring(std::to_string(::getpid())));
  }
  must(space.put("a", "1", k_sync));
  must(store.close());
  expect_store(directory / "store");
}

TEST_CASE("files of others in the directory do no harm and come to none", "[bad_open]") {
  const TemporaryDirectory directory;
  make_store(directory / "store");
  std::vector<fs::path> strays{directory / "store" / "notes.txt", directory / "store" / ".hidden",
                               directory / "store" / "größe \n"};
  for (const std::string& name : names_in(directory / "store")) {
    for (const std::string& alike : {name + ".bak", name + "~", "x" + name})
      strays.push_back(directory / "store" / alike);
  }
  // These bear names of segments, the next one's among them.
  for (const char* name : {"log-00000002", "log-00000099", "log-999999999999999999", "log-18446744073709551615"})
    strays.push_back(directory / "store" / name);
  fs::create_directories(directory / "store" / "lost+found" / "deeper");
  for (const fs::path& stray : strays) write_file(stray, "not a log");
  // Large enough to be used for a segment.
  const fs::path large = directory / "store" / "log-00000050";
  const std::string large_text(std::size_t{8} << 20, 'x');
  write_file(large, large_text);
  for (int opened = 0; opened < 3; ++opened) expect_store(directory / "store");
  {
    Store store = must(Store::open(small_store(directory / "store")));
    Space space = must(store.space("fills segments"));
    for (int i = 0; i < 12; ++i) must(space.put("k", std::string(1 << 20, 'v'), k_sync));
    CHECK(store.stats().log.segments >= 3);
  }
  for (const fs::path& stray : strays) CHECK(text_of(stray) == "not a log");
  CHECK((text_of(large) == large_text));
  CHECK(fs::is_directory(directory / "store" / "lost+found" / "deeper"));
}

TEST_CASE("what the store makes is for its owner only", "[bad_open]") {
  const TemporaryDirectory directory;
  make_store(directory / "store");
  const auto others = fs::perms::group_all | fs::perms::others_all;
  CHECK((fs::status(directory / "store").permissions() & others) == fs::perms::none);
  for (const std::string& name : names_in(directory / "store")) {
    INFO(name);
    CHECK((fs::status(directory / "store" / name).permissions() & others) == fs::perms::none);
  }
}
