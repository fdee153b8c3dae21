// A repair on a disk that cannot be read in places: what it refuses is passed over,
// listed by file and offset, and everything else is there.

#include "shell/passing_files.h"
#include "tests/shell/repair_scene.h"
#include "tests/support/faulty_file_system.h"

#include <cstddef>
#include <string>
#include <vector>

using namespace actable;
using namespace actable::test;
using namespace actable::test::repair;

namespace {

constexpr std::uint64_t k_block = base::k_block_bytes;

std::string unread(std::uint64_t bytes, std::uint64_t offset) {
  return "; " + std::to_string(bytes) + " bytes cannot be read, from offset " + std::to_string(offset) + " on";
}

constexpr int k_long_keys = 150;

/// Several segments of frames of one record each. A frame is seven blocks: of those of a
/// segment behind its header some are left.
void make_long(const fs::path& directory) {
  Store store = must(Store::open(options_in(directory)));
  Space space = must(store.space("large"));
  const std::string filler(26'000, 'x');
  for (int i = 0; i < k_long_keys; ++i)
    must(space.put("key " + std::to_string(i), filler, {.durability = Durability::sync}));
  must(store.close());
}

}  // namespace

TEST_CASE("what a disk refuses reads as zeros, is noted, and is asked for once", "[repair]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "file") << std::string(10 * k_block + 7, 'x');
  FaultyFileSystem faulty;
  shell::PassingFiles files(faulty);
  faulty.fail_reads("file", k_block + 5, 1);
  faulty.fail_reads("file", 2 * k_block, 1);
  faulty.fail_reads("file", 10 * k_block + 6, 1);
  const auto file = must(files.open(directory / "file", {}));
  std::vector<std::byte> all(20 * k_block, std::byte{'?'});
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t before = faulty.calls(Call::read);
    REQUIRE(must(file->read(0, all)) == 10 * k_block + 7);
    // All at once, and then by blocks; the second time those that can be read.
    CHECK(faulty.calls(Call::read) - before == (i == 0 ? 1 + 11 : 8));
    for (std::size_t at = 0; at < 10 * k_block + 7; ++at) {
      const bool hole = at / k_block == 1 || at / k_block == 2 || at / k_block == 10;
      if (all[at] != (hole ? std::byte{0} : std::byte{'x'})) fail_test("another byte at " + std::to_string(at));
    }
  }
  CHECK(files.holes().at("file") == shell::PassingFiles::Holes{{k_block, 3 * k_block}, {10 * k_block, 11 * k_block}});
  std::vector<std::byte> few(10);
  CHECK(must(file->read(3 * k_block - 3, few)) == 10);
  CHECK(few[2] == std::byte{0});
  CHECK(few[3] == std::byte{'x'});
  CHECK(must(file->read(100 * k_block, few)) == 0);
}

TEST_CASE("of a log that cannot be read in places the rest comes back", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  const Content expected = content_of(directory / "store");
  const Frame lost = frame_with(frames_of(directory / "store"), "middle");
  FaultyFileSystem disk;
  disk.fail_reads(lost.file, lost.offset + 70, 1);
  const Repaired found = repaired(directory / "store", directory / "new", &disk);
  CHECK(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{lost.file + " " + std::to_string(lost.offset) + "+" + std::to_string(lost.bytes()) + " frame " +
              std::to_string(lost.header.number) + " of the log: damaged" + unread(k_block, lost.offset)});
  Content without = expected;
  without.at("small").erase("middle");
  CHECK(found.content == without);
  CHECK(found.is_stale("small", "first"));
}

TEST_CASE("of a checkpoint that cannot be read in places the rest comes back", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  const fs::path file = checkpoint_file_of(directory / "store");
  const auto blocks = blocks_of(file);
  REQUIRE(blocks.size() >= 3);
  REQUIRE(blocks[1].bytes > 20 * k_block);
  FaultyFileSystem disk;
  disk.fail_reads(file.filename().string(), blocks[1].offset + 3 * k_block, 1);
  disk.fail_reads(file.filename().string(), blocks[1].offset + 10 * k_block, 2 * k_block);
  const Repaired found = repaired(directory / "store", directory / "new", &disk);
  CHECK(found.lost);
  CHECK(texts_of(found.damages) == Texts{file.filename().string() + " " + std::to_string(blocks[1].offset) + "+" +
                                         std::to_string(blocks[1].bytes) + " blocks of the checkpoint: damaged" +
                                         unread(3 * k_block, blocks[1].offset + 3 * k_block) + " records " +
                                         std::to_string(blocks[1].keys.size())});
  check_content(found, expected, blocks[1].keys);
}

TEST_CASE("what says which files count may be on what cannot be read, too", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  FaultyFileSystem disk;
  Texts damages;
  const std::string what = GENERATE("manifest", "segment's header", "identity");
  if (what == "manifest") {
    disk.fail_reads("CHECKPOINT", 0, 1);
    damages = {
        "CHECKPOINT 0+0 the checkpoint's manifest: damaged; which files count, and whether all are there, is not "
        "known" +
        unread(k_block, 0)};
  } else if (what == "segment's header") {
    const std::string name = frames_of(directory / "store").back().file;
    disk.fail_reads(name, 0, 1);
    damages = {name + " 0+64 the segment's header: damaged; its frames are found without it" + unread(k_block, 0) +
               " (nothing lost)"};
  } else {
    // At its beginning the memory of a process has nothing: reading fails as on a bad disk.
    fs::remove(directory / "store" / "STORE");
    fs::create_symlink("/proc/self/mem", directory / "store" / "STORE");
    damages = {"STORE 0+0 the store's identity: damaged or missing; other files tell it (nothing lost)"};
  }
  CAPTURE(what);
  const Repaired found = repaired(directory / "store", directory / "new", &disk);
  CHECK(found.lost == (what == "manifest"));
  CHECK(texts_of(found.damages) == damages);
  CHECK(found.content == expected);
}

