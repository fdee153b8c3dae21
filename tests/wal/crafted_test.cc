#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <functional>
#include <string>

// Frames whose sums are right and whose content is not: written by a fault of
// ours, or by somebody who means harm.
namespace actable::wal {
namespace {

using test::ContainsSubstring;
using test::FrameOnDisk;
using test::frames_on;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::outcome;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);

/// Changes a frame and seals it again.
using Change = std::function<void(FrameHeader&, std::span<std::byte>)>;
void reseal(SimulatedDisk& disk, const FrameOnDisk& frame, const Change& change) {
  const auto identity = must(read_identity(disk, k_options.directory));
  const auto bytes = std::span(disk.bytes(frame.file)).subspan(frame.offset, frame_bytes(frame.header.payload_bytes));
  FrameHeader header = frame.header;
  change(header, bytes.subspan(k_frame_header_bytes, header.payload_bytes));
  seal_frame(header, identity->store_id, bytes);
}

/// Two lives, of which each wrote two records in rounds of their own.
std::unique_ptr<SimulatedDisk> two_lives() {
  auto disk = std::make_unique<SimulatedDisk>();
  for (int i = 0; i < 2; ++i) {
    std::unique_ptr<SimulatedDisk> left;
    {
      Life life(*disk, k_options);
      life.write_durably("a", "1");
      life.write_durably("b", "2");
      left = disk->killed();
    }
    disk = std::move(left);
  }
  return disk;
}

void expect_refused(SimulatedDisk& disk, const FrameOnDisk& frame, const std::string& why) {
  const auto found = Life::begin(disk, k_options);
  REQUIRE(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message,
             ContainsSubstring(frame.file + ": offset " + std::to_string(frame.offset) + ": " + why));
}

/// The first frame that `chosen` holds for, resealed and then refused.
void expect_refused_when(const std::function<bool(const FrameOnDisk&)>& chosen, const Change& change,
                         const std::string& why) {
  const auto disk = two_lives();
  const auto frames = frames_on(*disk, k_options);
  const auto frame = std::ranges::find_if(frames, chosen);
  REQUIRE(frame != frames.end());
  reseal(*disk, *frame, [](FrameHeader&, std::span<std::byte>) {});
  REQUIRE(look(*disk, k_options));  // Sealed again as it was it does no harm.
  reseal(*disk, *frame, change);
  expect_refused(*disk, *frame, why);
}

bool second_recovery(const FrameOnDisk& frame) { return frame.header.era == 2 && frame.header.flags != 0; }
bool second_marker(const FrameOnDisk& frame) { return frame.header.era == 2 && frame.header.records != 0; }

TEST_CASE("a recovery frame that holds records, or whose cut is below the one reached, is refused") {
  const std::string why = "impossible recovery frame";
  expect_refused_when(
      second_recovery, [](FrameHeader& header, auto) { header.records = 1; }, why);
  expect_refused_when(
      second_recovery, [](FrameHeader& header, auto) { header.cut = base::first_seq_of(1); }, why);
}

TEST_CASE("a frame whose records are not those that its header counts is refused") {
  const std::string why = "the frame's records make no sense";
  expect_refused_when(
      second_marker, [](FrameHeader& header, auto) { ++header.records; }, why);
  expect_refused_when(
      second_marker, [](FrameHeader& header, auto) { --header.records; }, why);
  // A key of no bytes.
  expect_refused_when(
      second_marker, [](auto&, std::span<std::byte> payload) { payload[16] = std::byte{0}; }, why);
  // Bytes behind the last record.
  expect_refused_when(
      second_marker, [](FrameHeader& header, auto) { header.payload_bytes += 5; }, why);
}

TEST_CASE("a log that does not begin where its identity says is refused") {
  const auto change_first = [](std::uint64_t generations, std::uint64_t frames) {
    const auto disk = two_lives();
    Identity identity = *must(read_identity(*disk, k_options.directory));
    identity.first_generation += generations;
    identity.first_frame += frames;
    must(write_identity(*disk, k_options.directory, identity));
    return outcome(Life::begin(*disk, k_options));
  };
  CHECK(change_first(0, 0) == "ok");
  CHECK(change_first(1, 0) == "corrupt");
  CHECK(change_first(0, 1) == "corrupt");
}

TEST_CASE("damage to what was synced is told with the frame, and with the numbers that are lost") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    for (int i = 0; i < 4; ++i) life.write_durably("k", std::to_string(i));
  }
  const auto left = disk.killed();
  const auto frames = frames_on(*left, k_options);
  const auto broken = std::ranges::find_if(frames, [](const auto& frame) { return frame.header.records != 0; });
  const Seq durable =
      std::ranges::max(frames, {}, [](const auto& frame) { return frame.header.durable; }).header.durable;
  const Seq cut = std::prev(broken)->header.cut;
  left->bytes(broken->file)[broken->offset] ^= std::byte{1};
  const auto found = look(*left, k_options);
  REQUIRE(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message,
             ContainsSubstring("(frame " + std::to_string(broken->header.number) +
                               "; the log is known to have been on disk up to number " + std::to_string(durable - 1) +
                               ", and reads back up to " + std::to_string(cut - 1) + ")"));
}

