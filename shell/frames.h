#pragma once

#include "shell/context.h"
#include "wal/format.h"

namespace shell {

/// Prints the log frame by frame, every record in readable form, whatever recovery
/// makes of it. For closed files.
[[nodiscard]] Got<void> dump_frames(Context& context);

/// In words.
[[nodiscard]] const char* name_of(actable::wal::HeaderState state) noexcept;

}  // namespace shell
