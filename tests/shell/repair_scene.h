#pragma once

#include "checkpoint/compression.h"
#include "checkpoint/format.h"
#include "shell/repair.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"
#include "wal/identity.h"

#include <actable/store.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

/// Stores to be damaged, and what a repair makes of them.
namespace actable::test::repair {

using shell::Damage;
using shell::Repair;
using shell::StoreFiles;

namespace fs = std::filesystem;
using Content = std::map<std::string, std::map<std::string, std::string>>;

template <class T>
T must_have(shell::Got<T> got) {
  if (!got) fail_test(got.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(got);
}

inline Options options_in(const fs::path& directory) {
  Options options;
  options.directory = directory;
  options.segment_bytes = std::uint64_t{1} << 20;
  return options;
}

inline Content content_of(Store& store) {
  Content content;
  for (const std::string& name : store.spaces()) {
    auto& keys = content[name];
    Cursor cursor = must(store.space(name)).scan();
    while (must(cursor.next())) keys.emplace(cursor.entry().key, cursor.entry().value);
  }
  return content;
}

inline Content content_of(const fs::path& directory) {
  Store store = must(Store::open(options_in(directory)));
  return content_of(store);
}

inline std::map<std::string, std::string> bytes_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().filename().string()] = bytes.str();
  }
  return files;
}

inline void flip_byte(const fs::path& file, std::uint64_t offset) {
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(stream.get() ^ 0x40);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(byte);
}

/// What became of a repair, and of what is in the new store.
struct Repaired {
  bool lost;
  std::vector<Damage> damages;
  std::vector<Repair::Stale> stale;
  std::map<std::uint32_t, Repair::Space> spaces;
  Content content;

  [[nodiscard]] bool is_stale(const std::string& space, const std::string& key) const {
    return std::ranges::any_of(stale, [&](const Repair::Stale& one) { return one.space == space && one.key == key; });
  }
};

/// `below`: what log and checkpoint are read through, where it is not the system's files.
inline Repaired repaired(const fs::path& from, const fs::path& to, base::FileSystem* below = nullptr) {
  const auto before = bytes_of(from);
  const auto files = must_have(StoreFiles::open(from));
  Repair repair(*files, to, below == nullptr ? files->file_system() : *below);
  must_have(repair.run());
  CHECK(bytes_of(from) == before);
  return {repair.lost(), repair.damages(), repair.stale(), repair.spaces(), content_of(to)};
}

/// "file offset+bytes what", and how many records and which numbers, as far as known.
inline std::string text_of(const Damage& damage) {
  std::string text = damage.file + " " + std::to_string(damage.offset) + "+" + std::to_string(damage.bytes) + " " +
                     damage.what + (damage.lost ? "" : " (nothing lost)");
  if (damage.records) text += " records " + std::to_string(*damage.records);
  return text;
}

inline std::vector<std::string> texts_of(const std::vector<Damage>& damages) {
  std::vector<std::string> texts;
  for (const Damage& damage : damages) texts.push_back(text_of(damage));
  return texts;
}
using Texts = std::vector<std::string>;

/// A frame of the closed log.
struct Frame {
  std::string file;
  std::uint64_t offset;
  wal::FrameHeader header;
  std::vector<std::string> keys;
  [[nodiscard]] std::uint64_t bytes() const { return wal::frame_bytes(header.payload_bytes); }
};

inline std::vector<Frame> frames_of(const fs::path& directory) {
  const auto files = must_have(StoreFiles::open(directory));
  std::vector<Frame> frames;
  std::string name;
  must_have(files->walk_frames(
      [&name](const StoreFiles::Segment& segment) {
        name = segment.name;
        return true;
      },
      [&](std::uint64_t offset, const wal::FrameHeader& header, std::span<const std::byte> payload) {
        frames.push_back({name, offset, header, {}});
        while (const auto record = wal::take_record(payload)) frames.back().keys.emplace_back(record->key);
        return true;
      }));
  return frames;
}

inline Frame frame_with(const std::vector<Frame>& frames, const std::string& key) {
  for (const Frame& frame : frames) {
    if (std::ranges::find(frame.keys, key) != frame.keys.end()) return frame;
  }
  fail_test("no frame has " + key);
}

inline bool has_frame_with(const std::vector<Frame>& frames, const std::string& key) {
  return std::ranges::any_of(frames, [&](const Frame& frame) { return std::ranges::count(frame.keys, key) != 0; });
}

