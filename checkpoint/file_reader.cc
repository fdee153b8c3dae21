#include "checkpoint/file_reader.h"

#include "base/simulation.h"
#include "checkpoint/checksum.h"

#include <algorithm>
#include <string>
#include <utility>

namespace actable::checkpoint {
namespace {

// A block and more, so that most blocks are read in one go.
constexpr std::size_t k_window_bytes = std::size_t{4} << 20;
// With less, a thread costs more than it brings.
constexpr std::uint64_t k_bytes_for_reading_ahead = std::uint64_t{8} << 20;
constexpr std::size_t k_record_bytes_max = record_bytes(k_key_bytes_max, k_value_bytes_max);

}  // namespace

std::unexpected<Error> FileReader::corrupt(std::uint64_t offset, const std::string& what) const {
  return fail(ErrorCode::corrupt, path_.string() + ": offset " + std::to_string(offset) + ": " + what +
                                      "; restore the directory from a backup");
}

Result<base::FileView> FileReader::bytes_at(std::uint64_t offset, std::size_t bytes) {
  if (ahead_ != nullptr) {
    auto there = ahead_->view(*file_, offset, bytes);
    if (!there) return std::unexpected(std::move(there.error()));
    if (*there) return **std::move(there);
  }
  const auto there = std::min<std::uint64_t>(bytes, entry_.bytes - offset);
  if (offset < window_begin_ || offset + there > window_begin_ + window_.size()) {
    window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(k_window_bytes, entry_.bytes - offset)));
    auto read = file_->read(offset, window_);
    if (!read) return std::unexpected(read.error());
    window_.resize(*read);
    window_begin_ = offset;
  }
  const auto found = std::span<const std::byte>(window_).subspan(static_cast<std::size_t>(offset - window_begin_));
  return base::FileView{found.first(std::min(bytes, found.size()))};
}

Result<FileReader::Block> FileReader::block_at(std::uint64_t offset, std::uint64_t number) {
  auto head = bytes_at(offset, k_block_header_bytes);
  if (!head) return std::unexpected(head.error());
  const auto header = decode_block_header(head->bytes);
  if (!header || header->file_number != entry_.number || header->number != number) {
    return corrupt(offset, "there is no block " + std::to_string(number) + " of this file");
  }
  auto block = bytes_at(offset, block_bytes(header->payload_bytes));
  if (!block) return std::unexpected(block.error());
  const auto sum = whole_block_sum(*header, store_id_, block->bytes);
  if (!sum) return corrupt(offset, "the block is damaged");
  if ((header->flags & ~BlockHeader::k_known_flags) != 0) {
    return fail(ErrorCode::unsupported, path_.string() + ": offset " + std::to_string(offset) +
                                            ": a kind of block that this build does not know; "
                                            "open it with a newer version");
  }
  return Block{*header, *std::move(block), *sum};
}

/// As it was before it was compressed.
Result<std::span<const std::byte>> FileReader::payload_of(const Block& block, std::uint64_t offset) {
  if ((block.header.flags & BlockHeader::k_compressed) == 0) return block.payload();
  auto payload = decompressor_.decompress(block.payload());
  if (!payload && payload.error().code == ErrorCode::corrupt) {
    return corrupt(offset, "the block cannot be decompressed: " + payload.error().message);
  }
  return payload;
}

Result<void> FileReader::deliver(const Block& block, std::uint64_t offset, const Take& take) {
  auto payload = payload_of(block, offset);
  if (!payload) return std::unexpected(std::move(payload.error()));
  std::span<const std::byte> rest = *payload;
  const bool piece = (block.header.flags & BlockHeader::k_piece) != 0;
  if (piece) {
    pieces_.insert(pieces_.end(), rest.begin(), rest.end());
    if (pieces_.size() > k_record_bytes_max) return corrupt(offset, "a record longer than any");
    if ((block.header.flags & BlockHeader::k_last_piece) == 0) return {};
    rest = pieces_;
  } else if (!pieces_.empty()) {
    return corrupt(offset, "the rest of a record is missing");
  }
  std::uint32_t records = 0;
  while (!rest.empty()) {
    const auto record = take_record(rest);
    if (!record || record->seq >= entry_.seq_end) return corrupt(offset, "the block's records make no sense");
    ++records;
    if (auto taken = take(*record); !taken) return taken;
  }
  if (records != block.header.records) return corrupt(offset, "the block's records make no sense");
  records_ += records;
  if (piece) pieces_.clear();
  return {};
}

Result<void> FileReader::open() {
  auto file = files_.open(path_, {.direct = true});
  if (!file) {
    if (file.error().code != ErrorCode::not_found) return std::unexpected(file.error());
    return corrupt(0, "the file is missing, and the checkpoint names it");
  }
  file_ = std::move(*file);
  auto size = file_->size();
  if (!size) return std::unexpected(size.error());
  if (*size != entry_.bytes) {
    return corrupt(
        std::min(*size, entry_.bytes),
        "the file has " + std::to_string(*size) + " bytes, and the checkpoint says " + std::to_string(entry_.bytes));
  }
  if (entry_.bytes >= k_bytes_for_reading_ahead && !base::simulated()) {
    ahead_ = std::make_unique<base::ReadAhead>(1);
    ahead_->add(*file_, 0, entry_.bytes);
  }
  return {};
}

/// Returns where the blocks end; they are those that the manifest speaks of.
template <class F>
Result<std::uint64_t> FileReader::each_block(F&& take) {
  if (auto opened = open(); !opened) return std::unexpected(std::move(opened.error()));
  std::uint64_t offset = 0, checksum = 0, blocks = 0;
  for (; offset < entry_.bytes; ++blocks) {
    auto block = block_at(offset, blocks);
    if (!block) return std::unexpected(block.error());
    if (auto taken = take(*block, offset); !taken) return std::unexpected(std::move(taken.error()));
    offset += block_bytes(block->header.payload_bytes);
    checksum = next_checksum(checksum, block->sum);
  }
  if (blocks != entry_.blocks || checksum != entry_.checksum) return not_the_one(offset);
  return offset;
}

std::unexpected<Error> FileReader::not_the_one(std::uint64_t offset) const {
  return corrupt(offset, "the file is not the one that the checkpoint names");
}

Result<void> FileReader::read(const Take& take, const Passed& passed) {
  const auto end = each_block([&](const Block& block, std::uint64_t offset) -> Result<void> {
    auto delivered = deliver(block, offset, take);
    if (delivered && passed) passed(block.whole.bytes.size());
    return delivered;
  });
  if (!end) return std::unexpected(end.error());
  if (records_ != entry_.records || !pieces_.empty()) return not_the_one(*end);
  return {};
}

Result<void> FileReader::read_blocks(const TakeBlock& take) {
  const auto end = each_block([&](const Block& block, std::uint64_t) { return take(block.whole.bytes); });
  if (!end) return std::unexpected(end.error());
  return {};
}

}  // namespace actable::checkpoint
