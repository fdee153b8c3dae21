#include "wal/reader.h"

#include "base/hash.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <set>
#include <string>

// A log's life and how it is read back: clean, torn, damaged.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::below;
using test::ContainsSubstring;
using test::difference;
using test::FrameOnDisk;
using test::frames_on;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::outcome;
using test::Random;
using test::Record;
using test::Records;
using test::scaled;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);

/// Where a frame's header and payload end.
std::uint64_t used_end(const FrameOnDisk& frame) {
  return frame.offset + k_frame_header_bytes + frame.header.payload_bytes;
}

/// Two lives, the first killed, the second closed, and a third that only opened
/// and closed; over several small segments.
struct SmallLog {
  std::unique_ptr<SimulatedDisk> disk;
  Options options = k_options;
  Records records;

  SmallLog() {
    options.segment_bytes = 6 * base::k_block_bytes;
    SimulatedDisk first_disk;
    {
      Life life(first_disk, options);
      life.write_durably("apple", "red");
      life.write("pear", std::string(3'000, 'g'));
      life.write_durably("apple", "green");
      life.write_durably("plum", std::string(5'000, 'b'));
      disk = first_disk.killed();
      records = life.written();
    }
    {
      Life life(*disk, options);
      life.write_durably("apple", "yellow");
      must(life.wait_durable(life.erase("pear")));
      must(life.close());
      std::ranges::copy(life.written(), std::back_inserter(records));
    }
    Life life(*disk, options);
    must(life.close());
  }
};

TEST_CASE("after a clean close everything is there, and the log says that it was closed") {
  const LogIo io = GENERATE(test::from_range(test::every_log_io()));
  SimulatedDisk disk;
  Records records;
  {
    Life life(disk, log_options(io));
    CHECK(life.recovered().empty());
    CHECK_FALSE(life.log().recovery().clean);
    life.write("a", "1");
    life.write("b", std::string(100'000, 'x'));
    life.erase("a");
    life.write("empty", "");
    records = life.written();
    REQUIRE(life.close());
  }
  Life life(disk, log_options(io));
  CHECK(difference(life.recovered(), records) == "");
  CHECK(life.log().recovery().clean);
  CHECK(life.log().recovery().records_applied == 4);
  CHECK(life.log().recovery().records_discarded == 0);
  CHECK(life.cut() > records.back().seq);
}

TEST_CASE("an empty log opens again and again") {
  SimulatedDisk disk;
  std::uint64_t seed = 0;
  for (int i = 0; i < 4; ++i) {
    auto killed = disk.killed();
    const auto killed_life = i == 0 ? nullptr : std::make_unique<Life>(*killed, k_options);
    Life life(disk, k_options);
    CHECK(life.recovered().empty());
    CHECK((i == 0 || life.hash_seed() == seed));
    seed = life.hash_seed();
  }
}

TEST_CASE("after a kill everything that a round took is there") {
  SimulatedDisk disk;
  Life life(disk, k_options);
  life.write_durably("a", "1");
  life.write("b", "2");
  life.round();
  const auto left = disk.killed();
  Life next(*left, k_options);
  CHECK(difference(next.recovered(), life.written()) == "");
  CHECK_FALSE(next.log().recovery().clean);
}

TEST_CASE("a log cut short at any byte opens with an exact prefix, or says that its beginning is damaged") {
  SimulatedDisk disk;
  Life life(disk, k_options);
  life.write_durably("a", "1");
  life.write("b", std::string(5'000, '2'));
  life.write_durably("c", "3");
  life.write("d", std::string(3'000, '4'));
  life.round();
  const auto left = disk.killed();
  const std::string name = segment_file_name(1);
  const std::vector<std::byte> whole = left->bytes(name);
  const auto frames = frames_on(*left, k_options);
  const bool zeroes = GENERATE(false, true);

  std::set<Seq> cuts;
  // The header, and the first frame; its padding too must be in the file. Zeroes
  // that it ends with are as good as new: one checksum in 256 does.
  std::uint64_t beginning = zeroes ? used_end(frames.front()) : 2 * base::k_block_bytes;
  while (zeroes && whole[beginning - 1] == std::byte{0}) --beginning;
  const std::uint64_t end = base::round_up(used_end(frames.back()), base::k_block_bytes);
  Random random(test::seed());
  for (std::uint64_t size = end + 1; size-- > 0;) {
    // Of the blocks' insides a sample where each look is slow.
    if (size % base::k_block_bytes > 1 && !random.one_in(test::k_slowness)) continue;
    std::vector<std::byte>& bytes = left->bytes(name);
    if (zeroes) {
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end(), std::byte{0});
    } else {
      bytes.resize(size);
    }
    const auto found = look(*left, k_options);
    if (size < beginning) {
      if (outcome(found) != "corrupt") FAIL(size << " bytes: " << outcome(found));
      continue;
    }
    if (!found) FAIL(size << " bytes: " << found.error().message);
    const std::string differs = difference(found->records, below(found->end.cut, life.written()));
    if (!differs.empty()) FAIL(size << " bytes: " << differs);
    cuts.insert(found->end.cut);
    if (size % scaled(64) == 0) {
      const auto tail = left->killed();
      Life next(*tail, k_options);
      if (next.cut() != found->end.cut) FAIL(size << " bytes: opened with another cut");
    }
  }
  // Each round was once the last one.
  CHECK(cuts.size() >= 4);
}

TEST_CASE("a torn block anywhere in what was known to be on disk is refused, anywhere behind it is a torn tail") {
  SimulatedDisk disk;
  Life life(disk, k_options);
  for (int i = 0; i < 4; ++i) life.write_durably("synced", std::string(6'000, 's'));
  for (int i = 0; i < 4; ++i) {
    life.write("torn", std::string(6'000, 't'));
    life.round();
  }
  const auto left = disk.killed();
  const auto frames = frames_on(*left, k_options);
  const Seq durable = frames.back().header.durable;
  Seq cut = 0;
  std::set<std::string> outcomes;
  for (const FrameOnDisk& frame : frames) {
    for (std::uint64_t block = frame.offset; block < used_end(frame); block += base::k_block_bytes) {
      std::vector<std::byte>& bytes = left->bytes(frame.file);
      const auto undamaged = bytes;
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(block), base::k_block_bytes, std::byte{0});
      const auto found = look(*left, k_options);
      // The last frame's own word of the durable number goes with it.
      const bool known = cut < (&frame == &frames.back() ? std::prev(frames.end(), 2)->header.durable : durable);
      INFO("block at " << block << ", frame " << frame.header.number);
      CHECK(outcome(found) == (known ? "corrupt" : "ok"));
      if (found) {
        CHECK(found->end.cut == cut);
        CHECK(difference(found->records, below(cut, life.written())) == "");
      } else {
        CHECK_THAT(found.error().message, ContainsSubstring("/simulated/" + frame.file + ": offset "));
        CHECK_THAT(found.error().message,
                   ContainsSubstring("restore the directory from a backup; `actable-shell DIR -c verify`"));
      }
      outcomes.insert(outcome(found));
      left->bytes(frame.file) = undamaged;
    }
    if (frame.header.cut != 0) cut = frame.header.cut;
  }
  CHECK(outcomes.size() == 2);
}

TEST_CASE("one flipped bit anywhere in a closed log is refused, naming file and offset, or does no harm") {
  const SmallLog log;
  const auto frames = frames_on(*log.disk, log.options);
  const auto undamaged = must(look(*log.disk, log.options));
  REQUIRE(undamaged.end.clean);
  REQUIRE(difference(undamaged.records, log.records) == "");
  REQUIRE(undamaged.end.live.size() > 1);

  // Flips in here have to be refused: a later frame tells that the log was on
  // disk beyond the last marker before this one.
  struct Range {
    std::string file;
    std::uint64_t begin, end;
  };
  std::vector<Range> needed{{k_identity_file, 0, log.disk->bytes(k_identity_file).size()},
                            {frames.front().file, 0, k_segment_header_bytes}};
  std::vector<Range> used;
  Seq cut = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Range range{frames[i].file, frames[i].offset, used_end(frames[i])};
    used.push_back(range);
    const auto tells = [&](const FrameOnDisk& later) {
      return later.header.durable > cut || (later.header.era > frames[i].header.era);
    };
    if (std::any_of(frames.begin() + static_cast<std::ptrdiff_t>(i) + 1, frames.end(), tells)) needed.push_back(range);
    if (frames[i].header.cut != 0) cut = frames[i].header.cut;
  }
  CHECK(needed.size() >= frames.size());

  std::uint64_t refused = 0;
  std::uint64_t harmless = 0;
  Random random(test::seed());
  for (const std::string& name : log.disk->names()) {
    std::vector<std::byte>& bytes = log.disk->bytes(name);
    const auto within = [&name](std::uint64_t at) {
      return [&name, at](const Range& range) { return range.file == name && range.begin <= at && at < range.end; };
    };
    for (std::uint64_t at = 0; at < bytes.size(); ++at) {
      const bool must_refuse = std::ranges::any_of(needed, within(at));
      const bool is_used = must_refuse || std::ranges::any_of(used, within(at)) || at < k_segment_header_bytes;
      // Of padding and blank space a sample, of the rest every bit; where each
      // look is slow, of all a sample.
      if (!random.one_in(is_used ? test::k_slowness : 8 * test::k_slowness)) continue;
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (!is_used && !random.one_in(8)) continue;
        bytes[at] ^= std::byte{1} << bit;
        const auto found = look(*log.disk, log.options);
        bytes[at] ^= std::byte{1} << bit;
        if (found) {
          ++harmless;
          const std::string differs = difference(found->records, log.records);
          if (must_refuse || !differs.empty()) FAIL(name << " byte " << at << " bit " << bit << ": opens; " << differs);
          continue;
        }
        ++refused;
        const std::string& message = found.error().message;
        const bool named =
            message.find("/simulated/") != std::string::npos && message.find("offset ") != std::string::npos;
        if (!is_used || !named || (found.error().code != ErrorCode::corrupt && name != k_identity_file)) {
          FAIL(name << " byte " << at << " bit " << bit << ": " << outcome(found) << " " << message);
        }
      }
    }
  }
  CHECK(refused > 0);
  CHECK(harmless > 0);
}

TEST_CASE("a log that replay refuses does not open, and is not changed by the attempt") {
  const SmallLog log;
  const auto frames = frames_on(*log.disk, log.options);
  log.disk->bytes(frames[1].file)[frames[1].offset + 20] ^= std::byte{4};
  const std::uint64_t changes = log.disk->changes();
  const auto opened = Life::begin(*log.disk, log.options);
  CHECK(outcome(opened) == "corrupt");
  CHECK_THAT(opened.error().message,
             ContainsSubstring("/simulated/" + frames[1].file + ": offset " + std::to_string(frames[1].offset)));
  CHECK(log.disk->changes() == changes);
}

TEST_CASE("damage to the frame that a life began with is told, though that life synced only once") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    life.write_durably("a", "1");
    must(life.close());
  }
  std::unique_ptr<SimulatedDisk> left;
  {
    Life life(disk, k_options);
    life.write("b", "2");
    life.round();
    left = disk.killed();
  }
  const auto frames = frames_on(*left, k_options);
  const auto recovery = std::ranges::find_if(frames, [](const FrameOnDisk& f) { return f.header.era == 2; });
  REQUIRE(recovery != frames.end());
  REQUIRE((recovery->header.flags & FrameHeader::k_recovery) != 0);
  left->bytes(recovery->file)[recovery->offset] ^= std::byte{1};
  CHECK(outcome(look(*left, k_options)) == "corrupt");
}

TEST_CASE("numbers never go back: each life's first is above all of the lives before") {
  Random random(test::seed());
  auto disk = std::make_unique<SimulatedDisk>();
  Seq highest = 0;
  for (std::uint64_t life_number = 0; life_number < 12; ++life_number) {
    auto life = std::make_unique<Life>(*disk, k_options);
    const Seq first = life->write("k", std::to_string(life_number));
    REQUIRE(first > highest);
    REQUIRE(first >= life->cut());
    for (std::uint64_t i = 0; i < 100 + random.below(3'000); ++i) life->write("k", "v");
    highest = life->written().back().seq;
    if (random.one_in(3)) {
      must(life->close());
    } else if (random.one_in(2)) {
      life->round();
    }
    auto left = random.one_in(2) ? disk->killed() : disk->power_cut(random);
    life.reset();
    disk = std::move(left);
  }
}

TEST_CASE("behind a clean end a MiB is looked at, however much of the segment there is") {
  const auto reads_of = [](std::uint64_t segment_bytes) {
    Options options = k_options;
    options.segment_bytes = segment_bytes;
    SimulatedDisk disk;
    {
      Life life(disk, options);
      life.write_durably("k", "v");
      must(life.close());
    }
    test::FaultyFileSystem files(disk);
    CHECK(must(look(files, options)).end.clean);
    return files.calls(test::Call::read);
  };
  CHECK(reads_of(std::uint64_t{2} << 20) == reads_of(std::uint64_t{16} << 20));
}

}  // namespace
}  // namespace actable::wal
