#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

// Where an opening goes on, and what it says of itself.
namespace actable::wal {
namespace {

using namespace std::chrono_literals;
using test::FrameOnDisk;
using test::frames_on;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);

/// The cut of an era's recovery frame: its numbers begin there.
Seq beginning_of(SimulatedDisk& disk, std::uint64_t era) {
  for (const FrameOnDisk& frame : frames_on(disk, k_options)) {
    if (frame.header.era == era && (frame.header.flags & FrameHeader::k_recovery) != 0) return frame.header.cut;
  }
  test::fail_test("the era has no recovery frame");
}

/// A log of three frames with records, of which the first alone was synced.
std::unique_ptr<SimulatedDisk> crashed() {
  SimulatedDisk disk;
  Life life(disk, k_options);
  life.write_durably("a", "1");
  for (const char* key : {"b", "c"}) {
    life.write(key, "2");
    life.round();
  }
  return disk.killed();
}

TEST_CASE("after a crash numbers go on 2^22 epochs above the highest that the log shows") {
  constexpr base::Epoch k_epochs_skipped = base::Epoch{1} << 22;
  for (const bool torn : {false, true}) {
    INFO("torn " << torn);
    auto disk = crashed();
    auto frames = frames_on(*disk, k_options);
    std::erase_if(frames, [](const FrameOnDisk& frame) { return frame.header.records == 0; });
    REQUIRE(frames.size() == 3);
    // Then frames that are void tell of the highest.
    if (torn) disk->bytes(frames[1].file)[frames[1].offset + k_frame_header_bytes] ^= std::byte{1};
    disk = disk->killed();
    const LogEnd end = must(look(*disk, k_options)).end;
    if (torn) REQUIRE(base::epoch_of(end.numbers_end) > base::epoch_of(end.cut));
    const Seq due = base::first_seq_of(base::epoch_of(end.numbers_end) + k_epochs_skipped);
    Life life(*disk, k_options);
    CHECK(life.write("k", "v") >= due);
    CHECK(beginning_of(*disk, 2) == due);
  }
}

TEST_CASE("after a clean close numbers go on where they ended") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    life.write_durably("k", "v");
    must(life.close());
  }
  const Seq cut = must(look(disk, k_options)).end.cut;
  const Life life(disk, k_options);
  CHECK(life.cut() == cut);
  CHECK(beginning_of(disk, 2) == cut);
}

TEST_CASE("an opening says how long it took") {
  constexpr auto k_listing = 2ms;
  const auto disk = crashed();
  test::FaultyFileSystem files(*disk);
  files.delay(test::Call::list, k_listing);
  const auto began = std::chrono::steady_clock::now();
  Life life(files, k_options);
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(life.log().recovery().duration >= k_listing);
  CHECK(life.log().recovery().duration <= took);
}

TEST_CASE("the segments that an era begins have generations of that era, though a header is lost") {
  // Room for one frame in each segment, so that each opening begins another.
  Options options = k_options;
  options.segment_bytes = 2 * base::k_block_bytes;
  auto disk = std::make_unique<SimulatedDisk>();
  for (std::uint64_t era = 1; era <= 4; ++era) {
    INFO("era " << era);
    std::unique_ptr<SimulatedDisk> left;
    {
      Life life(*disk, options);
      life.write_durably("k", "v");
      life.write("unsynced", "v");
      life.round();
      left = disk->killed();
    }
    const auto identity = must(read_identity(*left, options.directory));
    std::size_t begun = 0;
    for (const SegmentFile& segment : must(list_segments(*left, options.directory, identity->store_id))) {
      if (segment.header.era != era) continue;
      ++begun;
      // Those of the first begin at 1.
      CHECK(segment.header.generation >> k_generation_bits == (era == 1 ? 0 : era));
    }
    CHECK(begun >= 3);
    // What was not synced lost the header of its segment.
    const FrameOnDisk last = frames_on(*left, options).back();
    std::fill_n(left->bytes(last.file).begin(), base::k_block_bytes, std::byte{0});
    disk = left->killed();
  }
}

}  // namespace
}  // namespace actable::wal
