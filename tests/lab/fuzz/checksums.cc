#include "tests/lab/fuzz/checksums.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "wal/format.h"
#include "wal/identity.h"

namespace actable::lab::fuzz {
namespace {

constexpr std::size_t k_identity_head_bytes = 24;
constexpr std::size_t k_identity_file_bytes_max = 4096;

void repair_header(Bytes& bytes) {
  if (bytes.size() < wal::k_segment_header_bytes) return;
  const auto written_by = base::load_le<std::uint64_t>(bytes.data() + 16);
  base::store_le(bytes.data() + 56, base::checksum(std::span(bytes).first(56), written_by));
}

}  // namespace

void repair_identity(Bytes& identity) {
  if (identity.size() < k_identity_head_bytes) return;
  const auto body = std::span(identity).subspan(k_identity_head_bytes);
  base::store_le(identity.data() + 8, std::uint64_t{body.size()});
  base::store_le(identity.data() + 16, base::checksum(body, body.size()));
}

std::optional<std::uint64_t> store_id_of(const Directory& directory) {
  if (directory.identity.size() > k_identity_file_bytes_max) return std::nullopt;
  const auto disk = Directory{directory.identity, {}}.disk();
  const auto identity = wal::read_identity(*disk, "/simulated");
  if (!identity || !*identity) return std::nullopt;
  return (*identity)->store_id;
}

void repair_segment(Bytes& bytes, std::uint64_t store_id) {
  repair_header(bytes);
  for (std::size_t at = base::k_block_bytes; at + wal::k_frame_header_bytes <= bytes.size();) {
    const auto frame = std::span(bytes).subspan(at);
    const auto header = wal::decode_frame_header(frame);
    if (!header || header->payload_bytes > frame.size() - wal::k_frame_header_bytes) {
      at += base::k_block_bytes;
      continue;
    }
    wal::seal_frame(*header, store_id, frame);
    at += wal::frame_bytes(header->payload_bytes);
  }
}

void repair(Directory& directory) {
  repair_identity(directory.identity);
  const std::uint64_t store_id = store_id_of(directory).value_or(0);
  for (Directory::Segment& segment : directory.segments) repair_segment(segment.bytes, store_id);
}

}  // namespace actable::lab::fuzz
