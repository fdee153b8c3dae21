#pragma once

#include <cstdint>
#include <filesystem>

namespace bench {

/// What a store is to read when it opens.
struct ColdFiles {
  /// Room on disk that all files take.
  std::uint64_t bytes = 0;
  /// Part of them that the system's cache holds; 0: all of it comes from the disk.
  double cached = 0;
};

/// Has the system's cache forget all files below the directory, as far as it will:
/// needs no rights, and leaves alone what somebody has mapped or not yet written.
/// Nobody writes to them meanwhile. Throws `Failure` when a file cannot be read.
[[nodiscard]] ColdFiles forget_files(const std::filesystem::path& directory);

}  // namespace bench
