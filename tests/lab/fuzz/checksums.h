#pragma once

#include "tests/lab/fuzz/directory.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

/// Checksums made right again, so that mutations get past them.
namespace actable::lab::fuzz {

/// For an engine that calls no custom mutator: the targets themselves repair what
/// they are given, all but every fourth length.
#if defined(ACTABLE_FUZZ_REPAIRS)
inline constexpr bool k_targets_repair = true;
#else
inline constexpr bool k_targets_repair = false;
#endif

[[nodiscard]] constexpr bool target_repairs(std::size_t input_bytes) {
  return k_targets_repair && input_bytes % 4 != 0;
}

/// Gives STORE's bytes their length and checksum.
void repair_identity(Bytes& identity);

/// The store id that the directory's STORE names; empty when it cannot be read.
[[nodiscard]] std::optional<std::uint64_t> store_id_of(const Directory& directory);

/// Gives the segment's header its checksum, and each frame that begins a block
/// and fits into the file.
void repair_segment(Bytes& bytes, std::uint64_t store_id);

/// Both, for all files.
void repair(Directory& directory);

}  // namespace actable::lab::fuzz
