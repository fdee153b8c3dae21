// Recovery of a whole directory: replay of the log, then opening a store on it,
// twice.

#include "store/access.h"
#include "tests/lab/fuzz/checksums.h"
#include "tests/lab/fuzz/expect.h"
#include "tests/lab/fuzz/memory_meter.h"
#include "tests/lab/fuzz/mutations.h"
#include "tests/support/results.h"
#include "tests/wal/log_fixture.h"
#include "wal/format.h"

#include <chrono>
#include <map>
#include <set>

namespace actable::lab::fuzz {
namespace {

using test::must;
using test::Record;
using test::SimulatedDisk;

using Content = std::map<std::string, std::map<std::string, std::string>>;

/// Blocks are read and kept as records, sorted, and compared: each byte of the
/// files is held a few times over.
constexpr std::size_t k_memory_factor = 24;
/// A store's own buffers, its tables and its log's.
constexpr std::size_t k_replay_bytes = std::size_t{256} << 10;
constexpr std::size_t k_store_bytes = std::size_t{24} << 20;

Options options() {
  Options options;
  options.directory = "/simulated";
  options.log_io = LogIo::pwrite;
  options.write_interval = std::chrono::milliseconds(1);
  options.shards = 1;
  options.segment_bytes = std::uint64_t{1} << 20;
  options.staging_bytes = std::size_t{1} << 20;
  return options;
}

/// The records of every whole frame, wherever it lies.
std::set<Record> records_in_frames(const Directory& directory, std::uint64_t store_id) {
  std::set<Record> records;
  for (const Directory::Segment& segment : directory.segments) {
    for (std::size_t at = base::k_block_bytes; at < segment.bytes.size(); at += base::k_block_bytes) {
      const auto bytes = std::span(segment.bytes).subspan(at);
      const auto header = wal::decode_frame_header(bytes);
      if (!header || !wal::frame_whole(*header, store_id, bytes)) continue;
      std::span<const std::byte> rest = bytes.subspan(wal::k_frame_header_bytes, header->payload_bytes);
      while (const auto r = wal::take_record(rest)) {
        records.insert({r->seq, std::string(r->key), std::string(r->value), r->space, r->tombstone});
      }
    }
  }
  return records;
}

/// What replay delivers is in whole frames, below the cut, and the same each time.
Result<test::Found> check_replay(const Directory& directory) {
  const auto disk = directory.disk();
  const MemoryMeter meter;
  auto found = test::look(*disk, options());
  meter.expect_within(directory.bytes(), k_memory_factor, k_replay_bytes);
  const auto again = test::look(*disk, options());
  expect(test::outcome(found) == test::outcome(again) && test::message(found) == test::message(again),
         "replayed twice, it says another thing");
  expect(test::outcome(found) != "io_error" && test::outcome(found) != "no_memory", test::message(found));
  if (!found) return found;
  expect(found->records == again->records && found->end.cut == again->end.cut &&
             found->end.numbers_end == again->end.numbers_end,
         "replayed twice, it gives another thing");
  const auto written = records_in_frames(directory, *store_id_of(directory));
  for (const Record& record : found->records) {
    expect(record.seq < found->end.cut, "a record at or above the cut was delivered");
    expect(written.contains(record), "a record was delivered that no whole frame holds");
  }
  return found;
}

Content content_of(Store& store) {
  Content content;
  for (const std::string& name : store.spaces()) {
    const auto space = store.space(name);
    if (!space) continue;  // A name that the catalog should not hold.
    auto& held = content[name];
    for (Cursor cursor = space->scan(); must(cursor.next());) {
      expect(held.emplace(cursor.entry().key, cursor.entry().value).second, "a key comes twice");
    }
  }
  return content;
}

/// What this life adds may be the one thing too many for the next one.
bool near_the_highest_numbers(const Directory& directory, const wal::LogEnd& end) {
  for (const Directory::Segment& segment : directory.segments) {
    const auto decoded = wal::decode_segment_header(segment.bytes, *store_id_of(directory));
    if (decoded.state == wal::HeaderState::whole && decoded.header.era >= wal::k_opening_era_max) return true;
  }
  constexpr Seq k_life_seqs = Seq{1} << 48;
  constexpr std::uint64_t k_life_frames = 1 << 10;
  return end.era >= wal::k_opening_era_max || end.next_frame >= wal::k_frame_number_max - k_life_frames ||
         end.numbers_end >= wal::k_opening_seq_max - k_life_seqs;
}

/// Puts into each space what its next opening has to show.
void put_into(Store& store, Content& content) {
  for (auto& [name, held] : content) {
    auto space = store.space(name);
    if (!space) continue;
    must(space->put("put by the fuzzer", "value"));
    held["put by the fuzzer"] = "value";
  }
}

/// A store opens only where replay succeeds, and closed, opens again with the
/// same and with what was put.
void check_store(const Directory& directory, const Result<test::Found>& found) {
  const auto disk = directory.disk();
  const MemoryMeter meter;
  auto store = store::Access::open(options(), *disk);
  meter.expect_within(directory.bytes(), k_memory_factor, k_store_bytes);
  expect(test::outcome(store) != "io_error" && test::outcome(store) != "no_memory", test::message(store));
  if (!store) return;
  expect(found || directory.identity.empty(), "replay refuses it, but a store opens");
  Content content = content_of(*store);
  put_into(*store, content);
  const auto closed = store->close();
  expect(closed.has_value(), test::message(closed));
  if (found && near_the_highest_numbers(directory, found->end)) return;
  auto again = store::Access::open(options(), *disk);
  expect(again.has_value(), "opened and closed, it does not open again: " + test::message(again));
  expect(content_of(*again) == content, "opened twice, it holds another thing");
}

}  // namespace
}  // namespace actable::lab::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actable::lab::fuzz;
  Directory directory = Directory::parse(std::as_bytes(std::span(data, size)));
  if (target_repairs(size)) repair(directory);
  const auto found = check_replay(directory);
  // A refused directory goes no further in a store; some do to be sure.
  if (found || size % 16 == 0) check_store(directory, found);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max,
                                               unsigned seed) {
  return actable::lab::fuzz::mutate_directory(data, size, size_max, seed);
}
