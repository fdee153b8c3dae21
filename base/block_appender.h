#pragma once

#include "base/file.h"

#include <actable/result.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>

namespace actable::base {

/// Appends to a file in pieces of up to a MiB, past the system's cache where the
/// file system can.
///
/// Thread safety: *confined*.
class BlockAppender {
 public:
  /// With `offset` 0 the file is created; else it is there, and its first `offset` bytes,
  /// a multiple of the block, stay. Fails with io_error, not_found, no_memory.
  [[nodiscard]] static Result<std::unique_ptr<BlockAppender>> open(FileSystem& files, const std::filesystem::path& path,
                                                                   std::uint64_t offset);

  /// Fails with io_error, some of it written.
  [[nodiscard]] Result<void> append(std::span<const std::byte> bytes);
  /// Zeros up to the next block.
  [[nodiscard]] Result<void> pad();
  /// Writes what is left, which ends at a block's end, and syncs. Fails with io_error.
  [[nodiscard]] Result<void> finish();

  /// Where the next byte goes.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_ + gathered_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  using Piece = std::unique_ptr<std::byte[], Free>;

  BlockAppender(std::unique_ptr<File> file, Piece piece, std::uint64_t offset)
      : file_(std::move(file)), piece_(std::move(piece)), offset_(offset) {}

  [[nodiscard]] Result<void> write_piece();

  std::unique_ptr<File> file_;
  Piece piece_;
  // Of the piece in the file, and how much of it there is.
  std::uint64_t offset_;
  std::size_t gathered_ = 0;
};

}  // namespace actable::base
