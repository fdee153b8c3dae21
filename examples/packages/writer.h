#pragma once

#include <actable/result.h>

#include <filesystem>

#include "examples/packages/package_index.h"

namespace packages {

inline constexpr const char* k_space_name = "packages";

/// The child process: opens the store and writes numbered updates from the
/// journal's lanes until it is killed. The last lane writes synchronously, the
/// others asynchronously; puts, erasures and batches are mixed. Returns only
/// with a failure, which is then in the journal too.
[[nodiscard]] actable::Result<void> write_until_killed(const std::filesystem::path& store_directory,
                                                       const std::filesystem::path& journal_path,
                                                       const PackageIndex& index);

}  // namespace packages
