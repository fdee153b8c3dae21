// A new store of what is left of a damaged one: what is lost is listed exactly,
// and everything else is there.

#include "tests/shell/repair_scene.h"
#include "tests/support/wait.h"

#include <chrono>

using namespace actable;
using namespace actable::test;
using namespace actable::test::repair;

TEST_CASE("of a store that is whole everything comes back, and nothing is lost", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK_FALSE(found.lost);
  CHECK(texts_of(found.damages) == Texts{});
  CHECK(found.content == expected);
  CHECK_FALSE(found.content.at("large").contains("key 7"));
}

TEST_CASE("a store that lost what says which it is loses nothing by that", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  const bool removed = GENERATE(false, true);
  if (removed) {
    fs::remove(directory / "store" / "STORE");
  } else {
    flip_byte(directory / "store" / "STORE", 30);
  }
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK_FALSE(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{"STORE 0+0 the store's identity: damaged or missing; other files tell it (nothing lost)"});
  CHECK(found.content == expected);
}

TEST_CASE("the frames of a segment are found without its header", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  const Frame last = frames_of(directory / "store").back();
  flip_byte(directory / "store" / last.file, 24);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK_FALSE(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{last.file + " 0+64 the segment's header: damaged; its frames are found without it (nothing lost)"});
  CHECK(found.content == expected);
}

TEST_CASE("a damaged frame loses what is in it, and tells which values may be stale", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  {
    // Overwritten and erased in one frame, and that is damaged.
    Store store = must(Store::open(options_in(directory / "store")));
    Space space = must(store.space("small"));
    Batch batch;
    must(batch.put(space, "first", "new"));
    must(batch.erase(space, "k0"));
    must(batch.put(space, "only here", "v"));
    must(store.write(batch, {.durability = Durability::sync}));
    for (int i = 0; i < 5; ++i) must(space.put("behind " + std::to_string(i), "v", {.durability = Durability::sync}));
    must(store.close());
  }
  const auto frames = frames_of(directory / "store");
  const Frame damaged = frame_with(frames, "only here");
  flip_byte(directory / "store" / damaged.file, damaged.offset + 70);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{damaged.file + " " + std::to_string(damaged.offset) + "+" + std::to_string(damaged.bytes()) + " frame " +
              std::to_string(damaged.header.number) + " of the log: damaged"});
  const auto& keys = found.content.at("small");
  CHECK(keys.size() == 10 + 1 + 5);
  CHECK_FALSE(keys.contains("only here"));
  CHECK(keys.at("first") == "old");
  CHECK(keys.contains("k0"));
  // What came before the damage may have been overwritten in it, what came behind it was not.
  CHECK(found.is_stale("small", "first"));
  CHECK(found.is_stale("small", "k0"));
  CHECK(found.is_stale("small", "middle"));
  CHECK_FALSE(found.is_stale("small", "behind 4"));
  // A frame may hold numbers above the next marker's cut, but not above that of the one after it.
  const std::vector<Seq> cuts = cuts_behind(frames, damaged);
  REQUIRE(cuts.size() >= 2);
  CHECK(found.damages[0].from > 0);
  CHECK(found.damages[0].from < cuts[0]);
  CHECK(found.damages[0].to == cuts[1]);
  for (const Repair::Stale& stale : found.stale) CHECK(stale.seq < found.damages[0].to);
}

TEST_CASE("what lies behind a torn tail is left out, as opening leaves it out", "[repair]") {
  const TemporaryDirectory directory;
  const fs::path copy = directory / "copy", opened = directory / "opened";
  const auto take_copy = [&] {
    fs::remove_all(copy);
    fs::copy(directory / "store", copy);
    return frames_of(copy);
  };
  {
    // Written, and not synced any more.
    Options options = options_in(directory / "store");
    options.write_interval = std::chrono::milliseconds(1);
    options.sync_interval = std::chrono::seconds(60);
    Store store = must(Store::open(options));
    Space space = must(store.space("small"));
    must(space.put("synced", "v", {.durability = Durability::sync}));
    for (const char* const key : {"torn", "behind", "far behind"}) {
      must(space.put(key, "v"));
      until("it is in a frame of its own", [&] { return has_frame_with(take_copy(), key); });
    }
  }
  const auto frames = frames_of(copy);
  const Frame torn = frame_with(frames, "torn"), behind = frame_with(frames, "behind");
  REQUIRE(torn.offset < behind.offset);
  REQUIRE(cuts_behind(frames, behind).size() >= 1);
  flip_byte(copy / torn.file, torn.offset + 70);
  fs::copy(copy, opened);
  const Repaired found = repaired(copy, directory / "new");
  CHECK_FALSE(found.lost);
  CHECK(texts_of(found.damages) == Texts{});
  CHECK(found.content == Content{{"small", {{"synced", "v"}}}});
  CHECK(found.content == content_of(opened));
}

