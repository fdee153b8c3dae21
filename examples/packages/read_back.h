#pragma once

#include <actable/space.h>

#include <cstdint>

#include "examples/packages/package_index.h"
#include "examples/packages/report.h"

namespace packages {

/// Reads every package several times from several threads in random order, and
/// compares each byte. Fails with corrupt, naming the key, where what is read
/// is not what was loaded.
[[nodiscard]] actable::Result<void> read_back(const actable::Space& space, const PackageIndex& index,
                                              std::uint64_t seed, Report& report);

}  // namespace packages
