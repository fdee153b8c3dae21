#pragma once

#include "base/fence.h"

namespace actable::base {

/// `as_found`: with `membarrier` where the kernel has it.
enum class FenceKind { as_found, full };

/// Sets the kind of the fences as long as it lives. No other thread uses epochs
/// when it begins or ends.
///
/// Thread safety: *confined*.
class FencesInUse {
 public:
  explicit FencesInUse(FenceKind kind) noexcept { force_full_fences(kind == FenceKind::full); }
  ~FencesInUse() { force_full_fences(false); }
  FencesInUse(const FencesInUse&) = delete;
  FencesInUse& operator=(const FencesInUse&) = delete;
};

}  // namespace actable::base
