// What the store writes about itself: STORE, the catalog's values, a checkpoint's manifest
// and a backup's record; and what it compresses. The first byte of the input says which.

#include "base/bytes.h"
#include "checkpoint/compression.h"
#include "checkpoint/manifest.h"
#include "store/backup_record.h"
#include "store/catalog.h"
#include "tests/lab/fuzz/checksums.h"
#include "tests/lab/fuzz/expect.h"
#include "tests/lab/fuzz/memory_meter.h"
#include "tests/lab/fuzz/mutations.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"
#include "wal/identity.h"

#include <string_view>

namespace actable::lab::fuzz {
namespace {

// An array's elements are held as objects of 24 bytes, for which one byte of
// input is enough. Up to four arrays or maps that are open, one in the other, may
// each claim as many elements as there are bytes, a map's of 48. Where msgpack
// takes memory for them it takes up to twice as much.
constexpr std::size_t k_memory_factor = 2 * (24 + 4 * 48);
constexpr std::size_t k_memory_bytes = 32 << 10;

/// Read, written and read again, an identity is the same.
void check_identity(std::span<const std::byte> bytes) {
  const auto disk = Directory{Bytes(bytes.begin(), bytes.end()), {}}.disk();
  if (bytes.empty()) disk->put(wal::k_identity_file, {});
  const MemoryMeter meter;
  const auto read = wal::read_identity(*disk, "/simulated");
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (!read) {
    expect(test::outcome(read) == "corrupt" || test::outcome(read) == "unsupported", test::message(read));
    return;
  }
  expect(read->has_value(), "STORE is there, and is not seen");
  test::must(wal::write_identity(*disk, "/simulated", **read));
  const auto again = *test::must(wal::read_identity(*disk, "/simulated"));
  const wal::Identity& was = **read;
  expect(again.store_id == was.store_id && again.hash_seed == was.hash_seed &&
             again.first_generation == was.first_generation && again.first_frame == was.first_frame,
         "an identity does not come back as it was written");
}

/// Of the manifests in the corpus.
constexpr std::uint64_t k_store_id = 77;

template <class Outcome>
void expect_refused(const Outcome& read) {
  expect(test::outcome(read) == "corrupt" || test::outcome(read) == "unsupported", test::message(read));
}

/// Read, written and read again, a manifest is the same.
void check_manifest(std::span<const std::byte> bytes) {
  test::SimulatedDisk disk;
  disk.put(checkpoint::k_manifest_file, {bytes.begin(), bytes.end()});
  const MemoryMeter meter;
  const auto read = checkpoint::read_manifest(disk, "/simulated", k_store_id);
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (!read) return expect_refused(read);
  expect(read->has_value(), "CHECKPOINT is there, and is not seen");
  const auto written = checkpoint::write_manifest(disk, "/simulated", **read);
  expect(!written.error.has_value(), "a manifest that was read cannot be written");
  expect(*test::must(checkpoint::read_manifest(disk, "/simulated", k_store_id)) == **read,
         "a manifest does not come back as it was written");
}

/// The same of a backup's record.
void check_backup(std::span<const std::byte> bytes) {
  test::SimulatedDisk disk;
  disk.put(store::k_backup_file, {bytes.begin(), bytes.end()});
  const MemoryMeter meter;
  const auto read = store::read_backup_record(disk, "/simulated");
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (!read) return expect_refused(read);
  expect(read->has_value(), "BACKUP is there, and is not seen");
  test::must(store::write_backup_record(disk, "/simulated", **read));
  expect(*test::must(store::read_backup_record(disk, "/simulated")) == **read,
         "a backup's record does not come back as it was written");
}

/// What is said to be a compressed payload is refused, or is one, whatever it claims.
void check_compressed(std::span<const std::byte> bytes) {
  // Of zstd's, beside the payload.
  constexpr std::size_t k_context_bytes = 256 << 10;
  const MemoryMeter meter;
  checkpoint::Decompressor decompressor;
  const auto payload = decompressor.decompress(bytes);
  meter.expect_within(0, 0, checkpoint::k_payload_bytes_max + k_context_bytes);
  if (!payload) return expect(test::outcome(payload) == "corrupt", test::message(payload));
  expect(!payload->empty() && payload->size() <= checkpoint::k_payload_bytes_max, "a payload that no block has");
}

/// A space's number, encoded and decoded again, is the same.
void check_catalog(std::string_view bytes) {
  const MemoryMeter meter;
  const auto id = store::decode_space(bytes);
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (id) expect(store::decode_space(store::encode_space(*id)) == id, "a space's number does not come back");
}

}  // namespace
}  // namespace actable::lab::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actable::lab::fuzz;
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] % 5 == 1) {
    check_catalog(actable::base::as_text(bytes));
    return 0;
  }
  if (data[0] % 5 == 4) {
    check_compressed(bytes);
    return 0;
  }
  Bytes record(bytes.begin(), bytes.end());
  if (target_repairs(size)) repair_identity(record);
  if (data[0] % 5 == 0) check_identity(record);
  if (data[0] % 5 == 2) check_manifest(record);
  if (data[0] % 5 == 3) check_backup(record);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t size_max,
                                               unsigned seed) {
  using namespace actable::lab::fuzz;
  size = LLVMFuzzerMutate(data, size, size_max);
  actable::test::Random random(seed);
  if (size == 0 || data[0] % 5 == 1 || data[0] % 5 == 4 || random.one_in(8)) return size;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  Bytes identity(bytes.begin(), bytes.end());
  repair_identity(identity);
  return 1 + hand_back(identity, data + 1, size_max - 1);
}
