#pragma once

/// Faults planted on purpose, each against a rule that recovery rests on, to see
/// whether the laboratory sees them (tests/lab/planted). They are compiled in
/// with ACTABLE_PLANTED_FAULTS only, and even there one is chosen by
/// the environment variable ACTABLE_PLANTED; elsewhere `ACTABLE_PLANTED` is false.
#if defined(ACTABLE_PLANTED_FAULTS)

#include <cstdlib>
#include <string_view>

namespace actable::base {

[[nodiscard]] inline bool planted(std::string_view fault) noexcept {
  static const char* const chosen = std::getenv("ACTABLE_PLANTED");
  return chosen != nullptr && fault == chosen;
}

}  // namespace actable::base

#define ACTABLE_PLANTED(fault) ::actable::base::planted(#fault)
#else
#define ACTABLE_PLANTED(fault) false
#endif