TEST_CASE("a place behind the end of the log that cannot be read may have had more", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  const Content expected = content_of(directory / "store");
  const Frame last = frames_of(directory / "store").back();
  const std::uint64_t at = last.offset + last.bytes() + 3 * k_block;
  REQUIRE(at < fs::file_size(directory / "store" / last.file));
  FaultyFileSystem disk;
  disk.fail_reads(last.file, at, 1);
  const Repaired found = repaired(directory / "store", directory / "new", &disk);
  CHECK(found.lost);
  CHECK(texts_of(found.damages) == Texts{last.file + " " + std::to_string(at) + "+" + std::to_string(k_block) +
                                         " cannot be read; the log may have gone on there"});
  CHECK(found.damages.front().from > 0);
  CHECK(found.content == expected);
  CHECK(found.stale.size() == expected.at("small").size());
}

TEST_CASE("a place behind which the log is known to go on elsewhere loses nothing", "[repair]") {
  const TemporaryDirectory directory;
  make_long(directory / "store");
  const Content expected = content_of(directory / "store");
  const auto frames = frames_of(directory / "store");
  // The last of a segment that is not the last.
  const auto next = std::ranges::adjacent_find(frames, [&](const Frame& one, const Frame& other) {
    return one.file != other.file && one.offset + one.bytes() < fs::file_size(directory / "store" / one.file);
  });
  REQUIRE(next != frames.end());
  const Frame& last = *next;
  const std::uint64_t at = last.offset + last.bytes();
  FaultyFileSystem disk;
  disk.fail_reads(last.file, at, 1);
  Texts damages{last.file + " " + std::to_string(at) + "+" + std::to_string(k_block) +
                " cannot be read (nothing lost)"};
  if (GENERATE(false, true)) {
    // Nor when the segment does not say how new it is: its frames do.
    disk.fail_reads(last.file, 0, 1);
    damages.insert(damages.begin(), last.file + " 0+64 the segment's header: damaged; its frames are found without it" +
                                        unread(k_block, 0) + " (nothing lost)");
  }
  const Repaired found = repaired(directory / "store", directory / "new", &disk);
  CHECK_FALSE(found.lost);
  CHECK(texts_of(found.damages) == damages);
  CHECK(found.content == expected);
}

TEST_CASE("a whole file that cannot be read is as one that is gone, and says so", "[repair]") {
  const TemporaryDirectory directory;
  make_long(directory / "store");
  const auto frames = frames_of(directory / "store");
  std::vector<Frame> there;
  for (const Frame& frame : frames) {
    if (frame.file == frames[frames.size() / 2].file) there.push_back(frame);
  }
  REQUIRE(there.front().header.number > 1);
  REQUIRE(there.back().header.number < frames.back().header.number);
  const std::uint64_t bytes = fs::file_size(directory / "store" / there[0].file);
  FaultyFileSystem disk;
  disk.fail_reads(there[0].file, 0, bytes);
  const Repaired found = repaired(directory / "store", directory / "new", &disk);
  CHECK(found.lost);
  REQUIRE(found.damages.size() == 2);
  CHECK(text_of(found.damages[0]) ==
        " 0+0 frames " + std::to_string(there.front().header.number) + " to " +
            std::to_string(there.back().header.number) +
            " of the log: missing, with the file that they were in, or the end of the file before");
  CHECK(text_of(found.damages[1]) ==
        there[0].file + " 0+" + std::to_string(bytes) + " cannot be read; the log may have gone on there");
  std::size_t lost = 0;
  for (const Frame& frame : there) lost += frame.keys.size();
  CHECK(found.content.at("large").size() == k_long_keys - lost);
}

TEST_CASE("wherever the disk refuses, what is there was stored, and what is missing is told", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  Random random(seed());
  std::vector<std::string> names;
  for (const auto& [name, bytes] : bytes_of(directory / "store")) {
    if (name.starts_with("log-") || name.starts_with("ckpt-") || name == "CHECKPOINT") names.push_back(name);
  }
  const auto rounds = static_cast<int>(scaled(20));
  for (int i = 0; i < rounds; ++i) {
    fs::remove_all(directory / "new");
    FaultyFileSystem disk;
    const auto places = 1 + random.below(3);
    for (std::uint64_t place = 0; place < places; ++place) {
      const std::string name = names[static_cast<std::size_t>(random.below(names.size()))];
      disk.fail_reads(name, random.below(fs::file_size(directory / "store" / name)), 1 + random.skewed(100'000));
    }
    const Repaired found = repaired(directory / "store", directory / "new", &disk);
    CHECK_FALSE(found.damages.empty());
    const auto keys = found.content.contains("large") ? found.content.at("large") : Content::mapped_type();
    for (const auto& [key, value] : keys) {
      CAPTURE(key);
      const auto now = expected.at("large").find(key);
      if (now == expected.at("large").end() || now->second != value) CHECK(found.is_stale("large", key));
    }
    const bool all = keys == expected.at("large");
    CHECK((all || found.lost));
  }
}
