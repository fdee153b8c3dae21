#include "tests/support/catch.h"
#include "tests/wal/log_fixture.h"

#include <algorithm>
#include <set>
#include <string>

// Rule 6: what recovery discards stays discarded, whenever the next crash comes.
namespace actable::wal {
namespace {

using test::below;
using test::difference;
using test::Found;
using test::Life;
using test::log_options;
using test::look;
using test::must;
using test::outcome;
using test::Random;
using test::Records;
using test::scaled;
using test::SimulatedDisk;

const Options k_options = log_options(LogIo::pwrite);

/// Writes some rounds that are synced and some that are not; what was staged in
/// that life comes to `written`.
std::unique_ptr<SimulatedDisk> live_and_crash(SimulatedDisk& disk, Random& random, Records& written) {
  Life life(disk, k_options);
  for (std::uint64_t i = 0; i < 1 + random.below(6); ++i) {
    for (std::uint64_t k = 0; k < random.below(4); ++k) {
      life.write("k" + std::to_string(random.below(9)), std::string(random.skewed(40'000), 'v'));
    }
    const Seq last = life.write("last", "of the round");
    if (random.one_in(2)) {
      must(life.wait_durable(last));
    } else {
      life.round();
    }
  }
  const Seq durable = life.durable();
  written = life.written();
  auto left = disk.power_cut(random);
  const Found found = must(look(*left, k_options));
  // What a life is told to be durable is found by the next, all of it.
  if (!below(durable, written).empty()) REQUIRE(found.end.cut > below(durable, written).back().seq);
  return left;
}

TEST_CASE("recovering twice gives the same") {
  Random random(test::seed());
  for (std::uint64_t run = 0; run < scaled(100); ++run) {
    SimulatedDisk disk;
    Records written;
    auto left = live_and_crash(disk, random, written);
    const Found first = must(look(*left, k_options));
    REQUIRE(difference(first.records, below(first.end.cut, written)) == "");
    for (int again = 0; again < 3; ++again) {
      std::unique_ptr<SimulatedDisk> next;
      {
        Life life(*left, k_options);
        REQUIRE(difference(life.recovered(), first.records) == "");
        next = random.one_in(2) ? left->killed() : left->power_cut(random);
      }
      left = std::move(next);
    }
  }
}

TEST_CASE("what was discarded never comes back, however often the log crashes and goes on") {
  Random random(test::seed() + 1);
  std::uint64_t discarded = 0;
  for (std::uint64_t run = 0; run < scaled(100); ++run) {
    auto disk = std::make_unique<SimulatedDisk>();
    Records due;
    for (int crash = 0; crash < 4; ++crash) {
      Records written;
      auto left = live_and_crash(*disk, random, written);
      const Found found = must(look(*left, k_options));
      const Records kept = below(found.end.cut, written);
      discarded += written.size() - kept.size();
      due.insert(due.end(), kept.begin(), kept.end());
      const std::string differs = difference(found.records, due);
      if (!differs.empty()) FAIL("run " << run << ", crash " << crash << ": " << differs);
      disk = std::move(left);
    }
  }
  CHECK(discarded > 0);
}

TEST_CASE("a crash at any step of recovery changes nothing of what is recovered") {
  Random random(test::seed() + 2);
  std::set<std::string> outcomes;
  for (std::uint64_t run = 0; run < scaled(40); ++run) {
    SimulatedDisk disk;
    Records written;
    auto left = live_and_crash(disk, random, written);
    if (random.one_in(2)) left = live_and_crash(*left, random, written);
    const Found due = must(look(*left, k_options));
    bool opened = false;
    for (std::uint64_t step = 0; !opened; ++step) {
      REQUIRE(step < 100);
      const auto crashing = left->killed();
      std::unique_ptr<SimulatedDisk> after;
      {
        crashing->stop_after(step);
        const auto life = Life::begin(*crashing, k_options);
        opened = life.has_value();
        outcomes.insert(outcome(life));
        after = crashing->power_cut(random);
      }
      for (int again = 0; again < 2; ++again) {
        std::unique_ptr<SimulatedDisk> next;
        {
          Life life(*after, k_options);
          const std::string differs = difference(life.recovered(), due.records);
          if (!differs.empty()) FAIL("run " << run << ", step " << step << ": " << differs);
          REQUIRE(life.epochs().next_seq() >= due.end.numbers_end);
          next = after->killed();
        }
        after = std::move(next);
      }
    }
  }
  CHECK(outcomes == std::set<std::string>{"ok", "io_error"});
}

TEST_CASE("a crash at any step of creation leaves a directory that opens as a new log") {
  Random random(test::seed() + 3);
  for (int run = 0; run < 10; ++run) {
    bool created = false;
    for (std::uint64_t step = 0; !created; ++step) {
      REQUIRE(step < 100);
      SimulatedDisk disk;
      disk.stop_after(step);
      created = Life::begin(disk, k_options).has_value();
      const auto left = disk.power_cut(random);
      Life life(*left, k_options);
      REQUIRE(life.recovered().empty());
      life.write_durably("k", "v");
      const auto next = left->power_cut(random);
      REQUIRE(must(look(*next, k_options)).records.size() == 1);
    }
  }
}

TEST_CASE("what a crash during creation left is not touched when no log is to be made") {
  SimulatedDisk disk;
  const Life crashed(disk, k_options);
  const auto left = disk.killed();
  left->drop(k_identity_file);
  Options options = k_options;
  options.create_if_missing = false;
  const std::uint64_t changes = left->changes();
  CHECK(outcome(Life::begin(*left, options)) == "not_found");
  CHECK(left->changes() == changes);
  Life life(*left, k_options);
  CHECK(life.recovered().empty());
}

TEST_CASE("segments of a discarded era are not taken for those of the era that replaced it") {
  // Era 1 leaves the frames of a round torn, with whole segments behind it.
  SimulatedDisk disk;
  Records kept;
  std::unique_ptr<SimulatedDisk> left;
  {
    Life life(disk, k_options);
    life.write_durably("kept", "1");
    kept = life.written();
    for (int i = 0; i < 12; ++i) {
      life.write("void", std::string(30'000, 'v'));
      life.round();
    }
    left = disk.killed();
  }
  const auto frames = test::frames_on(*left, k_options);
  const auto torn = std::ranges::find_if(frames, [](const auto& f) { return f.header.payload_bytes > 20'000; });
  REQUIRE(torn != frames.end());
  REQUIRE(frames.back().file != torn->file);
  left->bytes(torn->file)[torn->offset + 100] ^= std::byte{1};
  left = left->killed();
  REQUIRE(difference(must(look(*left, k_options)).records, kept) == "");

  // Era 2 writes frame after frame; each of its numbers was one of era 1's.
  for (int i = 0; i < 16; ++i) {
    std::unique_ptr<SimulatedDisk> next;
    {
      Life life(*left, k_options);
      REQUIRE(difference(life.recovered(), kept) == "");
      const auto written = [&] {
        life.write("k" + std::to_string(i), std::string(i % 3 == 0 ? 50'000 : 10, 'n'));
        return life.written();
      };
      const Records fresh = written();
      must(life.wait_durable(fresh.back().seq));
      kept.insert(kept.end(), fresh.begin(), fresh.end());
      life.write("unsynced", "goes");
      next = left->killed();
    }
    // The unsynced record may have been taken by a round.
    const Found found = must(look(*next, k_options));
    for (const auto& record : found.records) REQUIRE(record.key != "void");
    kept = found.records;
    left = std::move(next);
  }
}

TEST_CASE("a segment whose header was lost does not get its void frames back when it is used again") {
  // Room for one frame in each segment, so that recovery begins another.
  Options options = k_options;
  options.segment_bytes = 2 * base::k_block_bytes;
  SimulatedDisk disk;
  Life life(disk, options);
  life.write_durably("kept", "1");
  const Records kept = life.written();
  life.write("void", "2");
  life.round();
  const auto left = disk.killed();
  const auto frames = test::frames_on(*left, options);
  REQUIRE(frames.back().header.records == 1);
  std::fill_n(left->bytes(frames.back().file).begin(), base::k_block_bytes, std::byte{0});
  REQUIRE(difference(must(look(*left, options)).records, kept) == "");

  bool opened = false;
  for (std::uint64_t step = 0; !opened; ++step) {
    const auto crashing = left->killed();
    crashing->stop_after(step);
    opened = Life::begin(*crashing, options).has_value();
    INFO("step " << step);
    CHECK(difference(must(look(*crashing->killed(), options)).records, kept) == "");
  }
}

TEST_CASE("a log without its identity is refused, and so is one whose identity is newer or damaged") {
  SimulatedDisk disk;
  {
    Life life(disk, k_options);
    life.write_durably("k", "v");
  }
  const auto lost = disk.killed();
  lost->drop(k_identity_file);
  const auto without = Life::begin(*lost, k_options);
  CHECK(outcome(without) == "corrupt");
  CHECK_THAT(without.error().message, test::ContainsSubstring("/simulated/STORE: offset 0: the file is missing"));

  const auto newer = disk.killed();
  Identity identity = *must(read_identity(*newer, k_options.directory));
  ++identity.format_version;
  must(write_identity(*newer, k_options.directory, identity));
  const auto unsupported = Life::begin(*newer, k_options);
  CHECK(outcome(unsupported) == "unsupported");
  CHECK_THAT(unsupported.error().message, test::ContainsSubstring("/simulated/STORE: written in format 2"));

  const auto cut = disk.killed();
  cut->bytes(k_identity_file).resize(10);
  CHECK(outcome(Life::begin(*cut, k_options)) == "corrupt");
}

}  // namespace
}  // namespace actable::wal
