#include "tests/lab/fuzz/directory.h"

#include "base/bytes.h"
#include "wal/identity.h"
#include "wal/segments.h"

#include <algorithm>
#include <string>

namespace actable::lab::fuzz {
namespace {

constexpr std::byte k_begins_segment{0x80};
constexpr std::byte k_ragged{1};
constexpr std::size_t k_identity_bytes_max = 255;
constexpr std::size_t k_piece_bytes_max = 65'535;
// Three bytes of input are a block of zeros: without a limit a small input is
// tens of megabytes, and a run all zeros.
constexpr std::size_t k_directory_bytes_max = std::size_t{1} << 20;

std::span<const std::byte> take(std::span<const std::byte>& input, std::size_t bytes) {
  const auto taken = input.first(std::min(bytes, input.size()));
  input = input.subspan(taken.size());
  return taken;
}

void add_block(Bytes& file, std::span<const std::byte>& input, bool ragged) {
  Bytes head(2);
  std::ranges::copy(take(input, 2), head.begin());
  const auto piece = take(input, base::load_le<std::uint16_t>(head.data()));
  file.insert(file.end(), piece.begin(), piece.end());
  if (piece.empty()) file.push_back(std::byte{0});
  if (!ragged) file.resize(base::round_up(file.size(), base::k_block_bytes));
}

/// Up to the next boundary of a block, or the end.
void serialize_block(std::span<const std::byte> block, Bytes& to) {
  const bool ragged = block.size() < base::k_block_bytes;
  const auto zero = [](std::byte b) { return b == std::byte{0}; };
  if (!ragged) {
    const auto tail = std::ranges::find_if_not(block.rbegin(), block.rend(), zero);
    block = block.first(static_cast<std::size_t>(block.rend() - tail));
  }
  to.push_back(ragged ? k_ragged : std::byte{0});
  to.push_back(static_cast<std::byte>(block.size()));
  to.push_back(static_cast<std::byte>(block.size() >> 8));
  to.insert(to.end(), block.begin(), block.end());
}

}  // namespace

Directory Directory::parse(std::span<const std::byte> input) {
  Directory directory;
  const auto identity_bytes = take(input, 1);
  if (identity_bytes.empty()) return directory;
  const auto identity = take(input, std::to_integer<std::size_t>(identity_bytes[0]));
  directory.identity.assign(identity.begin(), identity.end());
  while (!input.empty() && directory.bytes() < k_directory_bytes_max) {
    const std::byte tag = take(input, 1)[0];
    if ((tag & k_begins_segment) != std::byte{0}) {
      directory.segments.push_back({static_cast<std::uint8_t>(tag & ~k_begins_segment), {}});
    } else if (directory.segments.empty()) {
      directory.segments.push_back({1, {}});
    } else {
      add_block(directory.segments.back().bytes, input, (tag & k_ragged) != std::byte{0});
    }
  }
  return directory;
}

Bytes Directory::serialize() const {
  static_assert(base::k_block_bytes <= k_piece_bytes_max);
  Bytes output;
  const std::size_t identity_bytes = std::min(identity.size(), k_identity_bytes_max);
  output.push_back(static_cast<std::byte>(identity_bytes));
  output.insert(output.end(), identity.begin(), identity.begin() + static_cast<std::ptrdiff_t>(identity_bytes));
  for (const Segment& segment : segments) {
    output.push_back(k_begins_segment | std::byte{segment.number});
    std::span<const std::byte> rest = segment.bytes;
    while (!rest.empty()) serialize_block(take(rest, base::k_block_bytes), output);
  }
  return output;
}

Directory Directory::of(test::SimulatedDisk& disk) {
  Directory directory;
  for (const std::string& name : disk.names()) {
    if (name == wal::k_identity_file) {
      directory.identity = disk.bytes(name);
    } else if (name.starts_with("log-")) {
      directory.segments.push_back({static_cast<std::uint8_t>(std::stoul(name.substr(4)) & 0x7f), disk.bytes(name)});
    }
  }
  return directory;
}

std::unique_ptr<test::SimulatedDisk> Directory::disk() const {
  auto disk = std::make_unique<test::SimulatedDisk>();
  if (!identity.empty()) disk->put(wal::k_identity_file, identity);
  for (const Segment& segment : segments) disk->put(wal::segment_file_name(segment.number), segment.bytes);
  return disk;
}

std::size_t Directory::bytes() const noexcept {
  std::size_t bytes = identity.size();
  for (const Segment& segment : segments) bytes += segment.bytes.size();
  return bytes;
}

}  // namespace actable::lab::fuzz
