#pragma once

#include "base/file.h"
#include "base/read_ahead.h"
#include "wal/format.h"

#include <actable/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace actable::wal {

/// A whole frame, where it was read to.
struct ReadFrame {
  FrameHeader header;
  base::FileView payload;
  /// Header and payload, without the padding; as long as `payload`.
  std::span<const std::byte> bytes;
};

/// Reads a segment's frames through a window of the file.
///
/// Thread safety: *confined*.
class FrameReader {
 public:
  FrameReader(base::File& file, std::uint64_t file_bytes, std::uint64_t store_id)
      : file_(file), file_bytes_(file_bytes), store_id_(store_id) {}

  /// From now on what this has read ahead of the file is taken from there, and the rest
  /// read as before; null: no longer.
  void take_from(base::ReadAhead* ahead) noexcept { ahead_ = ahead; }

  /// The frame at `offset` if there is a whole one, of any number and
  /// generation. Fails with io_error.
  [[nodiscard]] Result<std::optional<ReadFrame>> frame_at(std::uint64_t offset);

  /// True when the block at `offset` holds only zeros, or the file ends there.
  [[nodiscard]] Result<bool> blank_at(std::uint64_t offset);

  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_bytes_; }

 private:
  /// Up to `bytes` from `offset`; fewer only at the end of the file.
  [[nodiscard]] Result<base::FileView> bytes_at(std::uint64_t offset, std::size_t bytes);

  base::File& file_;
  const std::uint64_t file_bytes_;
  const std::uint64_t store_id_;
  base::ReadAhead* ahead_ = nullptr;
  // Another one once somebody keeps a view of this.
  std::shared_ptr<std::vector<std::byte>> window_ = std::make_shared<std::vector<std::byte>>();
  std::uint64_t window_begin_ = 0;
};

}  // namespace actable::wal
