#include "wal/segments.h"

#include "base/hash.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <map>
#include <string>

// A log over many files: going on in the next, using one again, files amiss.
namespace actable::wal {
namespace {

using test::below;
using test::ContainsSubstring;
using test::difference;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::outcome;
using test::Random;
using test::Record;
using test::Records;
using test::SimulatedDisk;
using test::until;

const Options k_options = log_options(LogIo::pwrite);
constexpr std::uint64_t k_all_spare = ~std::uint64_t{0};

/// A log of some segments, killed; every record was synced but the last.
struct LongLog {
  std::unique_ptr<SimulatedDisk> disk;
  Records records;

  LongLog() {
    SimulatedDisk writing;
    Life life(writing, k_options);
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    life.write("last", "");
    life.round();
    records = life.written();
    disk = writing.killed();
  }
};

TEST_CASE("a log goes on in as many files as it needs, and one frame can be larger than a file") {
  const LogIo io = GENERATE(test::from_range(test::every_log_io()));
  Options options = log_options(io);
  options.segment_bytes = std::uint64_t{1} << 20;
  options.staging_bytes = std::size_t{8} << 20;
  SimulatedDisk disk;
  Records records;
  {
    Life life(disk, options);
    for (int i = 0; i < 3; ++i) {
      life.write("large", std::string(k_value_bytes_max, static_cast<char>('a' + i)));
      for (int k = 0; k < 30; ++k) life.write("k" + std::to_string(k), std::string(30'000, 'v'));
      life.write_durably("small", "");
    }
    CHECK(life.stats().segments >= 6);
    const auto left = disk.killed();
    CHECK(difference(must(look(*left, options)).records, life.written()) == "");
    records = life.written();
    must(life.close());
  }
  Life life(disk, options);
  CHECK(difference(life.recovered(), records) == "");
}

TEST_CASE("the bytes of all frames that were read are counted") {
  const LongLog log;
  std::uint64_t bytes = 0;
  for (const auto& frame : test::frames_on(*log.disk, k_options)) bytes += frame_bytes(frame.header.payload_bytes);
  const auto found = must(look(*log.disk, k_options));
  CHECK(found.end.bytes == bytes);
  CHECK(bytes > 8 * 30'000);
}

TEST_CASE("segments let go are used again, and what they held is never read as new") {
  const LogIo io = GENERATE(test::from_range(test::every_log_io()));
  const Options options = log_options(io);
  Random random(test::seed());
  auto disk = std::make_unique<SimulatedDisk>();
  std::map<std::string, std::string> latest;
  std::uint64_t generation = 1;
  for (int crash = 0; crash < 3; ++crash) {
    std::unique_ptr<SimulatedDisk> left;
    {
      Life life(*disk, options);
      for (std::uint64_t turn = 0; turn < 6; ++turn) {
        // As a checkpoint does: all keys are there, durably, from this frame on.
        const std::uint64_t frame = life.log().next_frame();
        for (int k = 0; k < 6; ++k) {
          const std::string value = std::to_string(random()) + std::string(random.below(30'000), 'v');
          latest["k" + std::to_string(k)] = value;
          life.write("k" + std::to_string(k), value);
        }
        must(life.wait_durable(life.written().back().seq));
        life.log().release_before(frame, k_all_spare);
        // Taken by a round that follows the release.
        life.write_durably("released", latest["released"] = std::to_string(turn));
      }
      CHECK(life.stats().segments <= 8);
      CHECK(life.stats().segments_spare > 0);
      left = disk->power_cut(random);
    }
    const auto identity = must(read_identity(*left, options.directory));
    REQUIRE(identity);
    CHECK(identity->first_generation > generation);
    generation = identity->first_generation;
    // The files are those of the first turns, whatever the number of turns.
    CHECK(left->names().size() < 16);

    std::map<std::string, std::string> found;
    for (const Record& record : must(look(*left, options)).records) found[record.key] = record.value;
    CHECK(found == latest);
    disk = std::move(left);
  }
}

TEST_CASE("a segment's file is opened once, and the identity is written when segments are let go, not before") {
  SimulatedDisk disk;
  test::FaultyFileSystem files(disk);
  Life life(files, log_options(LogIo::pwrite));
  const std::uint64_t opens = files.calls(test::Call::open);
  const std::uint64_t present = disk.names().size();
  for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
  // A frame of its own may need another segment.
  until("the log is at rest", [&] { return life.idle(); });
  const std::uint64_t more = disk.names().size() - present;
  CHECK(more >= 3);
  CHECK(files.calls(test::Call::open) == opens + more);

  const std::uint64_t renames = files.calls(test::Call::rename);
  life.log().release_before(1, k_all_spare);
  life.write_durably("a round later", "v");
  CHECK(life.stats().segments_spare == 0);
  CHECK(files.calls(test::Call::rename) == renames);
  life.log().release_before(life.log().next_frame(), k_all_spare);
  until("segments are let go", [&] { return life.stats().segments_spare > 0; });
  CHECK(files.calls(test::Call::rename) == renames + 1);
}

TEST_CASE("spare segments beyond what was asked for are removed, and the log goes on in those that are left") {
  const bool fails = GENERATE(false, true);
  INFO((fails ? "a removal fails" : "removals succeed"));
  SimulatedDisk disk;
  test::FaultyFileSystem files(disk);
  Records due;
  {
    Life life(files, k_options);
    for (int i = 0; i < 30; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    until("the log is at rest", [&] { return life.idle(); });
    const std::uint64_t segments = life.stats().segments;
    const std::size_t names = disk.names().size();
    REQUIRE(segments > 8);
    // The first is of what may be left of the identity's writing.
    if (fails) files.fail_nth(test::Call::remove, 2);
    const std::uint64_t frame = life.log().next_frame();
    due = {life.written().back()};
    life.write_durably("last", "");
    due.push_back(life.written().back());
    const std::uint64_t spare_max = 2 * k_options.segment_bytes;
    life.log().release_before(frame, spare_max);
    until("the surplus is gone", [&] { return life.stats().segments + life.stats().segments_spare < segments; });
    until("all of it is", [&] { return life.stats().spare_bytes < spare_max + k_options.segment_bytes; });
    const LogStats stats = life.stats();
    CHECK(stats.spare_bytes >= spare_max);
    CHECK(stats.segments_spare * k_options.segment_bytes == stats.spare_bytes);
    CHECK(stats.live_bytes <= stats.segments * k_options.segment_bytes);
    // A file that could not be removed is no segment any more.
    const std::size_t files_left = stats.segments + stats.segments_spare + (fails ? 1 : 0);
    CHECK(disk.names().size() == names - segments + files_left);
    // Into spare ones and new ones.
    for (int i = 0; i < 8; ++i) {
      life.write_durably("l" + std::to_string(i), std::string(30'000, 'v'));
      due.push_back(life.written().back());
    }
    CHECK_FALSE(life.log().failed());
    CHECK(life.stats().segments_spare < stats.segments_spare);
  }
  const auto found = must(look(*disk.killed(), k_options));
  for (const Record& record : due) {
    INFO(record.key);
    CHECK(std::ranges::find(found.records, record) != found.records.end());
  }
}

TEST_CASE("a log whose segments cannot be let go goes on, and uses none of them again") {
  SimulatedDisk disk;
  test::FaultyFileSystem files(disk);
  Records due;
  {
    Life life(files, k_options);
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    due = life.written();
    files.fail_nth(test::Call::rename, 1);
    life.log().release_before(life.log().next_frame(), k_all_spare);
    life.write_durably("a round later", "v");
    life.log().release_before(life.log().next_frame(), k_all_spare);
    for (int i = 0; i < 8; ++i) life.write_durably("l" + std::to_string(i), std::string(30'000, 'v'));
    CHECK(life.stats().segments_spare == 0);
    CHECK_FALSE(life.log().failed());
    due = life.written();
  }
  const auto found = must(look(*disk.killed(), k_options));
  CHECK(difference(found.records, due) == "");
}

TEST_CASE("a crash at any step of letting segments go keeps what lies behind them") {
  Random random(test::seed());
  bool let_go = false;
  for (std::uint64_t step = 0; !let_go; ++step) {
    REQUIRE(step < 50);
    SimulatedDisk disk;
    std::unique_ptr<SimulatedDisk> left;
    Records due;
    {
      Life life(disk, k_options);
      for (int i = 0; i < 8; ++i) life.write_durably("old", std::string(30'000, 'o'));
      const std::uint64_t frame = life.log().next_frame();
      for (int i = 0; i < 4; ++i) life.write("new", std::string(30'000, 'n'));
      due = life.written();
      must(life.wait_durable(due.back().seq));
      std::erase_if(due, [](const Record& record) { return record.key == "old"; });
      const std::uint64_t last_change = disk.changes() + step;
      disk.stop_after(step);
      life.log().release_before(frame, k_all_spare);
      // With no power the log fails, at its next write at the latest.
      until("it is done or tried", [&] { return life.stats().segments_spare > 0 || disk.changes() > last_change; });
      const auto more = life.try_write("more", std::string(60'000, 'm'));
      let_go = more && life.wait_durable(*more);
      left = disk.power_cut(random);
    }
    const auto found = look(*left, k_options);
    INFO("step " << step);
    REQUIRE(outcome(found) == "ok");
    Records fresh = found->records;
    std::erase_if(fresh, [](const Record& record) { return record.key != "new"; });
    REQUIRE(difference(fresh, due) == "");
  }
}

TEST_CASE("no generation comes again in a later era, though the headers of an earlier one are lost") {
  // What the opening after a crash knows is the same both times: no header.
  const auto begun_in = [](std::uint64_t era) {
    SimulatedDisk disk;
    Segments segments(disk, "/simulated", 1, k_options.segment_bytes);
    segments.take_over({}, 0, {}, era);
    return must(segments.place(base::k_block_bytes, 1, era)).generation;
  };
  constexpr std::uint64_t k_segments_of_an_era = std::uint64_t{1} << 30;
  CHECK(begun_in(4) > begun_in(3) + k_segments_of_an_era);
}

TEST_CASE("a segment under another's name, or with another's header, is told with the name it had") {
  const LongLog log;
  const auto refused = [](test::SimulatedDisk& disk) {
    const auto found = Life::begin(disk, k_options);
    CHECK(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message, ContainsSubstring("/simulated/log-00000001: offset 0") &&
                                          ContainsSubstring("the header of log-00000003"));
  };
  const auto renamed = log.disk->killed();
  std::swap(renamed->bytes(segment_file_name(1)), renamed->bytes(segment_file_name(3)));
  refused(*renamed);
  const auto exchanged = log.disk->killed();
  std::swap_ranges(exchanged->bytes(segment_file_name(1)).begin(),
                   exchanged->bytes(segment_file_name(1)).begin() + base::k_block_bytes,
                   exchanged->bytes(segment_file_name(3)).begin());
  refused(*exchanged);
}

TEST_CASE("a missing segment is told, but for the last, which might never have been begun") {
  const LongLog log;
  const auto frames = test::frames_on(*log.disk, k_options);
  const auto names = log.disk->names();
  const auto segments = names.size() - 1;  // All but STORE.
  REQUIRE(segments >= 4);
  for (std::uint64_t missing = 1; missing < segments; ++missing) {
    const auto left = log.disk->killed();
    left->drop(segment_file_name(missing));
    const auto found = Life::begin(*left, k_options);
    CHECK(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message, ContainsSubstring("missing"));
  }
  const auto left = log.disk->killed();
  left->drop(frames.back().file);
  const auto found = look(*left, k_options);
  if (found) CHECK(difference(found->records, below(found->end.cut, log.records)) == "");
}

TEST_CASE("a file with the highest number that a segment's name may have does not use up the numbers") {
  SimulatedDisk disk;
  Records records;
  const std::string highest = segment_file_name(~std::uint64_t{0});
  CHECK(highest == "log-18446744073709551615");
  for (int opening = 0; opening < 3; ++opening) {
    Life life(disk, k_options);
    CHECK(difference(life.recovered(), records) == "");
    if (opening == 0) disk.put(highest, {});  // As a crash leaves one that was begun.
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    const Records written = life.written();
    records.insert(records.end(), written.begin(), written.end());
    must(life.close());
  }
}

TEST_CASE("a generation that a crash left in a header alone is not given out again") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    life.write_durably("k", "1");
  }
  auto left = disk.killed();
  // The next opening, which is the second, got as far as this header.
  const auto identity = must(read_identity(*left, k_options.directory));
  std::vector<std::byte> block(base::k_block_bytes);
  encode({(std::uint64_t{2} << k_generation_bits) + 1, 1'000, 2, 9}, identity->store_id, block);
  left->put(segment_file_name(9), block);
  Records records;
  {
    Life life(*left, k_options);
    for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
    records = life.written();
    CHECK(life.stats().segments >= 3);
    must(life.close());
  }
  Life life(*left, k_options);
  CHECK(life.recovered().size() == records.size() + 1);
}

TEST_CASE("a segment that is there twice is told, with both names") {
  const LongLog log;
  log.disk->put(segment_file_name(9), log.disk->bytes(segment_file_name(2)));
  const auto copied = Life::begin(*log.disk, k_options);
  CHECK(outcome(copied) == "corrupt");
  CHECK_THAT(copied.error().message, ContainsSubstring("log-00000002") && ContainsSubstring("log-00000009"));

  // Nor does a header with the copy's own number make it part of the log.
  std::vector<std::byte>& bytes = log.disk->bytes(segment_file_name(9));
  base::store_le(bytes.data() + 48, std::uint64_t{9});
  const auto store_id = base::load_le<std::uint64_t>(bytes.data() + 16);
  base::store_le(bytes.data() + 56, base::checksum(std::span<const std::byte>(bytes).first(56), store_id));
  const auto renumbered = Life::begin(*log.disk, k_options);
  CHECK(outcome(renumbered) == "corrupt");
  CHECK_THAT(renumbered.error().message, ContainsSubstring("there twice"));
}

TEST_CASE("a log whose first segment has lost its header is told which it is") {
  const LongLog log;
  Identity identity = *must(read_identity(*log.disk, k_options.directory));
  // As after the first was let go.
  const auto segments = must(list_segments(*log.disk, k_options.directory, identity.store_id));
  REQUIRE(segments.size() > 3);
  const auto& second = *std::ranges::find(segments, identity.first_generation + 1,
                                          [](const SegmentFile& segment) { return segment.header.generation; });
  identity.first_generation = second.header.generation;
  identity.first_frame = second.header.first_frame;
  must(write_identity(*log.disk, k_options.directory, identity));
  REQUIRE(look(*log.disk, k_options));
  log.disk->bytes(second.path.filename())[24] ^= std::byte{1};
  const auto found = look(*log.disk, k_options);
  REQUIRE(outcome(found) == "corrupt");
  CHECK_THAT(found.error().message,
             ContainsSubstring(second.path.string() + ": offset 0: the segment's header is damaged"));
}

TEST_CASE("a log that goes on in a segment without its header is told which it is, the last one too") {
  const LongLog log;
  const Identity identity = *must(read_identity(*log.disk, k_options.directory));
  int broken = 0;
  for (const SegmentFile& segment : must(list_segments(*log.disk, k_options.directory, identity.store_id))) {
    if (segment.header.generation == identity.first_generation) continue;
    const auto disk = log.disk->killed();
    disk->bytes(segment.path.filename())[24] ^= std::byte{1};
    const auto found = look(*disk, k_options);
    INFO(segment.path.string());
    REQUIRE(outcome(found) == "corrupt");
    CHECK_THAT(found.error().message,
               ContainsSubstring(segment.path.string() + ": offset 0: the segment's header is damaged"));
    ++broken;
  }
  CHECK(broken > 2);
}

TEST_CASE("a life of many segments behind a clean end is told, though its first frame is destroyed") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    life.write_durably("first", "life");
    must(life.close());
  }
  Life life(disk, k_options);
  for (int i = 0; i < 8; ++i) life.write_durably("k" + std::to_string(i), std::string(30'000, 'v'));
  const auto left = disk.killed();
  const auto frames = test::frames_on(*left, k_options);
  const auto second = std::ranges::find_if(frames, [](const auto& frame) { return frame.header.era == 2; });
  // All that the second life has in the segment that the first began.
  auto& bytes = left->bytes(second->file);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(second->offset), bytes.end(), std::byte{0});
  CHECK(outcome(look(*left, k_options)) == "corrupt");
}

TEST_CASE("a segment of another store is told, and so is one of a newer format") {
  const LongLog log;
  const LongLog other;
  const auto mixed = log.disk->killed();
  mixed->put(segment_file_name(9), other.disk->bytes(segment_file_name(2)));
  const auto foreign = Life::begin(*mixed, k_options);
  CHECK(outcome(foreign) == "corrupt");
  CHECK_THAT(foreign.error().message, ContainsSubstring("/simulated/log-00000009: offset 0: this file is of another"));

  const auto newer = log.disk->killed();
  std::vector<std::byte>& bytes = newer->bytes(segment_file_name(2));
  base::store_le(bytes.data() + 8, k_format_version + 1);
  const auto store_id = base::load_le<std::uint64_t>(bytes.data() + 16);
  base::store_le(bytes.data() + 56, base::checksum(std::span<const std::byte>(bytes).first(56), store_id));
  const auto unsupported = Life::begin(*newer, k_options);
  CHECK(outcome(unsupported) == "unsupported");
  CHECK_THAT(unsupported.error().message, ContainsSubstring("/simulated/log-00000002: written in format 2"));
}

TEST_CASE("files of other names are left alone") {
  const LongLog log;
  const std::vector<std::byte> bytes(100, std::byte{7});
  for (const char* name : {"log-1", "log-00000001.bak", "log-", "log-x", "notes", "STORE.old"}) {
    log.disk->put(name, bytes);
  }
  Life life(*log.disk, k_options);
  CHECK(difference(life.recovered(), log.records) == "");
  CHECK(log.disk->bytes("log-00000001.bak") == bytes);
}

}  // namespace
}  // namespace actable::wal