/// The cuts of the markers that come later in the log, each once.
inline std::vector<Seq> cuts_behind(const std::vector<Frame>& frames, const Frame& that) {
  std::vector<Seq> cuts;
  for (const Frame& frame : frames) {
    if (frame.header.number <= that.header.number || frame.header.cut == 0) continue;
    if (cuts.empty() || cuts.back() < frame.header.cut) cuts.push_back(frame.header.cut);
  }
  return cuts;
}

/// A store with a checkpoint of several blocks, whose log does not begin with the
/// store any more, and writes behind it.
inline Content make_large(const fs::path& directory, CheckpointCompression compression = CheckpointCompression::none) {
  Random random(seed());
  Options options = options_in(directory);
  options.checkpoint_compression = compression;
  Store store = must(Store::open(options));
  Space space = must(store.space("large"));
  const std::string filler(2'000, 'x');
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 2'000; ++i) must(space.put("key " + std::to_string(i), std::to_string(round) + filler));
    must(store.checkpoint());
  }
  must(space.erase("key 7"));
  for (int i = 0; i < 50; ++i) must(space.put("key " + std::to_string(random.below(2'000)), "later"));
  Content content = content_of(store);
  must(store.close());
  REQUIRE(must(wal::read_identity(base::posix_file_system(), directory))->first_frame > 1);
  return content;
}

/// The keys of each block of the checkpoint's only file.
struct Block {
  std::uint64_t offset;
  std::uint64_t bytes;
  checkpoint::BlockHeader header;
  std::vector<std::string> keys;
};

inline std::vector<Block> blocks_of(const fs::path& file) {
  std::ostringstream read;
  read << std::ifstream(file, std::ios::binary).rdbuf();
  const std::string bytes = read.str();
  std::vector<Block> blocks;
  checkpoint::Decompressor decompressor;
  for (std::uint64_t at = 0; at < bytes.size();) {
    const auto rest = std::as_bytes(std::span(bytes)).subspan(static_cast<std::size_t>(at));
    const auto header = checkpoint::decode_block_header(rest);
    expect(header.has_value(), "a block");
    blocks.push_back({at, checkpoint::block_bytes(header->payload_bytes), *header, {}});
    auto payload = rest.subspan(checkpoint::k_block_header_bytes, header->payload_bytes);
    if ((header->flags & checkpoint::BlockHeader::k_compressed) != 0) payload = must(decompressor.decompress(payload));
    while (const auto record = checkpoint::take_record(payload)) blocks.back().keys.emplace_back(record->key);
    at += blocks.back().bytes;
  }
  return blocks;
}

inline fs::path checkpoint_file_of(const fs::path& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().starts_with("ckpt-")) return entry.path();
  }
  fail_test("no file of a checkpoint");
}

/// All keys but those that were lost are as they were; of these there is nothing, or
/// a value that is said to be stale.
inline void check_content(const Repaired& found, const Content& expected, const std::vector<std::string>& lost) {
  REQUIRE(found.content.size() == expected.size());
  const auto& keys = found.content.at("large");
  for (const auto& [key, value] : expected.at("large")) {
    CAPTURE(key);
    const auto there = keys.find(key);
    const bool same = there != keys.end() && there->second == value;
    if (std::ranges::find(lost, key) == lost.end()) {
      REQUIRE(same);
    } else if (there != keys.end() && !same) {
      REQUIRE(found.is_stale("large", key));
    }
  }
  for (const auto& [key, value] : keys) REQUIRE((expected.at("large").contains(key) || found.is_stale("large", key)));
}

/// Eleven keys, each put synced on its own, so that each has a frame.
inline void make_small(const fs::path& directory) {
  Store store = must(Store::open(options_in(directory)));
  Space space = must(store.space("small"));
  must(store.sync());
  must(space.put("first", "old", {.durability = Durability::sync}));
  for (int i = 0; i < 4; ++i) must(space.put("k" + std::to_string(i), "v", {.durability = Durability::sync}));
  must(space.put("middle", "v", {.durability = Durability::sync}));
  for (int i = 4; i < 9; ++i) must(space.put("k" + std::to_string(i), "v", {.durability = Durability::sync}));
  must(store.close());
}

}  // namespace actable::test::repair
