#pragma once

#include "benchmarks/engine.h"

#include <span>
#include <string>
#include <string_view>

namespace bench {

/// The engines in this build, in the order they are run in.
[[nodiscard]] std::span<const EngineKind> engines();

/// Null when this build has none of that name.
[[nodiscard]] const EngineKind* find_engine(std::string_view name);

/// Does nothing and returns what the caller expects: what is measured with it
/// is the cost of the benchmark itself. Not among `engines`.
[[nodiscard]] const EngineKind& empty_engine();

/// What it takes to have an engine that this build has not; empty for a name
/// that no build has.
[[nodiscard]] std::string what_is_missing(std::string_view name);

}  // namespace bench
