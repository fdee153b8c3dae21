#pragma once

#include <actable/options.h>
#include <actable/result.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

/// What a block of a checkpoint's file may hold in the place of its payload: one frame of
/// zstd, that says how long the payload is and has a checksum of it.
namespace actable::checkpoint {

/// What a writer of files does to their blocks.
struct Compression {
  /// Of zstd, 1 to 19; 0: blocks are stored as they are. More takes longer and more
  /// memory, while a file is written: 0.6 MB with 1, 1.3 MB with 3, 18 MB with 19.
  int level = 0;

  [[nodiscard]] static constexpr Compression of(const Options& options) noexcept {
    if (options.checkpoint_compression == CheckpointCompression::none) return {};
    return {options.checkpoint_compression_level};
  }
};

/// Makes frames, in memory that it keeps.
///
/// Thread safety: *confined*.
class Compressor {
 public:
  /// Fails with no_memory.
  [[nodiscard]] static Result<Compressor> create(int level);

  /// Writes the frame of `payload` into `to`, and returns how long it is; nothing where it
  /// would be longer than `to`. Fails with no_memory.
  [[nodiscard]] Result<std::optional<std::size_t>> compress(std::span<const std::byte> payload,
                                                            std::span<std::byte> to);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const noexcept;
  };
  explicit Compressor(ZSTD_CCtx_s* context) noexcept : context_(context) {}

  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

/// Takes frames apart, in memory that it keeps: that of one payload, and 100 KB. Takes any
/// bytes.
///
/// Thread safety: *confined*.
class Decompressor {
 public:
  /// The payload that the frame was made of; valid until the next call. Fails with
  ///   corrupt    it is no frame, says not how long its payload is or something that no
  ///              payload is, or does not give what it says; the message says which of
  ///              these and not where
  ///   no_memory
  [[nodiscard]] Result<std::span<const std::byte>> decompress(std::span<const std::byte> frame);

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const noexcept;
  };

  // Made for the first frame: few files have one.
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  std::vector<std::byte> payload_;
};

}  // namespace actable::checkpoint
