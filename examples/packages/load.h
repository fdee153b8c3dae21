#pragma once

#include <actable/store.h>

#include <vector>

#include "examples/packages/package_index.h"
#include "examples/packages/report.h"

namespace packages {

/// Puts every package into the space from several threads, then waits until
/// the last one is on disk. Returns the number of each write, in the order of
/// the index. Fails with what the store failed with.
[[nodiscard]] actable::Result<std::vector<actable::Seq>> load(actable::Store& store, actable::Space& space,
                                                              const PackageIndex& index, Report& report);

}  // namespace packages
