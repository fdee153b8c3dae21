#pragma once

namespace bench {

/// Makes Ctrl-C, SIGTERM, SIGHUP and a reader of the output that goes away end
/// the run at the next opportunity, so that directories are removed. A second
/// one ends the process at once, but for SIGPIPE.
void catch_interrupts();

/// Thrown where a run cannot go on because of one.
struct Interrupted {};

/// True once one has come.
[[nodiscard]] bool interrupted() noexcept;

}  // namespace bench