TEST_CASE("a space whose entry in the catalog is lost gets a name", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  const Frame damaged = frame_with(frames_of(directory / "store"), "small");
  REQUIRE(damaged.keys.size() == 1);
  flip_byte(directory / "store" / damaged.file, damaged.offset + 70);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  REQUIRE(found.content.size() == 1);
  CHECK(found.content.at("space-1").size() == 11);
  CHECK_FALSE(found.spaces.at(1).named);
}

TEST_CASE("a dropped space stays dropped", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  {
    Store store = must(Store::open(options_in(directory / "store")));
    must(must(store.space("dropped")).put("k", "v"));
    must(store.sync());
    REQUIRE(must(store.drop_space("dropped")));
    must(store.close());
  }
  const Frame damaged = frame_with(frames_of(directory / "store"), "middle");
  flip_byte(directory / "store" / damaged.file, damaged.offset + 70);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.content.size() == 1);
  CHECK(found.content.contains("small"));
}

namespace {

/// Whatever is in the block, its checksum is right.
void seal_again(const fs::path& file, const Block& block) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(block.bytes));
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(static_cast<std::streamoff>(block.offset));
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  checkpoint::seal_block(block.header, block.header.store_id, bytes);
  stream.seekp(static_cast<std::streamoff>(block.offset));
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("a damaged block of a checkpoint loses its keys, and the blocks behind it are read", "[repair]") {
  const TemporaryDirectory directory;
  const auto compression = GENERATE(CheckpointCompression::none, CheckpointCompression::zstd);
  const Content expected = make_large(directory / "store", compression);
  const fs::path file = checkpoint_file_of(directory / "store");
  const auto blocks = blocks_of(file);
  REQUIRE(blocks.size() >= 3);
  REQUIRE((blocks[1].header.flags == checkpoint::BlockHeader::k_compressed) ==
          (compression == CheckpointCompression::zstd));
  // Of the header, or of what is behind it; or a frame that is damaged, though no checksum says so.
  const std::string damage = GENERATE("header", "payload", "sealed");
  if (damage == "sealed" && compression == CheckpointCompression::none) return;
  flip_byte(file, blocks[1].offset + (damage == "header" ? 1 : checkpoint::k_block_header_bytes + 2));
  if (damage == "sealed") seal_again(file, blocks[1]);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{file.filename().string() + " " + std::to_string(blocks[1].offset) + "+" +
              std::to_string(blocks[1].bytes) + " blocks of the checkpoint: damaged records " +
              std::to_string(blocks[1].keys.size())});
  check_content(found, expected, blocks[1].keys);
}

TEST_CASE("a block of a kind that this build does not know is not repaired", "[repair]") {
  const TemporaryDirectory directory;
  (void)make_large(directory / "store", CheckpointCompression::zstd);
  const fs::path file = checkpoint_file_of(directory / "store");
  Block block = blocks_of(file).front();
  block.header.flags |= 8;
  seal_again(file, block);
  const auto files = must_have(StoreFiles::open(directory / "store"));
  Repair repair(*files, directory / "new");
  const auto refused = repair.run();
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, ContainsSubstring("has a kind of block of a newer version"));
}

TEST_CASE("a file of the checkpoint that is gone, or shorter, loses what was in it", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  const fs::path file = checkpoint_file_of(directory / "store");
  const auto blocks = blocks_of(file);
  const std::string name = file.filename().string();
  const std::uint64_t bytes = fs::file_size(file);
  std::vector<std::string> lost;
  for (std::size_t i = 1; i < blocks.size(); ++i) lost.insert(lost.end(), blocks[i].keys.begin(), blocks[i].keys.end());
  Texts damages;
  if (GENERATE(false, true)) {
    fs::resize_file(file, blocks[1].offset);
    damages = {name + " " + std::to_string(blocks[1].offset) + "+" + std::to_string(bytes - blocks[1].offset) +
               " the end of a file of the checkpoint: missing records " + std::to_string(lost.size())};
  } else {
    fs::remove(file);
    lost.insert(lost.end(), blocks[0].keys.begin(), blocks[0].keys.end());
    damages = {name + " 0+" + std::to_string(bytes) + " a file of the checkpoint: missing records " +
               std::to_string(lost.size())};
  }
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  CHECK(texts_of(found.damages) == damages);
  // The catalog's entry was in it.
  Repaired named = found;
  if (!named.content.contains("large")) fail_test("the space has its name from the manifest");
  check_content(named, expected, lost);
}

