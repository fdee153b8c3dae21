// The decoders of segment headers, frames and records, over any bytes.

#include "tests/lab/fuzz/checksums.h"
#include "tests/lab/fuzz/expect.h"
#include "tests/lab/fuzz/memory_meter.h"
#include "tests/lab/fuzz/mutations.h"
#include "tests/support/results.h"
#include "wal/frame_reader.h"

#include <algorithm>

namespace actable::lab::fuzz {
namespace {

/// A header that counts as whole is encoded to the same bytes again.
void check_segment_header(std::span<const std::byte> file, std::uint64_t store_id) {
  const auto decoded = wal::decode_segment_header(file, store_id);
  if (decoded.state != wal::HeaderState::whole) return;
  Bytes block(base::k_block_bytes);
  wal::encode(decoded.header, store_id, block);
  const auto again = wal::decode_segment_header(block, store_id);
  expect(again.state == wal::HeaderState::whole && again.header.generation == decoded.header.generation &&
             again.header.first_frame == decoded.header.first_frame && again.header.era == decoded.header.era,
         "a segment header is not what its encoding says");
}

/// Every record lies within the payload and is encoded to the same bytes again.
void check_records(std::span<const std::byte> payload) {
  std::span<const std::byte> rest = payload;
  while (true) {
    const auto before = rest;
    const auto record = wal::take_record(rest);
    if (!record) {
      expect(rest.data() == before.data() && rest.size() == before.size(), "bytes that are no record were taken");
      return;
    }
    const std::size_t bytes = wal::record_bytes(record->key.size(), record->value.size());
    expect(bytes + rest.size() == before.size(), "a record takes other bytes than its own");
    Bytes encoded(bytes);
    wal::encode(*record, encoded.data());
    expect(std::ranges::equal(encoded, before.first(bytes)), "a record is not what its encoding says");
  }
}

void check_frame(const wal::ReadFrame& frame, std::span<const std::byte> file, std::uint64_t at,
                 std::uint64_t store_id) {
  const auto in_file = file.subspan(static_cast<std::size_t>(at));
  const std::size_t bytes = wal::k_frame_header_bytes + frame.payload.bytes.size();
  expect(frame.payload.bytes.size() == frame.header.payload_bytes && bytes <= in_file.size(),
         "a frame leaves its file");
  Bytes sealed(in_file.begin(), in_file.begin() + static_cast<std::ptrdiff_t>(bytes));
  wal::seal_frame(frame.header, store_id, sealed);
  expect(std::ranges::equal(sealed, in_file.first(bytes)), "a frame is not what its seal says");
  check_records(frame.payload.bytes);
}

void check_segment(const Directory::Segment& segment, std::uint64_t store_id) {
  const Bytes& bytes = segment.bytes;
  check_segment_header(bytes, store_id);
  test::SimulatedDisk disk;
  disk.put("log", bytes);
  const auto file = test::must(disk.open("/simulated/log", {}));
  const MemoryMeter meter;
  wal::FrameReader reader(*file, bytes.size(), store_id);
  for (std::uint64_t at = 0; at < bytes.size() + base::k_block_bytes; at += base::k_block_bytes) {
    (void)test::must(reader.blank_at(at));
    if (at >= bytes.size()) break;
    const auto frame = test::must(reader.frame_at(at));
    if (frame) check_frame(*frame, bytes, at, store_id);
    // Whatever the checksum says, the records' lengths may not lead outside.
    const auto rest = std::span(bytes).subspan(static_cast<std::size_t>(at));
    if (rest.size() > wal::k_frame_header_bytes) check_records(rest.subspan(wal::k_frame_header_bytes));
  }
  meter.expect_within(bytes.size(), 4, 64 << 10);
}

}  // namespace
}  // namespace actable::lab::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actable::lab::fuzz;
  Directory directory = Directory::parse(std::as_bytes(std::span(data, size)));
  if (target_repairs(size)) repair(directory);
  const std::uint64_t store_id = store_id_of(directory).value_or(0);
  for (const Directory::Segment& segment : directory.segments) check_segment(segment, store_id);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max,
                                               unsigned seed) {
  return actable::lab::fuzz::mutate_directory(data, size, size_max, seed);
}
