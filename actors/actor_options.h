#pragma once

#include <actable/actors.h>

namespace actable::actors {

/// Fail with invalid_argument, naming the option and what it takes.
[[nodiscard]] Result<void> check_actor_options(const ActorOptions& options);
[[nodiscard]] Result<void> check_sampling(unsigned every);

}  // namespace actable::actors
