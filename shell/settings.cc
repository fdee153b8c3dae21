#include "shell/settings.h"

#include "shell/failure.h"

#include <CLI/CLI.hpp>

#include <algorithm>

namespace shell {

std::expected<Settings, Exit> parse_settings(int argc, const char* const* argv) {
  Settings settings;
  CLI::App app("Looks into an Actable store: a running process that has Options::debug_socket, or closed files.",
               "actable-shell");
  app.footer(
      "\nCommands: start it and type `help`, or: actable-shell DIR -c help\n"
      "Exit status: 0, done; 1, the store has not what was asked for, or refused; 2, it could not be asked; "
      "3, `repair` is done and something was lost; 130, Ctrl-C.");
  app.add_option("DIR", settings.directory, "The store's directory")->required();
  app.add_flag("--allow-writes", settings.allow_writes, "Allow commands that change something");
  app.add_flag("--json", settings.json, "Print answers as JSON");
  app.add_option("-c", settings.commands, "Run this command instead of asking for some; may be given again")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return std::unexpected(Exit{k_status_done, app.help()});
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    std::ranges::replace(text, '\n', ' ');
    return std::unexpected(Exit{k_status_not_asked, text + "; see actable-shell --help"});
  }
  return settings;
}

}  // namespace shell
