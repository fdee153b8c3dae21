#include "tests/lab/rot/small_log.h"

#include "store/catalog.h"
#include "tests/lab/leg.h"
#include "tests/support/model.h"
#include "wal/identity.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace actable::lab::rot {
namespace {

using test::FrameOnDisk;
using test::Life;
using test::must;
using test::Random;
using test::Record;
using test::Records;
using test::SimulatedDisk;

constexpr std::uint32_t k_accounts = 1;
constexpr std::uint32_t k_events = 2;
constexpr std::uint64_t k_blocks_per_segment = 6;

/// Writes what a program would, to a log without a store above it.
///
/// Thread safety: *confined*.
class Author {
 public:
  explicit Author(Random& random) : random_(random) {}

  void make_spaces(Life& life) {
    stage(life, {{.key = "accounts", .value = store::encode_space(k_accounts), .space = store::k_catalog_id}});
    stage(life, {{.key = "events", .value = store::encode_space(k_events), .space = store::k_catalog_id}});
  }

  /// A few writes, which go into one frame.
  void write_little(Life& life) {
    stage(life, {put(k_accounts, random_.skewed(120))});
    stage(life, {put(k_events, random_.skewed(60))});
    stage(life, {erasure(k_accounts)});
    stage(life, {{.key = "visits", .value = test::counter_bytes(++visits_), .space = k_accounts}});
    // A batch names a key once.
    stage(life, {{.key = "from", .value = text(8), .space = k_accounts},
                 {.key = "to", .value = text(8), .space = k_accounts},
                 {.key = "transfer", .value = text(20), .space = k_events}});
  }

  /// A write too large to be gathered: it has a frame to itself.
  void write_much(Life& life) { stage(life, {put(k_events, 2'100 + random_.below(200))}); }

  void write_round(Life& life, unsigned round) {
    write_little(life);
    if (round % 3 == 1) write_much(life);
  }

  /// Rounds that are on disk when this returns. Returns the number that they are below.
  Seq write_durably(Life& life, unsigned rounds) {
    for (unsigned round = 0; round < rounds; ++round) {
      write_round(life, round);
      must(life.wait_durable(life.written().back().seq));
    }
    return life.written().back().seq + 1;
  }

 private:
  static void stage(Life& life, Records records) { must(life.try_stage(std::move(records))); }

  Record put(std::uint32_t space, std::size_t bytes) { return {.key = key(), .value = text(bytes), .space = space}; }
  Record erasure(std::uint32_t space) { return {.key = key(), .space = space, .tombstone = true}; }
  std::string key() { return "key" + std::to_string(random_.below(8)); }
  std::string text(std::size_t bytes) {
    std::string made(bytes, ' ');
    for (char& c : made) c = static_cast<char>(random_());
    return made;
  }

  Random& random_;
  std::int64_t visits_ = 0;
};

void zero_block(SimulatedDisk& disk, const FrameOnDisk& frame) {
  std::fill_n(disk.bytes(frame.file).begin() + static_cast<std::ptrdiff_t>(frame.offset), base::k_block_bytes,
              std::byte{0});
}

/// Everything up to `durable`, and a tail of which the marker was lost: void.
std::unique_ptr<SimulatedDisk> first_life(Author& author, Records& records) {
  SimulatedDisk disk;
  Life life(disk, small_options());
  author.make_spaces(life);
  const Seq durable = author.write_durably(life, 3);
  author.write_much(life);
  life.round();
  auto left = disk.killed();
  auto frames = test::frames_on(*left, small_options());
  require(frames.back().header.cut > durable, "the tail has no marker of its own");
  zero_block(*left, frames.back());
  records = test::below(durable, life.written());
  return left;
}

void add(Records& records, const Records& more) { std::ranges::copy(more, std::back_inserter(records)); }

void second_life(Author& author, SimulatedDisk& disk, Records& records) {
  Life life(disk, small_options());
  (void)author.write_durably(life, 3);
  must(life.close());
  add(records, life.written());
}

SmallLog finished(std::string state, std::unique_ptr<SimulatedDisk> disk, Records records, Seq durable) {
  std::ranges::sort(records);
  SmallLog log{.state = std::move(state),
               .disk = std::move(disk),
               .names = {},
               .frames = {},
               .records = std::move(records),
               .durable = durable};
  log.names = log.disk->names();
  log.frames = test::frames_on(*log.disk, small_options());
  const auto found = must(test::look(*log.disk, small_options()));
  const std::string differs = test::difference(found.records, log.records);
  require(differs.empty(), "the undamaged log, " + log.state + ": " + differs);
  return log;
}

/// Waits for the seal frame of an idle log.
std::unique_ptr<SimulatedDisk> idle_disk(const SimulatedDisk& disk, Seq durable) {
  std::unique_ptr<SimulatedDisk> left;
  test::until("the idle log is sealed", [&] {
    left = disk.killed();
    return test::frames_on(*left, small_options()).back().header.durable >= durable;
  });
  return left;
}

/// A life that closed cleanly and one that was killed, in one segment: behind the
/// clean frame nothing but the second life's own frames tells of that life.
SmallLog two_lives_in_one_segment(Author& author) {
  Options options = small_options();
  options.segment_bytes = 16 * base::k_block_bytes;
  SimulatedDisk disk;
  Records records;
  {
    Life life(disk, options);
    author.make_spaces(life);
    (void)author.write_durably(life, 1);
    must(life.close());
    records = life.written();
  }
  Life life(disk, options);
  const Seq durable = author.write_durably(life, 2);
  add(records, life.written());
  return finished("closed, reopened and killed in one segment", idle_disk(disk, durable), std::move(records), durable);
}

}  // namespace

Options small_options() {
  Options options = test::log_options(LogIo::pwrite);
  options.segment_bytes = k_blocks_per_segment * base::k_block_bytes;
  return options;
}

std::vector<SmallLog> make_small_logs(std::uint64_t seed) {
  Random random(seed);
  Author author(random);
  Records records;
  const auto disk = first_life(author, records);
  second_life(author, *disk, records);

  std::vector<SmallLog> logs;
  Life life(*disk, small_options());
  const Seq durable = author.write_durably(life, 5);
  const auto all = [&] {
    Records so_far = records;
    add(so_far, life.written());
    return so_far;
  };
  logs.push_back(finished("killed while idle", idle_disk(*disk, durable), all(), durable));

  auto before_seal = logs.back().disk->killed();
  zero_block(*before_seal, logs.back().frames.back());
  logs.push_back(finished("killed right after a sync", std::move(before_seal), all(), durable));

  author.write_much(life);
  author.write_little(life);
  life.round();
  logs.push_back(finished("killed with an unsynced tail", disk->killed(), all(), durable));

  must(life.close());
  const Seq closed_at = life.written().back().seq + 1;
  logs.push_back(finished("closed cleanly", disk->killed(), all(), closed_at));
  {
    const Life opened(*disk, small_options());
    logs.push_back(finished("opened and killed", disk->killed(), all(), closed_at));
  }
  logs.push_back(two_lives_in_one_segment(author));
  return logs;
}

}  // namespace actable::lab::rot