TEST_CASE("a checkpoint whose manifest is lost is read, and is not known to be all", "[repair]") {
  const TemporaryDirectory directory;
  const Content expected = make_large(directory / "store");
  const bool removed = GENERATE(false, true);
  if (removed) {
    fs::remove(directory / "store" / "CHECKPOINT");
  } else {
    flip_byte(directory / "store" / "CHECKPOINT", 40);
  }
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{std::string("CHECKPOINT 0+0 the checkpoint's manifest: ") + (removed ? "missing" : "damaged") +
              "; which files count, and whether all are there, is not known"});
  CHECK(found.content == expected);
}

TEST_CASE("where the log has everything a damaged checkpoint loses nothing", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  Content expected;
  {
    Store store = must(Store::open(options_in(directory / "store")));
    must(store.checkpoint());
    must(must(store.space("small")).erase("middle"));
    expected = content_of(store);
    must(store.close());
  }
  REQUIRE(must(wal::read_identity(base::posix_file_system(), directory / "store"))->first_frame == 1);
  const std::string damage = GENERATE("block", "file", "manifest");
  if (damage == "block") flip_byte(checkpoint_file_of(directory / "store"), 100);
  if (damage == "file") fs::remove(checkpoint_file_of(directory / "store"));
  if (damage == "manifest") flip_byte(directory / "store" / "CHECKPOINT", 40);
  CAPTURE(damage);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK_FALSE(found.lost);
  CHECK(found.damages.size() == 1);
  CHECK(found.content == expected);
}

TEST_CASE("a log that ends before what the checkpoint holds is known to have gone on", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  {
    Store store = must(Store::open(options_in(directory / "store")));
    must(store.checkpoint());
    must(store.close());
  }
  const Frame end = frame_with(frames_of(directory / "store"), "middle");
  const std::uint64_t bytes = fs::file_size(directory / "store" / end.file);
  // Nothing behind it shows that it had been synced: by itself that is a torn tail.
  fs::resize_file(directory / "store" / end.file, end.offset);
  fs::resize_file(directory / "store" / end.file, bytes);
  const bool manifest = GENERATE(true, false);
  if (!manifest) flip_byte(directory / "store" / "CHECKPOINT", 40);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  const std::string what = found.damages.back().what;
  CHECK_THAT(what, StartsWith("the end of the log: ") && ContainsSubstring("had gone on"));
  CHECK(found.damages.size() == (manifest ? 1 : 2));
  const auto& keys = found.content.at("small");
  CHECK(keys.size() == (manifest ? 11 : 5));
  for (const auto& [key, value] : keys) CHECK(found.is_stale("small", key));
}

