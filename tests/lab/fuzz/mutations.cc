#include "tests/lab/fuzz/mutations.h"

#include "base/bytes.h"
#include "tests/lab/fuzz/checksums.h"
#include "tests/support/seed.h"
#include "wal/format.h"

#include <algorithm>
#include <array>
#include <utility>

namespace actable::lab::fuzz {
namespace {

using test::Random;

/// Values at which arithmetic turns.
std::uint64_t odd_value(Random& random, std::uint64_t was) {
  constexpr std::array<std::uint64_t, 10> k_values{0,           1,          2,          0x7fff'ffff, 0x8000'0000,
                                                   0xffff'ffff, 1ULL << 40, 1ULL << 63, ~0ULL - 1,   ~0ULL};
  switch (random.below(4)) {
    case 0:
      return k_values[random.below(k_values.size())];
    case 1:
      return was + 1 + random.below(3);
    case 2:
      return was - 1 - random.below(3);
    default:
      return was ^ (1ULL << random.below(64));
  }
}

/// A field of an integer's size, at its offset.
struct Field {
  std::size_t at;
  std::size_t bytes;
};

void change(std::span<std::byte> bytes, Field field, Random& random) {
  if (field.at + field.bytes > bytes.size()) return;
  Bytes wide(8);
  const auto place = bytes.subspan(field.at, field.bytes);
  std::ranges::copy(place, wide.begin());
  base::store_le(wide.data(), odd_value(random, base::load_le<std::uint64_t>(wide.data())));
  std::copy_n(wide.begin(), field.bytes, place.begin());
}

constexpr std::array<Field, 7> k_header_fields{{{0, 8}, {8, 4}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 8}}};
constexpr std::array<Field, 8> k_frame_fields{{{4, 4}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}, {48, 4}, {52, 4}}};
constexpr std::array<Field, 5> k_record_fields{{{0, 8}, {8, 4}, {12, 4}, {16, 2}, {18, 2}}};

/// A field of a record: the records are found by their own lengths.
void change_record(std::span<std::byte> frame, const wal::FrameHeader& header, Random& random) {
  if (header.payload_bytes > frame.size() - wal::k_frame_header_bytes) return;
  std::span<const std::byte> rest = frame.subspan(wal::k_frame_header_bytes, header.payload_bytes);
  std::vector<std::size_t> begins;
  do {
    begins.push_back(static_cast<std::size_t>(rest.data() - frame.data()));
  } while (wal::take_record(rest));
  change(frame.subspan(begins[random.below(begins.size())]), k_record_fields[random.below(k_record_fields.size())],
         random);
}

void change_field(Bytes& file, Random& random) {
  const std::size_t blocks = file.size() / base::k_block_bytes;
  if (blocks == 0) return;
  const std::size_t block = random.below(blocks);
  const auto bytes = std::span(file).subspan(block * base::k_block_bytes);
  if (block == 0) return change(bytes, k_header_fields[random.below(k_header_fields.size())], random);
  const auto header = wal::decode_frame_header(bytes);
  if (!header) return;
  if (header->payload_bytes != 0 && random.one_in(2)) return change_record(bytes, *header, random);
  change(bytes, k_frame_fields[random.below(k_frame_fields.size())], random);
}

void move_block(Bytes& from, Bytes& to, Random& random) {
  const std::size_t from_blocks = from.size() / base::k_block_bytes;
  const std::size_t to_blocks = to.size() / base::k_block_bytes;
  if (from_blocks == 0 || to_blocks == 0) return;
  const auto block = [](Bytes& file, std::uint64_t index) {
    return std::span(file).subspan(static_cast<std::size_t>(index) * base::k_block_bytes, base::k_block_bytes);
  };
  const auto source = block(from, random.below(from_blocks));
  const Bytes copy(source.begin(), source.end());
  std::ranges::copy(copy, block(to, random.below(to_blocks)).begin());
}

void change_by_format(Directory& directory, Random& random) {
  auto& segments = directory.segments;
  if (segments.empty()) return;
  const auto any = [&]() -> Directory::Segment& { return segments[random.below(segments.size())]; };
  switch (random.below(8)) {
    case 0:
      return move_block(any().bytes, any().bytes, random);
    case 1:
      return std::swap(any().bytes, any().bytes);
    case 2:
      segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(random.below(segments.size())));
      return;
    case 3:
      if (segments.size() < 8) segments.push_back({static_cast<std::uint8_t>(random.below(9)), any().bytes});
      return;
    default:
      return change_field(any().bytes, random);
  }
}

}  // namespace

std::size_t hand_back(const Bytes& bytes, std::uint8_t* data, std::size_t size_max) {
  const std::size_t size = std::min(bytes.size(), size_max);
  std::copy_n(reinterpret_cast<const std::uint8_t*>(bytes.data()), size, data);
  return size;
}

std::size_t mutate_directory(std::uint8_t* data, std::size_t size, std::size_t size_max, unsigned seed) {
  Random random(seed);
  const bool by_format = !random.one_in(3);
  if (!by_format) size = LLVMFuzzerMutate(data, size, size_max);
  if (random.one_in(8)) return size;
  Directory directory = Directory::parse(std::as_bytes(std::span(data, size)));
  for (std::uint64_t changes = by_format ? 1 + random.below(3) : 0; changes > 0; --changes) {
    change_by_format(directory, random);
  }
  repair(directory);
  return hand_back(directory.serialize(), data, size_max);
}

}  // namespace actable::lab::fuzz