TEST_CASE("whole frames behind the last marker are discarded and counted, and their numbers are used no more") {
  const auto disk = two_lives();
  const auto frames = frames_on(*disk, k_options);
  const auto last = std::prev(std::ranges::find_if(frames.rbegin(), frames.rend(), second_marker).base());
  const Seq reached = std::prev(last)->header.cut;
  // The last record's frame covers nothing, and nothing that was written after it arrived.
  reseal(*disk, *last, [](FrameHeader& header, auto) { header.cut = 0; });
  auto& bytes = disk->bytes(last->file);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(last->offset + frame_bytes(last->header.payload_bytes)),
            bytes.end(), std::byte{0});
  const Seq discarded = base::load_le<Seq>(bytes.data() + last->offset + k_frame_header_bytes);
  const auto found = must(look(*disk, k_options));
  CHECK(found.end.cut == reached);
  CHECK(found.end.records_applied == found.records.size());
  CHECK(found.end.records_discarded == last->header.records);
  CHECK(found.end.numbers_end == discarded + 1);
  CHECK(discarded >= reached);
}

TEST_CASE("numbers of frames behind a torn one are used no more") {
  SimulatedDisk disk;
  Life life(disk, k_options);
  life.write_durably("a", "1");
  life.write("b", "2");
  life.round();
  const Seq last = life.write("c", "3");
  life.round();
  const auto left = disk.killed();
  auto frames = frames_on(*left, k_options);
  std::erase_if(frames, [](const auto& frame) { return frame.header.records == 0; });
  REQUIRE(frames.size() == 3);
  // Its record alone tells of its number.
  reseal(*left, frames[2], [](FrameHeader& header, auto) { header.cut = header.durable = 0; });
  left->bytes(frames[1].file)[frames[1].offset + k_frame_header_bytes] ^= std::byte{1};
  const auto found = must(look(*left, k_options));
  CHECK(found.records.size() == 1);
  CHECK(found.end.numbers_end == last + 1);
}

TEST_CASE("a record numbered below the cut that the log has reached is refused") {
  const auto below = [](FrameHeader&, std::span<std::byte> payload) {
    base::store_le(payload.data(), base::first_seq_of(1));
  };
  expect_refused_when(second_marker, below, "the frame's records make no sense");
}

TEST_CASE("a record at the cut that the log has reached is not below it") {
  const auto disk = two_lives();
  const auto frames = frames_on(*disk, k_options);
  const auto marker = std::ranges::find_if(frames, second_marker);
  const Seq reached = std::prev(marker)->header.cut;
  reseal(*disk, *marker, [&](FrameHeader&, std::span<std::byte> payload) { base::store_le(payload.data(), reached); });
  const auto found = must(look(*disk, k_options));
  CHECK(std::ranges::count(found.records, reached, &test::Record::seq) == 1);
}

TEST_CASE("a marker whose cut is below the one reached is refused, one that repeats it is not") {
  expect_refused_when(
      second_marker, [](FrameHeader& header, auto) { header.cut = base::first_seq_of(2); }, "the cut went back");
  const auto disk = two_lives();
  const auto frames = frames_on(*disk, k_options);
  const auto marker = std::ranges::find_if(frames, second_marker);
  const Seq reached = std::prev(marker)->header.cut;
  const test::Records before = must(look(*disk, k_options)).records;
  CHECK(before.size() == 4);
  reseal(*disk, *marker, [&](FrameHeader& header, auto) { header.cut = reached; });
  // What the marker held waits for the next one.
  CHECK(test::difference(must(look(*disk, k_options)).records, before) == "");
}

