#pragma once

#include "base/file.h"

#include <actable/result.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace actable::wal {

/// What the file `STORE` says: which store the directory holds. It is written
/// aside and renamed, so that it is there whole or not at all.
///
/// Thread safety: *confined*.
struct Identity {
  std::uint32_t format_version = 0;
  /// Random; part of every checksum, so that files of two stores never mix.
  std::uint64_t store_id = 0;
  /// Seed of the key hash: random, so that keys cannot be chosen to collide.
  std::uint64_t hash_seed = 0;
  /// The log begins with the segment of this generation; older ones are spare.
  std::uint64_t first_generation = 0;
  /// Number of the first frame in that segment.
  std::uint64_t first_frame = 0;
};

inline constexpr const char* k_identity_file = "STORE";

[[nodiscard]] Identity make_identity();

/// Fails with io_error; the directory then holds the identity it held before.
[[nodiscard]] Result<void> write_identity(base::FileSystem& files, const std::filesystem::path& directory,
                                          const Identity& identity);

/// Empty when the directory has no such file. Fails with
///   corrupt      it is damaged
///   unsupported  it was written by a newer version
///   io_error
[[nodiscard]] Result<std::optional<Identity>> read_identity(base::FileSystem& files,
                                                            const std::filesystem::path& directory);

}  // namespace actable::wal
