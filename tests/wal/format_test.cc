#include "wal/format.h"

#include "base/epoch.h"
#include "base/hash.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <string>
#include <vector>

namespace actable::wal {
namespace {

using test::Random;

constexpr std::uint64_t k_store = 0x1122334455667788;

using Bytes = std::vector<std::byte>;

Bytes encoded(const LogRecord& record) {
  Bytes bytes(record_bytes(record.key.size(), record.value.size()));
  encode(record, bytes.data());
  return bytes;
}

Bytes sealed(const FrameHeader& header, const Bytes& payload) {
  Bytes frame(frame_bytes(payload.size()));
  std::ranges::copy(payload, frame.begin() + k_frame_header_bytes);
  seal_frame(header, k_store, frame);
  return frame;
}

Bytes header_block(const SegmentHeader& header, std::uint64_t store_id = k_store) {
  Bytes block(base::k_block_bytes, std::byte{0xee});
  encode(header, store_id, block);
  return block;
}

void flip(Bytes& bytes, std::size_t bit) { bytes[bit / 8] ^= std::byte{1} << (bit % 8); }

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i != 0) text += i % 16 == 0 ? '\n' : ' ';
    text += k_digits[std::to_integer<unsigned>(bytes[i]) >> 4];
    text += k_digits[std::to_integer<unsigned>(bytes[i]) & 15];
  }
  return text;
}

FrameHeader example_frame(const Bytes& payload) {
  FrameHeader header;
  header.generation = 1;
  header.number = 1;
  header.era = 1;
  header.cut = Seq{2} << 24;
  header.durable = Seq{1} << 24;
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.records = 1;
  return header;
}

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST_CASE("the worked example of docs/log-format.md is what is written, byte by byte") {
  const Bytes segment = header_block({1, 1, 1, 1});
  CHECK(hex(std::span(segment).first(k_segment_header_bytes)) ==
        "31 41 43 54 4c 4f 47 31 01 00 00 00 00 10 00 00\n"
        "88 77 66 55 44 33 22 11 01 00 00 00 00 00 00 00\n"
        "01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00\n"
        "01 00 00 00 00 00 00 00 a2 91 34 23 73 40 4f 42");
  CHECK(std::ranges::all_of(std::span(segment).subspan(k_segment_header_bytes),
                            [](std::byte b) { return b == std::byte{0}; }));

  // The first number of the first epoch, in space 1: put "k" = "v".
  CHECK(base::first_seq_of(1) == 16'777'216);
  const Bytes payload = encoded({base::first_seq_of(1), 1, false, "k", "v"});
  const Bytes frame = sealed(example_frame(payload), payload);
  REQUIRE(frame.size() == base::k_block_bytes);
  CHECK(hex(std::span(frame).first(k_frame_header_bytes)) ==
        "41 43 54 46 00 00 00 00 01 00 00 00 00 00 00 00\n"
        "01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00\n"
        "00 00 00 02 00 00 00 00 00 00 00 01 00 00 00 00\n"
        "16 00 00 00 01 00 00 00 3d 5a 8c af b9 f4 57 b1");
  CHECK(hex(std::span(frame).subspan(k_frame_header_bytes, payload.size())) ==
        "00 00 00 01 00 00 00 00 01 00 00 00 01 00 00 00\n"
        "01 00 00 00 6b 76");
  CHECK(std::ranges::all_of(std::span(frame).subspan(k_frame_header_bytes + payload.size()),
                            [](std::byte b) { return b == std::byte{0}; }));

  const Bytes erasure = encoded({Seq{1} << 24, 1, true, "k", ""});
  CHECK(hex(erasure) ==
        "00 00 00 01 00 00 00 00 01 00 00 00 00 00 00 01\n"
        "01 00 00 00 6b");
}

