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

/// Nothing that was written behind the frame arrived.
void blank_behind(SimulatedDisk& disk, const FrameOnDisk& frame) {
  auto& bytes = disk.bytes(frame.file);
  const std::uint64_t end = frame.offset + frame_bytes(frame.header.payload_bytes);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(end), bytes.end(), std::byte{0});
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
  blank_behind(*disk, *last);
  const Seq discarded = base::load_le<Seq>(disk->bytes(last->file).data() + last->offset + k_frame_header_bytes);
  const auto found = must(look(*disk, k_options));
  CHECK(found.end.cut == reached);
  CHECK(found.end.records_applied == found.records.size());
  CHECK(found.end.records_discarded == last->header.records);
  CHECK(found.end.numbers_end == discarded + 1);
  CHECK(discarded >= reached);
  // One at the very cut is not below it.
  const auto at_the_cut = disk->killed();
  reseal(*at_the_cut, *last, [&](FrameHeader& header, std::span<std::byte> payload) {
    header.cut = 0;
    base::store_le(payload.data(), reached);
  });
  CHECK(must(look(*at_the_cut, k_options)).end.records_discarded == last->header.records);
  Life life(*disk, k_options);
  CHECK(life.log().recovery().records_discarded == last->header.records);
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

constexpr std::uint64_t k_store_id = 0x1122334455667788;

/// A frame to be made. Where `key` is not empty it holds a record of that number.
struct Crafted {
  FrameHeader header;
  std::string key{};
  Seq seq = 0;
};

/// Puts a segment on the disk that holds these frames, each in a block of its own.
void put_segment(SimulatedDisk& disk, const SegmentHeader& segment, const std::vector<Crafted>& frames) {
  std::vector<std::byte> bytes(16 * base::k_block_bytes);
  encode(segment, k_store_id, std::span(bytes).first(base::k_block_bytes));
  std::span<std::byte> rest = std::span(bytes).subspan(base::k_block_bytes);
  for (Crafted frame : frames) {
    frame.header.generation = segment.generation;
    if (!frame.key.empty()) {
      frame.header.records = 1;
      frame.header.payload_bytes = static_cast<std::uint32_t>(record_bytes(frame.key.size(), 0));
      encode(LogRecord{frame.seq, 1, false, frame.key, ""}, rest.data() + k_frame_header_bytes);
    }
    seal_frame(frame.header, k_store_id, rest.first(base::k_block_bytes));
    rest = rest.subspan(base::k_block_bytes);
  }
  disk.put(segment_file_name(segment.file_number), bytes);
}

/// Says that the log begins with this segment.
void put_identity(SimulatedDisk& disk, const SegmentHeader& segment) {
  must(write_identity(disk, k_options.directory,
                      {k_format_version, k_store_id, 7, segment.generation, segment.first_frame}));
}

