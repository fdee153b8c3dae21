/// actable-shell: looks into a store that a process has open, or into closed files.

#include "shell/context.h"
#include "shell/interrupt.h"
#include "shell/prompt.h"
#include "shell/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

namespace shell {
namespace {

[[nodiscard]] int run(const Settings& settings) {
  const bool colours = !settings.json && isatty(STDOUT_FILENO) != 0;
  const bool typed = settings.commands.empty() && isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
  auto context =
      Context::open({.directory = settings.directory,
                     .allow_writes = settings.allow_writes,
                     .input_is_free = !settings.commands.empty(),
                     .screen = {.json = settings.json, .colours = colours, .pages = typed && !settings.json}});
  if (!context) {
    complain(context.error());
    return context.error().status;
  }
  if (typed) return run_prompt(**context);
  if (settings.commands.empty()) return run_script(**context);
  int worst = k_status_done;
  for (const std::string& command : settings.commands) {
    worst = std::max(worst, run_and_tell(**context, command));
    if (worst == k_status_interrupted || (*context)->over()) break;
  }
  return worst;
}

[[nodiscard]] int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  if (std::fflush(stdout) == 0 || errno == EPIPE) return k_status_done;
  complain({k_status_failed, std::string("cannot write: ") + std::strerror(errno)});
  return k_status_failed;
}

[[nodiscard]] int main_with(int argc, char** argv) {
  const auto settings = parse_settings(argc, argv);
  if (!settings) {
    const Exit& exit = settings.error();
    if (exit.status == k_status_done) return print(exit.message);
    complain({exit.status, exit.message});
    return exit.status;
  }
  catch_interrupts();
  try {
    return run(*settings);
  } catch (const std::exception& error) {
    complain({k_status_failed, error.what()});
    return k_status_failed;
  }
}

}  // namespace
}  // namespace shell

int main(int argc, char** argv) { return shell::main_with(argc, argv); }
