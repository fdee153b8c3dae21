#pragma once

#include <actable/result.h>

#include <cstdint>
#include <filesystem>

#include "examples/packages/model.h"
#include "examples/packages/package_index.h"
#include "examples/packages/report.h"

namespace packages {

/// Where the crashes take place.
struct CrashSite {
  std::filesystem::path index_path;
  /// Journals go here, beside the store's directory.
  std::filesystem::path directory;
  std::filesystem::path store_directory;
  std::uint64_t seed;
};

/// Starts a writer, kills it with SIGKILL in the middle, reopens the store and
/// verifies it against the journal. Then again, with two kills in a row: the
/// second writer is killed too, and a third that recovered what it left,
/// shortly after. Fails with corrupt when a check did not hold; the checks that
/// failed are then on standard error.
[[nodiscard]] actable::Result<void> crash_and_verify(const CrashSite& site, const PackageIndex& index, Model& model,
                                                     Report& report);

}  // namespace packages
