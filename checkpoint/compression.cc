#include "checkpoint/compression.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/failure.h"
#include "checkpoint/format.h"

#include <cstdint>
#include <utility>

#include <zstd.h>
#include <zstd_errors.h>

namespace actable::checkpoint {
namespace {

std::unexpected<Error> no_memory(const char* what) { return base::failure(ErrorCode::no_memory, what); }

std::unexpected<Error> no_payload(const char* why) { return base::failure(ErrorCode::corrupt, why); }

bool lacks_memory(std::size_t code) noexcept {
  return ZSTD_isError(code) != 0 && ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation;
}

}  // namespace

void Compressor::Free::operator()(ZSTD_CCtx_s* context) const noexcept { ZSTD_freeCCtx(context); }

Result<Compressor> Compressor::create(int level) {
  Compressor compressor(ZSTD_createCCtx());
  ZSTD_CCtx* const context = compressor.context_.get();
  if (context == nullptr) return no_memory("no memory to compress blocks of the checkpoint");
  // That a payload was decompressed to what it had been is nowhere else to be seen.
  for (const auto& [parameter, value] : {std::pair{ZSTD_c_compressionLevel, level}, {ZSTD_c_checksumFlag, 1}}) {
    const std::size_t set = ZSTD_CCtx_setParameter(context, parameter, value);
    ACTABLE_ASSERT(ZSTD_isError(set) == 0);
  }
  return compressor;
}

Result<std::optional<std::size_t>> Compressor::compress(std::span<const std::byte> payload, std::span<std::byte> to) {
  const std::size_t bytes = ZSTD_compress2(context_.get(), to.data(), to.size(), payload.data(), payload.size());
  if (lacks_memory(bytes)) return no_memory("no memory to compress a block of the checkpoint");
  // Mostly that there is too little room. Whatever it is, the payload can be stored as it is.
  if (ZSTD_isError(bytes) != 0) return std::nullopt;
  return bytes;
}

void Decompressor::Free::operator()(ZSTD_DCtx_s* context) const noexcept { ZSTD_freeDCtx(context); }

Result<std::span<const std::byte>> Decompressor::decompress(std::span<const std::byte> frame) {
  // Other magic numbers are of formats before the first version, and of frames to be passed over.
  if (frame.size() < sizeof(std::uint32_t) || base::load_le<std::uint32_t>(frame.data()) != ZSTD_MAGICNUMBER) {
    return no_payload("it does not begin with a frame of zstd");
  }
  const unsigned long long bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (bytes == ZSTD_CONTENTSIZE_UNKNOWN) return no_payload("its frame does not say how long the payload is");
  if (bytes == ZSTD_CONTENTSIZE_ERROR) return no_payload("the header of its frame makes no sense");
  if (bytes == 0 || bytes > k_payload_bytes_max) return no_payload("its frame is of a payload that no block has");
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    return no_payload("it is not one frame of zstd");
  }
  if (context_ == nullptr) context_.reset(ZSTD_createDCtx());
  if (context_ == nullptr) return no_memory("no memory to decompress blocks of the checkpoint");
  payload_.resize(static_cast<std::size_t>(bytes));
  const std::size_t found =
      ZSTD_decompressDCtx(context_.get(), payload_.data(), payload_.size(), frame.data(), frame.size());
  if (lacks_memory(found)) return no_memory("no memory to decompress a block of the checkpoint");
  if (ZSTD_isError(found) != 0) return no_payload(ZSTD_getErrorName(found));
  if (found != payload_.size()) return no_payload("its frame is of a shorter payload than it says");
  return payload_;
}

}  // namespace actable::checkpoint