TEST_CASE("a segment that is gone is told by its frames", "[repair]") {
  const TemporaryDirectory directory;
  {
    Store store = must(Store::open(options_in(directory / "store")));
    Space space = must(store.space("large"));
    const std::string filler(20'000, 'x');
    for (int i = 0; i < 200; ++i) must(space.put("key " + std::to_string(i), filler, {.durability = Durability::sync}));
    must(store.close());
  }
  const auto frames = frames_of(directory / "store");
  std::map<std::string, std::vector<Frame>> by_file;
  for (const Frame& frame : frames) by_file[frame.file].push_back(frame);
  REQUIRE(by_file.size() >= 4);
  const auto& gone = std::next(by_file.begin())->second;
  std::vector<std::string> lost;
  for (const Frame& frame : gone) lost.insert(lost.end(), frame.keys.begin(), frame.keys.end());
  fs::remove(directory / "store" / gone.front().file);
  const Repaired found = repaired(directory / "store", directory / "new");
  CHECK(found.lost);
  CHECK(texts_of(found.damages) ==
        Texts{" 0+0 frames " + std::to_string(gone.front().header.number) + " to " +
              std::to_string(gone.back().header.number) +
              " of the log: missing, with the file that they were in, or the end of the file before"});
  const auto& keys = found.content.at("large");
  CHECK(keys.size() == 200 - lost.size());
  for (const std::string& key : lost) CHECK_FALSE(keys.contains(key));
}

TEST_CASE("whatever byte is damaged, what is there was stored, and what is missing is told", "[repair]") {
  const TemporaryDirectory directory;
  Random random(seed());
  std::map<std::string, std::vector<std::string>> history;
  Content expected;
  {
    for (int life = 0; life < 3; ++life) {
      Store store = must(Store::open(options_in(directory / "store")));
      Space space = must(store.space("large"));
      for (int i = 0; i < 300; ++i) {
        const std::string key = "key " + std::to_string(random.below(80));
        if (random.one_in(5)) {
          must(space.erase(key));
        } else {
          history[key].push_back(std::to_string(life) + " " + std::to_string(i) +
                                 std::string(random.skewed(9'000), static_cast<char>(random.below(256))));
          must(space.put(key, history[key].back()));
        }
        if (random.one_in(30)) must(store.sync());
        if (random.one_in(150)) must(store.checkpoint());
      }
      expected = content_of(store);
      must(store.close());
    }
  }
  std::vector<std::string> names;
  for (const auto& [name, bytes] : bytes_of(directory / "store")) names.push_back(name);
  int whole = 0;
  const auto rounds = static_cast<int>(scaled(60));
  for (int i = 0; i < rounds; ++i) {
    const fs::path copy = directory / "copy", opened = directory / "opened", fresh = directory / "new";
    for (const fs::path& path : {copy, opened, fresh}) fs::remove_all(path);
    fs::copy(directory / "store", copy);
    const std::string name = names[static_cast<std::size_t>(random.below(names.size()))];
    const std::uint64_t bytes = fs::file_size(copy / name);
    if (bytes == 0) continue;
    // Where something is, as a rule.
    const std::uint64_t at = random.below(random.one_in(2) ? std::min<std::uint64_t>(bytes, 400'000) : bytes);
    CAPTURE(name, at);
    flip_byte(copy / name, at);
    fs::copy(copy, opened);
    const Repaired found = repaired(copy, fresh);
    auto store = Store::open(options_in(opened));
    if (store) {
      // Opening passes over nothing but what a crash may leave.
      CHECK(found.content == content_of(*store));
      CHECK_FALSE(found.lost);
      ++whole;
      continue;
    }
    const auto keys = found.content.contains("large") ? found.content.at("large") : Content::mapped_type();
    for (const auto& [key, value] : keys) {
      CAPTURE(key);
      const auto& ever = history[key];
      CHECK(std::ranges::find(ever, value) != ever.end());
      const auto now = expected["large"].find(key);
      if (now == expected["large"].end() || now->second != value) CHECK(found.is_stale("large", key));
    }
    const bool all = keys == expected["large"];
    CHECK((all || found.lost));
    CHECK_FALSE(found.damages.empty());
  }
  CHECK(whole < rounds);
}

TEST_CASE("a place where no new store can be is refused, and nothing is left there", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  const auto files = must_have(StoreFiles::open(directory / "store"));
  fs::create_directory(directory / "full");
  std::ofstream(directory / "full" / "file") << "text";
  fs::create_directory_symlink(directory / "store", directory / "link");
  for (const auto& [target, why] :
       std::map<fs::path, std::string>{{directory / "store", "is the damaged store's directory"},
                                       {directory / "link", "is the damaged store's directory"},
                                       {directory / "store" / "new", "is inside the damaged store"},
                                       {directory / "link" / "new", "is inside the damaged store"},
                                       {directory / "full", "is not empty"},
                                       {directory / "full" / "file", "is no directory"},
                                       {directory / "nowhere" / "new", "is no directory"}}) {
    CAPTURE(target);
    Repair repair(*files, target);
    const auto refused = repair.run();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == shell::k_status_not_asked);
    CHECK_THAT(refused.error().message, ContainsSubstring(why));
  }
  std::size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(directory.path())) entries += entry.exists() ? 1 : 0;
  CHECK(entries == 3);
  // An empty one is taken.
  fs::create_directory(directory / "empty");
  CHECK(repaired(directory / "store", directory / "empty/").content.at("small").size() == 11);
}

TEST_CASE("files that a process takes while they are repaired are not trusted", "[repair]") {
  const TemporaryDirectory directory;
  make_small(directory / "store");
  const auto files = must_have(StoreFiles::open(directory / "store"));
  const Store store = must(Store::open(options_in(directory / "store")));
  Repair repair(*files, directory / "new");
  const auto refused = repair.run();
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, ContainsSubstring("is open in process"));
  CHECK(std::ranges::distance(fs::directory_iterator(directory.path())) == 1);
}
