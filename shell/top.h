#pragma once

#include "shell/context.h"
#include "shell/words.h"

namespace shell {

/// `top [SECONDS]`: differences over a window, refreshed on a terminal, else once.
[[nodiscard]] Got<void> top(Context& context, const Words& arguments);

}  // namespace shell