/// A log whose only frame is the recovery frame of its only segment.
std::string open_with(const SegmentHeader& segment, const FrameHeader& frame) {
  SimulatedDisk disk;
  put_identity(disk, segment);
  put_segment(disk, segment, {{frame}});
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

TEST_CASE("a file that is no part of the log has an era that no store comes to: it is refused") {
  const SegmentHeader log{1, 1, 1, 1};
  for (const auto& [era, due] : {std::pair{k_opening_era_max, "ok"}, {k_opening_era_max + 1, "corrupt"}}) {
    INFO("era " << era);
    SimulatedDisk disk;
    put_identity(disk, log);
    put_segment(disk, log, {{{FrameHeader::k_recovery, 1, 1, 1, base::first_seq_of(1)}}});
    put_segment(disk, {2, 100, era, 2}, {});
    const std::uint64_t changes = disk.changes();
    CHECK(outcome(Life::begin(disk, k_options)) == due);
    CHECK((disk.changes() == changes) == (due == std::string_view("corrupt")));
  }
}

TEST_CASE("numbers that no store comes to are refused: what follows them would not fit") {
  constexpr std::uint64_t k_highest = ~std::uint64_t{0};
  CHECK(open_with_era(1, 1) == "ok");
  CHECK(open_with_era(1, k_opening_era_max) == "ok");
  CHECK(open_with_era(k_opening_era_max, k_opening_era_max) == "ok");
  for (const std::uint64_t era :
       {k_opening_era_max + 1, k_era_max, k_era_max + 1, std::uint64_t{1} << 32, k_highest - 1, k_highest}) {
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
    blank_behind(*disk, *last);
    CHECK(outcome(look(*disk, k_options)) == "corrupt");
    CHECK(outcome(Life::begin(*disk, k_options)) == "corrupt");
  }
}

TEST_CASE("the next frame follows only if its era is the present one, or a later one that it begins") {
  const auto disk = two_lives();
  const auto frames = frames_on(*disk, k_options);
  const auto last = std::prev(std::ranges::find_if(frames.rbegin(), frames.rend(), second_marker).base());
  const auto before = std::prev(last);
  const Seq reached = before->header.cut;
  blank_behind(*disk, *last);
  // A frame without records, so that it could as well begin an era; its cut is above the one reached.
  const auto as = [&](std::uint64_t era, std::uint32_t flags) {
    reseal(*disk, *last, [&](FrameHeader& header, auto) {
      header.era = era;
      header.flags = flags;
      header.payload_bytes = header.records = 0;
      header.durable = 0;
    });
  };
  as(2, 0);
  CHECK(must(look(*disk, k_options)).end.cut == last->header.cut);
  as(3, FrameHeader::k_recovery);
  CHECK(must(look(*disk, k_options)).end.era == 3);
  // Frames of an era are written when its recovery frame is on disk: that one is gone.
  as(3, 0);
  CHECK(outcome(look(*disk, k_options)) == "corrupt");
  // What an earlier era left.
  for (const std::uint32_t flags : {std::uint32_t{0}, std::uint32_t{FrameHeader::k_recovery}}) {
    as(1, flags);
    const LogEnd end = must(look(*disk, k_options)).end;
    CHECK(end.era == 2);
    CHECK(end.cut == reached);
    CHECK(end.next_frame == last->header.number);
  }
}

TEST_CASE("of two segments that begin with the next frame the one of the later generation goes on") {
  constexpr std::uint64_t k_second_era = (std::uint64_t{2} << k_generation_bits) + 1;
  constexpr Seq k_first = base::first_seq_of(1);
  constexpr Seq k_second = base::first_seq_of(10);
  struct Row {
    std::uint64_t void_file;
    std::uint64_t next_file;
  };
  for (const Row row : {Row{2, 3}, Row{3, 2}}) {
    SimulatedDisk disk;
    const SegmentHeader first{1, 1, 1, 1};
    put_identity(disk, first);
    put_segment(disk, first, {{{.flags = FrameHeader::k_recovery, .number = 1, .era = 1, .cut = k_first}}});
    // The first era came to no marker here.
    put_segment(disk, {2, 2, 1, row.void_file}, {{{.number = 2, .era = 1}, "void", k_first}});
    put_segment(disk, {k_second_era, 2, 2, row.next_file},
                {{{.flags = FrameHeader::k_recovery, .number = 2, .era = 2, .cut = k_second}},
                 {{.number = 3, .era = 2, .cut = base::first_seq_of(11)}, "next", k_second}});
    const auto found = must(look(disk, k_options));
    CHECK(found.end.era == 2);
    REQUIRE(found.records.size() == 1);
    CHECK(found.records[0].key == "next");
  }
}

TEST_CASE("the cut of a void frame without records behind the end tells of numbers that were in use") {
  constexpr Seq k_first = base::first_seq_of(1);
  constexpr Seq k_less = base::first_seq_of(20);
  constexpr Seq k_more = base::first_seq_of(30);
  struct Row {
    Seq cut;
    Seq next_cut;
    Seq numbers_end;
  };
  for (const Row row : {Row{0, 0, k_first}, Row{k_more, 0, k_more}, Row{0, k_more, k_more}, Row{k_more, k_less, k_more},
                        Row{k_less, k_more, k_more}}) {
    SimulatedDisk disk;
    const SegmentHeader first{1, 1, 1, 1};
    put_identity(disk, first);
    // The second frame is missing: what follows is void.
    put_segment(disk, first,
                {{{.flags = FrameHeader::k_recovery, .number = 1, .era = 1, .cut = k_first}},
                 {{.number = 3, .era = 1, .cut = row.cut, .durable = k_first}},
                 {{.number = 4, .era = 1, .cut = row.next_cut, .durable = k_first}}});
    const LogEnd end = must(look(disk, k_options)).end;
    CHECK(end.cut == k_first);
    CHECK(end.numbers_end == row.numbers_end);
  }
}

}  // namespace
}  // namespace actable::wal
