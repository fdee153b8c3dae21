#include "wal/frame_reader.h"

#include <algorithm>
#include <utility>

namespace actable::wal {
namespace {

constexpr std::size_t k_window_bytes = std::size_t{1} << 20;

}  // namespace

Result<base::FileView> FrameReader::bytes_at(std::uint64_t offset, std::size_t bytes) {
  if (offset >= file_bytes_) return base::FileView{};
  if (ahead_ != nullptr) {
    auto there = ahead_->view(file_, offset, bytes);
    if (!there) return std::unexpected(std::move(there.error()));
    if (*there) return **std::move(there);
  }
  if (offset < window_begin_ || offset + bytes > window_begin_ + window_->size()) {
    const auto wanted = std::min<std::uint64_t>(std::max(bytes, k_window_bytes), file_bytes_ - offset);
    if (window_.use_count() > 1) window_ = std::make_shared<std::vector<std::byte>>();
    window_->resize(static_cast<std::size_t>(wanted));
    auto read = file_.read(offset, *window_);
    if (!read) {
      window_->clear();
      return std::unexpected(read.error());
    }
    window_->resize(*read);
    window_begin_ = offset;
  }
  const auto from = static_cast<std::size_t>(offset - window_begin_);
  const auto found = std::span<const std::byte>(*window_).subspan(std::min(from, window_->size()));
  return base::FileView{found.first(std::min(bytes, found.size())), {window_, window_->data()}};
}

Result<std::optional<ReadFrame>> FrameReader::frame_at(std::uint64_t offset) {
  auto head = bytes_at(offset, k_frame_header_bytes);
  if (!head) return std::unexpected(head.error());
  const auto header = decode_frame_header(head->bytes);
  if (!header || frame_bytes(header->payload_bytes) > file_bytes_ - offset) return std::nullopt;
  auto frame = bytes_at(offset, k_frame_header_bytes + header->payload_bytes);
  if (!frame) return std::unexpected(frame.error());
  if (!frame_whole(*header, store_id_, frame->bytes)) return std::nullopt;
  return ReadFrame{*header, {frame->bytes.subspan(k_frame_header_bytes), std::move(frame->memory)}, frame->bytes};
}

Result<bool> FrameReader::blank_at(std::uint64_t offset) {
  auto block = bytes_at(offset, base::k_block_bytes);
  if (!block) return std::unexpected(block.error());
  return std::ranges::all_of(block->bytes, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace actable::wal
