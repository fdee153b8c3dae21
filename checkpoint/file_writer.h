#pragma once

#include "base/file.h"
#include "checkpoint/compression.h"
#include "checkpoint/manifest.h"

#include <actable/result.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

namespace actable::checkpoint {

/// Writes one file of a checkpoint, block by block.
///
/// Thread safety: *confined*.
class FileWriter {
 public:
  /// Creates the file, which is not there. Fails with io_error, or no_memory.
  [[nodiscard]] static Result<std::unique_ptr<FileWriter>> create(base::FileSystem& files,
                                                                  const std::filesystem::path& directory,
                                                                  std::uint64_t number, std::uint64_t store_id,
                                                                  Compression compression = {});

  /// Takes an encoded record numbered `seq`; writes blocks as they become full.
  /// Fails with io_error, or no_memory: the file is good for nothing then.
  [[nodiscard]] Result<void> append(std::span<const std::byte> record, Seq seq);

  /// Writes what is left, and syncs file and name. Fails as `append`.
  [[nodiscard]] Result<FileEntry> finish();

  [[nodiscard]] std::uint64_t written_bytes() const noexcept { return entry_.bytes; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_->path(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };

  using BlockMemory = std::unique_ptr<std::byte[], Free>;

  FileWriter(base::FileSystem& files, std::uint64_t number, std::uint64_t store_id)
      : files_(files), store_id_(store_id) {
    entry_.number = number;
  }

  [[nodiscard]] Result<void> append_in_pieces(std::span<const std::byte> record);
  [[nodiscard]] Result<std::optional<std::size_t>> compress();
  [[nodiscard]] Result<void> write_block(std::uint32_t flags);

  base::FileSystem& files_;
  std::unique_ptr<base::File> file_;
  // Header and payload of the block to be written next.
  BlockMemory block_;
  std::size_t payload_bytes_ = 0;
  std::uint32_t records_ = 0;
  // Where blocks are compressed, and what they are written from then.
  std::optional<Compressor> compressor_;
  BlockMemory compressed_;
  const std::uint64_t store_id_;
  FileEntry entry_;
};

}  // namespace actable::checkpoint
