#include "checkpoint/file_writer.h"

#include "base/failure.h"
#include "base/park.h"
#include "checkpoint/checksum.h"

#include <algorithm>
#include <cstring>

namespace actable::checkpoint {

Result<std::unique_ptr<FileWriter>> FileWriter::create(base::FileSystem& files, const std::filesystem::path& directory,
                                                       std::uint64_t number, std::uint64_t store_id,
                                                       Compression compression) {
  std::unique_ptr<FileWriter> writer(new FileWriter(files, number, store_id));
  const auto make_block = [](BlockMemory& memory) {
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(base::k_block_bytes, k_block_bytes_max)));
    return memory != nullptr;
  };
  const bool compressed = compression.level != 0;
  if (!make_block(writer->block_) || (compressed && !make_block(writer->compressed_))) {
    return base::failure(ErrorCode::no_memory, "no memory for a block of the checkpoint");
  }
  if (compressed) {
    auto compressor = Compressor::create(compression.level);
    if (!compressor) return std::unexpected(std::move(compressor.error()));
    writer->compressor_ = *std::move(compressor);
  }
  auto file = files.open(directory / file_name(number), {.create = true, .write = true, .direct = true});
  if (!file) return std::unexpected(file.error());
  writer->file_ = *std::move(file);
  // A file that no manifest names.
  ACTABLE_FAIL_POINT("checkpoint.file.created");
  return writer;
}

Result<void> FileWriter::append(std::span<const std::byte> record, Seq seq) {
  entry_.seq_end = std::max(entry_.seq_end, seq + 1);
  ++entry_.records;
  if (payload_bytes_ + record.size() > k_payload_bytes_max) {
    if (payload_bytes_ != 0) {
      if (auto written = write_block(0); !written) return written;
    }
    if (record.size() > k_payload_bytes_max) return append_in_pieces(record);
  }
  std::memcpy(block_.get() + k_block_header_bytes + payload_bytes_, record.data(), record.size());
  payload_bytes_ += record.size();
  ++records_;
  return {};
}

Result<void> FileWriter::append_in_pieces(std::span<const std::byte> record) {
  while (!record.empty()) {
    const auto piece = record.first(std::min(record.size(), k_payload_bytes_max));
    record = record.subspan(piece.size());
    std::memcpy(block_.get() + k_block_header_bytes, piece.data(), piece.size());
    payload_bytes_ = piece.size();
    records_ = record.empty() ? 1 : 0;
    std::uint32_t flags = BlockHeader::k_piece;
    if (record.empty()) flags |= BlockHeader::k_last_piece;
    if (auto written = write_block(flags); !written) return written;
  }
  return {};
}

/// How long the payload is that was made of the block's, where that saves a block of the
/// file system.
Result<std::optional<std::size_t>> FileWriter::compress() {
  const std::size_t room = block_bytes(payload_bytes_) - base::k_block_bytes;
  if (!compressor_ || room == 0) return std::nullopt;
  return compressor_->compress(std::span(block_.get() + k_block_header_bytes, payload_bytes_),
                               std::span(compressed_.get() + k_block_header_bytes, room - k_block_header_bytes));
}

Result<void> FileWriter::write_block(std::uint32_t flags) {
  auto compressed = compress();
  if (!compressed) return std::unexpected(std::move(compressed.error()));
  if (*compressed) flags |= BlockHeader::k_compressed;
  const std::size_t payload_bytes = compressed->value_or(payload_bytes_);
  const std::size_t bytes = block_bytes(payload_bytes);
  const auto block = std::span(*compressed ? compressed_.get() : block_.get(), bytes);
  std::ranges::fill(block.subspan(k_block_header_bytes + payload_bytes), std::byte{0});
  const std::uint64_t sum = seal_block({.flags = flags,
                                        .file_number = entry_.number,
                                        .number = entry_.blocks,
                                        .payload_bytes = static_cast<std::uint32_t>(payload_bytes),
                                        .records = records_},
                                       store_id_, block);
  if (auto written = file_->write(entry_.bytes, block); !written) return written;
  // A part of a file that no manifest names.
  ACTABLE_FAIL_POINT("checkpoint.block.written");
  entry_.bytes += bytes;
  ++entry_.blocks;
  entry_.checksum = next_checksum(entry_.checksum, sum);
  payload_bytes_ = 0;
  records_ = 0;
  return {};
}

Result<FileEntry> FileWriter::finish() {
  if (payload_bytes_ != 0) {
    if (auto written = write_block(0); !written) return std::unexpected(written.error());
  }
  if (auto synced = file_->sync(); !synced) return std::unexpected(synced.error());
  // Whole, under a name that the directory may forget: the manifest's may outlive it.
  ACTABLE_FAIL_POINT("checkpoint.file.written");
  if (auto synced = files_.sync_directory(path().parent_path()); !synced) return std::unexpected(synced.error());
  // A whole file that no manifest names.
  ACTABLE_FAIL_POINT("checkpoint.file.synced");
  return entry_;
}

}  // namespace actable::checkpoint
