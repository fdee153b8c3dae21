#include "tests/lab/rot/damage.h"

#include "wal/identity.h"

#include <algorithm>
#include <utility>

namespace actable::lab::rot {
namespace {

using test::FrameOnDisk;
using test::Random;
using test::SimulatedDisk;
using Bytes = std::vector<std::byte>;

/// Puts a file's bytes back when the damage has been seen.
///
/// Thread safety: *confined*.
class Restored {
 public:
  Restored(SimulatedDisk& disk, std::string name) : disk_(disk), name_(std::move(name)), bytes_(disk_.bytes(name_)) {}
  ~Restored() { disk_.put(name_, std::move(bytes_)); }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  SimulatedDisk& disk_;
  const std::string name_;
  Bytes bytes_;
};

std::uint64_t used_end(const FrameOnDisk& frame) {
  return frame.offset + wal::k_frame_header_bytes + frame.header.payload_bytes;
}

/// For each byte of a file, whether a reader goes by it.
std::vector<bool> meaning(const SmallLog& log, const std::string& name, std::size_t bytes) {
  std::vector<bool> used(bytes, name == wal::k_identity_file);
  const auto mark = [&used](std::uint64_t begin, std::uint64_t end) {
    std::fill(used.begin() + static_cast<std::ptrdiff_t>(begin), used.begin() + static_cast<std::ptrdiff_t>(end), true);
  };
  if (name != wal::k_identity_file) mark(0, wal::k_segment_header_bytes);
  for (const FrameOnDisk& frame : log.frames) {
    if (frame.file == name) mark(frame.offset, used_end(frame));
  }
  return used;
}

/// A block of a file. The last one of STORE is what there is of it.
struct Block {
  std::string file;
  std::size_t begin;
};

std::vector<Block> blocks_of(SmallLog& log) {
  std::vector<Block> blocks;
  for (const std::string& name : log.names) {
    if (name == wal::k_identity_file) continue;
    for (std::size_t at = 0; at < log.disk->bytes(name).size(); at += base::k_block_bytes) blocks.push_back({name, at});
  }
  return blocks;
}

std::string named(const Block& block) { return block.file + " block at " + std::to_string(block.begin); }

std::byte* begin_of(SmallLog& log, const Block& block) { return log.disk->bytes(block.file).data() + block.begin; }

void zero_block(SmallLog& log, const Block& block, const Look& look) {
  const Restored restored(*log.disk, block.file);
  std::fill_n(begin_of(log, block), base::k_block_bytes, std::byte{0});
  look({Damage::Kind::block, [&] { return named(block) + " zeroed"; }});
}

void copy_block(SmallLog& log, const Block& from, const Block& to, const Look& look) {
  const Restored restored(*log.disk, to.file);
  std::copy_n(begin_of(log, from), base::k_block_bytes, begin_of(log, to));
  look({Damage::Kind::block, [&] { return named(from) + " copied over " + named(to); }});
}

void swap_blocks(SmallLog& log, const Block& one, const Block& two, const Look& look) {
  const auto swap = [&] {
    std::swap_ranges(begin_of(log, one), begin_of(log, one) + base::k_block_bytes, begin_of(log, two));
  };
  swap();
  look({Damage::Kind::block, [&] { return named(one) + " and " + named(two) + " swapped"; }});
  swap();
}

void swap_names(SimulatedDisk& disk, const std::string& one, const std::string& two) {
  std::swap(disk.bytes(one), disk.bytes(two));
}

}  // namespace

void flip_bits(SmallLog& log, Bits bits_of_the_rest, Random& random, const Look& look) {
  for (const std::string& name : log.names) {
    Bytes& bytes = log.disk->bytes(name);
    const std::vector<bool> used = meaning(log, name, bytes.size());
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      const auto chosen = static_cast<unsigned>(random.below(8));
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (!used[at] && bits_of_the_rest == Bits::one && bit != chosen) continue;
        bytes[at] ^= std::byte{1} << bit;
        const auto what = [&] {
          return name + " byte " + std::to_string(at) + " bit " + std::to_string(bit) + " flipped";
        };
        look({Damage::Kind::flip, what, used[at]});
        bytes[at] ^= std::byte{1} << bit;
      }
    }
  }
}

void truncate_files(SmallLog& log, const Look& look) {
  constexpr std::size_t k_step = 512;
  const FrameOnDisk& last = log.frames.back();
  for (const std::string& name : log.names) {
    const Restored restored(*log.disk, name);
    Bytes& bytes = log.disk->bytes(name);
    for (std::size_t size = bytes.size(); size-- > 0;) {
      // The log's last frame, and what lies in one file with it from the frame before on.
      const bool at_the_end = name == last.file && size + base::k_block_bytes >= last.offset && size <= used_end(last);
      if (name != wal::k_identity_file && size % k_step != 0 && !at_the_end) continue;
      bytes.resize(size);
      look({Damage::Kind::truncation, [&] { return name + " cut to " + std::to_string(size) + " bytes"; }, true, true});
    }
  }
}

void move_blocks(SmallLog& log, const Look& look) {
  const std::vector<Block> blocks = blocks_of(log);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    zero_block(log, blocks[i], look);
    for (std::size_t j = 0; j < blocks.size(); ++j) {
      if (i != j) copy_block(log, blocks[i], blocks[j], look);
      if (i < j) swap_blocks(log, blocks[i], blocks[j], look);
    }
  }
}

void move_files(SmallLog& log, SmallLog& other, const Look& look) {
  SimulatedDisk& disk = *log.disk;
  const std::string fresh = wal::segment_file_name(99);
  for (const std::string& name : log.names) {
    {
      const Restored restored(disk, name);
      disk.drop(name);
      look({Damage::Kind::file, [&] { return name + " missing"; }, true, true});
    }
    for (const std::string& second : log.names) {
      if (second <= name) continue;
      swap_names(disk, name, second);
      look({Damage::Kind::file, [&] { return name + " and " + second + " swapped"; }});
      swap_names(disk, name, second);
    }
    for (const std::string& foreign : other.names) {
      const Restored restored(disk, name);
      disk.put(name, other.disk->bytes(foreign));
      // What is no segment is left alone: the segment is missing then.
      const bool missing = foreign == wal::k_identity_file;
      look({Damage::Kind::file, [&] { return name + " replaced by " + foreign + " of another store"; }, true, missing});
    }
    disk.put(fresh, disk.bytes(name));
    look({Damage::Kind::file, [&] { return name + " copied to " + fresh; }});
    disk.drop(fresh);
  }
  for (const std::string& foreign : other.names) {
    disk.put(fresh, other.disk->bytes(foreign));
    look({Damage::Kind::file, [&] { return foreign + " of another store put beside as " + fresh; }});
    disk.drop(fresh);
  }
}

}  // namespace actable::lab::rot
