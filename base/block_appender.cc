#include "base/block_appender.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/failure.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace actable::base {
namespace {

constexpr std::size_t k_piece_bytes = std::size_t{1} << 20;

}  // namespace

Result<std::unique_ptr<BlockAppender>> BlockAppender::open(FileSystem& files, const std::filesystem::path& path,
                                                           std::uint64_t offset) {
  ACTABLE_ASSERT(offset % k_block_bytes == 0);
  Piece piece(static_cast<std::byte*>(std::aligned_alloc(k_block_bytes, k_piece_bytes)));
  if (piece == nullptr) return failure(ErrorCode::no_memory, "no memory for a piece of a file that is being copied");
  auto file = files.open(path, {.create = offset == 0, .write = true, .direct = true});
  if (!file) return std::unexpected(std::move(file.error()));
  return std::unique_ptr<BlockAppender>(new BlockAppender(std::move(*file), std::move(piece), offset));
}

Result<void> BlockAppender::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t some = std::min(bytes.size(), k_piece_bytes - gathered_);
    std::memcpy(piece_.get() + gathered_, bytes.data(), some);
    gathered_ += some;
    bytes = bytes.subspan(some);
    if (gathered_ != k_piece_bytes) continue;
    if (auto written = write_piece(); !written) return written;
  }
  return {};
}

Result<void> BlockAppender::pad() {
  const std::size_t end = round_up(gathered_, k_block_bytes);
  std::fill(piece_.get() + gathered_, piece_.get() + end, std::byte{0});
  gathered_ = end;
  return gathered_ == k_piece_bytes ? write_piece() : Result<void>{};
}

Result<void> BlockAppender::write_piece() {
  if (auto written = file_->write(offset_, std::span(piece_.get(), gathered_)); !written) return written;
  offset_ += gathered_;
  gathered_ = 0;
  return {};
}

Result<void> BlockAppender::finish() {
  ACTABLE_ASSERT(gathered_ % k_block_bytes == 0);
  if (gathered_ != 0) {
    if (auto written = write_piece(); !written) return written;
  }
  return file_->sync();
}

}  // namespace actable::base
