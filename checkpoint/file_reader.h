#pragma once

#include "base/file.h"
#include "base/read_ahead.h"
#include "checkpoint/compression.h"
#include "checkpoint/manifest.h"

#include <actable/result.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace actable::checkpoint {

/// Reads one file of a checkpoint, block by block, and holds it to what the
/// manifest says of it.
///
/// Thread safety: *confined*.
class FileReader {
 public:
  /// Takes a record; fails to stop the reading with that error.
  using Take = std::function<Result<void>(const Record&)>;

  FileReader(base::FileSystem& files, std::filesystem::path path, const FileEntry& entry, std::uint64_t store_id)
      : files_(files), path_(std::move(path)), entry_(entry), store_id_(store_id) {}

  /// Told of bytes of the file that were read.
  using Passed = std::function<void(std::uint64_t bytes)>;

  /// Delivers every record, in the order of the file. Fails with
  ///   corrupt   it is missing, or not as the manifest says: naming file, offset and what to
  ///             do; records may have been delivered
  ///   io_error, no_memory
  ///   or what `take` failed with
  [[nodiscard]] Result<void> read(const Take& take, const Passed& passed = {});

  /// Takes a block as it is in the file, from its header to its padding; as `Take`.
  using TakeBlock = std::function<Result<void>(std::span<const std::byte>)>;
  /// As `read`, with the blocks and not their records, which are not looked at.
  [[nodiscard]] Result<void> read_blocks(const TakeBlock& take);

 private:
  struct Block {
    BlockHeader header;
    base::FileView whole;
    std::uint64_t sum;

    [[nodiscard]] std::span<const std::byte> payload() const noexcept {
      return whole.bytes.subspan(k_block_header_bytes, header.payload_bytes);
    }
  };

  [[nodiscard]] Result<void> open();
  template <class F>
  [[nodiscard]] Result<std::uint64_t> each_block(F&& take);
  [[nodiscard]] std::unexpected<Error> not_the_one(std::uint64_t offset) const;
  [[nodiscard]] Result<Block> block_at(std::uint64_t offset, std::uint64_t number);
  [[nodiscard]] Result<base::FileView> bytes_at(std::uint64_t offset, std::size_t bytes);
  [[nodiscard]] Result<std::span<const std::byte>> payload_of(const Block& block, std::uint64_t offset);
  [[nodiscard]] Result<void> deliver(const Block& block, std::uint64_t offset, const Take& take);
  [[nodiscard]] std::unexpected<Error> corrupt(std::uint64_t offset, const std::string& what) const;

  base::FileSystem& files_;
  const std::filesystem::path path_;
  const FileEntry entry_;
  const std::uint64_t store_id_;
  std::unique_ptr<base::File> file_;
  // Null for a short file. Ends before the file is closed.
  std::unique_ptr<base::ReadAhead> ahead_;
  std::vector<std::byte> window_;
  std::uint64_t window_begin_ = 0;
  std::uint64_t records_ = 0;
  Decompressor decompressor_;
  // Of a record longer than a block, what has been read of it.
  std::vector<std::byte> pieces_;
};

}  // namespace actable::checkpoint