TEST_CASE("a record comes back as it was encoded, and the next one after it") {
  Random random(test::seed());
  for (std::uint64_t i = 0; i < test::scaled(2'000); ++i) {
    const std::string key(1 + random.skewed(k_key_bytes_max - 1), 'k');
    const std::string value(random.one_in(100) ? k_value_bytes_max : random.skewed(100'000), 'v');
    const LogRecord record{random() >> 2, static_cast<std::uint32_t>(random()), random.one_in(2), key, value};
    Bytes payload = encoded(record);
    const Bytes second = encoded({1, 2, false, "a", "b"});
    payload.insert(payload.end(), second.begin(), second.end());

    std::span<const std::byte> rest = payload;
    const auto found = take_record(rest);
    REQUIRE(found);
    REQUIRE((found->seq == record.seq && found->space == record.space && found->tombstone == record.tombstone));
    REQUIRE((found->key == key && found->value == value));
    REQUIRE(rest.size() == second.size());
    const auto next = take_record(rest);
    REQUIRE(next);
    REQUIRE((next->seq == 1 && next->key == "a" && next->value == "b" && rest.empty()));
  }
}

TEST_CASE("a record that is cut short anywhere is none, and nothing is taken") {
  const Bytes payload = encoded({7, 1, false, "a key", "a value"});
  for (std::size_t size = 0; size < payload.size(); ++size) {
    // On its own memory, so that AddressSanitizer sees a read beyond the end.
    const Bytes cut(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
    std::span<const std::byte> rest = cut;
    REQUIRE_FALSE(take_record(rest));
    REQUIRE(rest.size() == size);
  }
}

TEST_CASE("records with an empty key, an oversize value or unknown flags are none") {
  const auto is_record = [](std::size_t at, std::byte value) {
    Bytes payload = encoded({7, 1, false, "k", "v"});
    payload.resize(payload.size() + k_value_bytes_max + k_key_bytes_max);
    payload[at] = value;
    std::span<const std::byte> rest = payload;
    return take_record(rest).has_value();
  };
  CHECK(is_record(12, std::byte{1}));           // the value's length as it is
  CHECK_FALSE(is_record(14, std::byte{0x40}));  // 4 MiB and one byte
  CHECK(is_record(15, std::byte{1}));           // the flag of an erasure
  for (const unsigned flag : {2U, 4U, 8U, 16U, 32U, 64U, 128U}) {
    CHECK_FALSE(is_record(15, static_cast<std::byte>(flag)));
  }
  CHECK_FALSE(is_record(16, std::byte{0}));  // the key's length
  CHECK_FALSE(is_record(18, std::byte{1}));  // reserved
}

TEST_CASE("a record with a number that no store comes to is none") {
  for (const Seq seq : {k_seq_max, k_seq_max + 1, ~Seq{0}}) {
    std::vector<std::byte> bytes(record_bytes(1, 0));
    encode({seq, 1, false, "k", ""}, bytes.data());
    std::span<const std::byte> rest = bytes;
    CHECK(take_record(rest).has_value() == (seq == k_seq_max));
  }
}

TEST_CASE("the decoders take any bytes") {
  Random random(test::seed() + 1);
  std::uint64_t records = 0;
  for (std::uint64_t i = 0; i < test::scaled(100'000); ++i) {
    Bytes bytes = random_bytes(random, random.skewed(300));
    if (bytes.size() >= k_record_header_bytes && random.one_in(2)) {
      // Nearly a record: small lengths, no flags.
      bytes[13] = bytes[14] = bytes[15] = bytes[17] = bytes[18] = bytes[19] = std::byte{0};
    }
    std::span<const std::byte> rest = bytes;
    while (const auto record = take_record(rest)) {
      REQUIRE(!record->key.empty());
      REQUIRE(rest.size() + record_bytes(record->key.size(), record->value.size()) <= bytes.size());
      ++records;
    }
    CHECK(decode_segment_header(bytes, k_store).state == HeaderState::broken);
    const auto header = decode_frame_header(bytes);
    if (header) REQUIRE_FALSE(frame_whole(*header, k_store, bytes));
  }
  CHECK(records > 0);
}

TEST_CASE("a frame's header comes back as it was sealed, and the frame is whole in its store only") {
  Random random(test::seed() + 2);
  for (const std::size_t size : {0, 1, 22, 4'031, 4'032, 4'033, 70'000}) {
    const Bytes payload = random_bytes(random, size);
    const FrameHeader header{FrameHeader::k_recovery | FrameHeader::k_clean,
                             random(),
                             random(),
                             random(),
                             random(),
                             random(),
                             static_cast<std::uint32_t>(size),
                             static_cast<std::uint32_t>(random())};
    const Bytes frame = sealed(header, payload);
    CHECK(frame.size() % base::k_block_bytes == 0);
    const auto found = decode_frame_header(frame);
    REQUIRE(found);
    CHECK((found->flags == header.flags && found->generation == header.generation && found->number == header.number));
    CHECK((found->era == header.era && found->cut == header.cut && found->durable == header.durable));
    CHECK((found->payload_bytes == header.payload_bytes && found->records == header.records));
    CHECK(frame_whole(*found, k_store, frame));
    CHECK_FALSE(frame_whole(*found, k_store + 1, frame));
  }
}

TEST_CASE("every flipped bit of a frame's header and payload breaks it, none of its padding does") {
  const Bytes payload = encoded({Seq{1} << 24, 1, false, "k", "v"});
  Bytes frame = sealed(example_frame(payload), payload);
  const auto whole = [&frame] {
    const auto header = decode_frame_header(frame);
    return header && frame_whole(*header, k_store, frame);
  };
  const std::size_t used_bits = (k_frame_header_bytes + payload.size()) * 8;
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    flip(frame, bit);
    if (whole() != (bit >= used_bits)) FAIL("bit " << bit);
    flip(frame, bit);
  }
  CHECK(whole());
}

TEST_CASE("bytes that do not begin as a frame does are none") {
  const Bytes payload = encoded({Seq{1} << 24, 1, false, "k", "v"});
  Bytes frame = sealed(example_frame(payload), payload);
  for (std::size_t bit = 0; bit < 32; ++bit) {
    flip(frame, bit);
    CHECK_FALSE(decode_frame_header(frame));
    flip(frame, bit);
  }
  CHECK(decode_frame_header(frame));
}

TEST_CASE("a frame that is cut short is not whole") {
  const Bytes payload = encoded({7, 1, false, "k", "v"});
  const Bytes frame = sealed(example_frame(payload), payload);
  for (std::size_t size = 0; size < k_frame_header_bytes + payload.size(); ++size) {
    const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
    const auto header = decode_frame_header(cut);
    REQUIRE(header.has_value() == (size >= k_frame_header_bytes));
    if (header) REQUIRE_FALSE(frame_whole(*header, k_store, cut));
  }
}

TEST_CASE("a segment's header is whole, of another store, newer, or broken") {
  const SegmentHeader header{5, 77, 3, 9};
  Bytes block = header_block(header);
  const DecodedHeader whole = decode_segment_header(block, k_store);
  CHECK(whole.state == HeaderState::whole);
  CHECK((whole.header.generation == 5 && whole.header.first_frame == 77));
  CHECK((whole.header.era == 3 && whole.header.file_number == 9));

  // Of the block no more than the header is needed, and no less.
  CHECK(decode_segment_header(std::span(block).first(64), k_store).state == HeaderState::whole);
  CHECK(decode_segment_header(std::span(block).first(63), k_store).state == HeaderState::broken);

  CHECK(decode_segment_header(header_block(header, k_store + 1), k_store).state == HeaderState::foreign);

  Bytes newer = block;
  base::store_le(newer.data() + 8, k_format_version + 1);
  base::store_le(newer.data() + 56, base::checksum(std::span<const std::byte>(newer).first(56), k_store));
  const DecodedHeader decoded = decode_segment_header(newer, k_store);
  CHECK(decoded.state == HeaderState::newer);
  CHECK(decoded.version == k_format_version + 1);

  // A block of something else's, though its sum is right.
  Bytes other = block;
  other[0] ^= std::byte{1};
  base::store_le(other.data() + 56, base::checksum(std::span<const std::byte>(other).first(56), k_store));
  CHECK(decode_segment_header(other, k_store).state == HeaderState::broken);

  for (std::size_t bit = 0; bit < k_segment_header_bytes * 8; ++bit) {
    flip(block, bit);
    const DecodedHeader broken = decode_segment_header(block, k_store);
    REQUIRE(broken.state == HeaderState::broken);
    // Nothing of it is handed on.
    REQUIRE((broken.version == 0 && broken.header.generation == 0 && broken.header.first_frame == 0));
    flip(block, bit);
  }
  for (std::size_t size = 0; size < k_segment_header_bytes; ++size) {
    const Bytes cut(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(size));
    REQUIRE(decode_segment_header(cut, k_store).state == HeaderState::broken);
  }
}

}  // namespace
}  // namespace actable::wal
