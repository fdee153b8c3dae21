#pragma once

#include "shell/context.h"

namespace shell {

/// Reads lines from the terminal and runs them, until the end of input or `quit`:
/// with editing, history (~/.actable_history) and completion. Returns the
/// program's status.
[[nodiscard]] int run_prompt(Context& context);

/// Runs the lines of standard input, which is no terminal, and says what fails
/// on standard error. Returns the program's status: that of the worst line.
[[nodiscard]] int run_script(Context& context);

/// Runs one line, and says on standard error why it failed. Returns its status.
[[nodiscard]] int run_and_tell(Context& context, std::string_view line);

}  // namespace shell
