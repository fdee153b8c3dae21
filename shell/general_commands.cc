// Commands of the shell itself.

#include "shell/command.h"
#include "shell/text.h"

#include <algorithm>

namespace shell {
namespace {

using actable::debug::Document;

void help_with(Screen& screen, const Command& command) {
  screen.line({std::string(command.name) + (command.arguments.empty() ? "" : " ") + std::string(command.arguments),
               Screen::Style::heading});
  screen.line(std::string(command.what) + ".");
  if (!command.more.empty()) screen.lines(command.more);
  if (command.writes) screen.line("Needs --allow-writes, and leaves a line in the log of the process.");
  if (command.where == Command::Where::live) screen.line("Of a running process only.");
  if (command.where == Command::Where::offline) screen.line("Of closed files only.");
  screen.line("For example: " + std::string(command.example));
}

[[nodiscard]] Document document_of(const Command& command) {
  return Document::Map{{"command", command.name},
                       {"arguments", command.arguments},
                       {"what", command.what},
                       {"example", command.example},
                       {"more", command.more},
                       {"writes", command.writes},
                       {"live", command.where != Command::Where::offline},
                       {"offline", command.where != Command::Where::live}};
}

[[nodiscard]] bool works_here(const Context& context, const Command& command) {
  return command.where != (context.live() ? Command::Where::offline : Command::Where::live);
}

void list_commands(Context& context) {
  Screen& screen = context.screen();
  Document::List documents;
  std::vector<Screen::Row> rows;
  for (const Command* const command : all_commands()) {
    if (!works_here(context, *command)) continue;
    documents.push_back(document_of(*command));
    rows.push_back(
        {std::string(command->name) + (command->arguments.empty() ? "" : " ") + std::string(command->arguments),
         std::string(command->what) + (command->writes ? " (with --allow-writes)" : "")});
  }
  if (screen.json()) {
    screen.line(json_text(documents));
    return;
  }
  screen.table({{"COMMAND"}, {""}}, rows);
  screen.line("");
  screen.line("in SPACE COMMAND runs a command in another space; help COMMAND has an example.");
}

Got<void> help(Context& context, const Words& arguments) {
  Screen& screen = context.screen();
  if (!arguments.empty()) {
    const Command* const command = find_command(arguments);
    if (command != nullptr) {
      if (screen.json()) {
        screen.line(json_text(document_of(*command)));
      } else {
        help_with(screen, *command);
      }
      return {};
    }
    std::vector<std::string> names;
    for (const Command* const one : all_commands()) names.emplace_back(one->name);
    const std::string near = nearest(arguments[0], names);
    return failed(
        "help: no such command: " + as_word(arguments[0]) + (near.empty() ? "" : "; do you mean `" + near + "`?"),
        k_status_not_asked);
  }
  list_commands(context);
  return {};
}

Got<void> use(Context& context, const Words& arguments) {
  const auto names = context.spaces();
  if (!names) return std::unexpected(names.error());
  if (std::ranges::find(*names, arguments[0]) == names->end()) {
    const std::string near = nearest(arguments[0], *names);
    return failed("there is no space " + as_word(arguments[0]) +
                  (near.empty() ? "; `spaces` lists them" : "; do you mean " + as_word(near) + "?"));
  }
  context.choose_space(arguments[0]);
  return {};
}

Got<void> quit(Context& context, const Words&) {
  context.end();
  return {};
}

constexpr Command k_commands[] = {
    {.name = "use",
     .arguments = "SPACE",
     .what = "The space that the commands behind are about",
     .example = "use users",
     .arguments_min = 1,
     .arguments_max = 1,
     .offers = Command::Offers::spaces,
     .run = use},
    {.name = "help",
     .arguments = "[COMMAND]",
     .what = "The commands, or one with an example",
     .example = "help scan",
     .arguments_max = 2,
     .offers = Command::Offers::commands,
     .of_any_files = true,
     .run = help},
    {.name = "quit", .what = "Ends the shell, as Ctrl-D does", .example = "quit", .of_any_files = true, .run = quit},
};

}  // namespace

std::span<const Command> general_commands() { return k_commands; }

}  // namespace shell