/// A log whose only frame is the recovery frame of its only segment.
std::string open_with(const SegmentHeader& segment, const FrameHeader& frame) {
  constexpr std::uint64_t k_store_id = 0x1122334455667788;
  SimulatedDisk disk;
  must(write_identity(disk, k_options.directory,
                      {k_format_version, k_store_id, 7, segment.generation, segment.first_frame}));
  std::vector<std::byte> bytes(16 * base::k_block_bytes);
  encode(segment, k_store_id, std::span(bytes).first(base::k_block_bytes));
  seal_frame(frame, k_store_id, std::span(bytes).subspan(base::k_block_bytes));
  disk.put(segment_file_name(1), bytes);
  return outcome(Life::begin(disk, k_options));
}

std::string open_with_era(std::uint64_t segment, std::uint64_t frame) {
  return open_with({1, 1, segment, 1}, {FrameHeader::k_recovery, 1, 1, frame, base::first_seq_of(1)});
}

std::string open_with_number(std::uint64_t number) {
  return open_with({1, number, 1, 1}, {FrameHeader::k_recovery, 1, number, 1, base::first_seq_of(1)});
}

std::string open_with_generation(std::uint64_t generation, std::uint64_t era) {
  return open_with({generation, 1, era, 1}, {FrameHeader::k_recovery, generation, 1, era, base::first_seq_of(1)});
}

std::string open_with_cut(Seq cut) { return open_with({1, 1, 1, 1}, {FrameHeader::k_recovery, 1, 1, 1, cut}); }

TEST_CASE("numbers that no store comes to are refused: what follows them would not fit") {
  constexpr std::uint64_t k_highest = ~std::uint64_t{0};
  CHECK(open_with_era(1, 1) == "ok");
  CHECK(open_with_era(1, k_era_max) == "ok");
  CHECK(open_with_era(k_era_max, k_era_max) == "ok");
  for (const std::uint64_t era : {k_era_max + 1, std::uint64_t{1} << 32, k_highest - 1, k_highest}) {
    INFO("era " << era);
    CHECK(open_with_era(1, era) == "corrupt");
    CHECK(open_with_era(era, era) == "corrupt");
  }
  CHECK(open_with_number(k_frame_number_max - 1) == "ok");
  for (const std::uint64_t number : {k_frame_number_max, k_highest - 1, k_highest}) {
    INFO("frame " << number);
    CHECK(open_with_number(number) == "corrupt");
  }
  constexpr std::uint64_t k_generations = std::uint64_t{1} << k_generation_bits;
  CHECK(open_with_generation(4 * k_generations - 1, 3) == "ok");
  for (const std::uint64_t generation : {4 * k_generations, k_highest - 1, k_highest}) {
    INFO("generation " << generation);
    CHECK(open_with_generation(generation, 3) == "corrupt");
  }
  CHECK(open_with_cut(k_opening_seq_max) == "ok");
  for (const Seq cut : {k_opening_seq_max + 1, k_seq_max, k_highest - 1, k_highest}) {
    INFO("cut " << cut);
    CHECK(open_with_cut(cut) == "corrupt");
  }
}

TEST_CASE("a number behind the end that no store comes to is refused") {
  for (const Seq seq : {k_opening_seq_max, k_seq_max}) {
    const auto disk = two_lives();
    const auto frames = frames_on(*disk, k_options);
    const auto last = std::prev(std::ranges::find_if(frames.rbegin(), frames.rend(), second_marker).base());
    reseal(*disk, *last, [seq](FrameHeader& header, std::span<std::byte> payload) {
      header.cut = 0;
      base::store_le(payload.data(), seq);
    });
    auto& bytes = disk->bytes(last->file);
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(last->offset + frame_bytes(last->header.payload_bytes)),
              bytes.end(), std::byte{0});
    CHECK(outcome(look(*disk, k_options)) == "corrupt");
    CHECK(outcome(Life::begin(*disk, k_options)) == "corrupt");
  }
}

}  // namespace
}  // namespace actable::wal
