#pragma once

#include "tests/lab/fuzz/directory.h"

#include <cstddef>
#include <cstdint>

namespace actable::lab::fuzz {

/// What a custom mutator of a target that takes a `Directory` does: libFuzzer's
/// own mutations, or one that knows the format (a field of a header, of a frame
/// or of a record; a block or a segment moved), and in most cases the checksums
/// made right afterwards. Returns the new size.
std::size_t mutate_directory(std::uint8_t* data, std::size_t size, std::size_t size_max, unsigned seed);

/// Copies what fits to `data`; its size.
std::size_t hand_back(const Bytes& bytes, std::uint8_t* data, std::size_t size_max);

}  // namespace actable::lab::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);
