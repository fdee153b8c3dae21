#include "shell/command.h"

#include "shell/interrupt.h"
#include "shell/store_files.h"

#include <algorithm>

namespace shell {
namespace {

[[nodiscard]] std::vector<std::string> names_of(const std::vector<const Command*>& commands) {
  std::vector<std::string> names;
  for (const Command* const command : commands) names.emplace_back(command->name);
  return names;
}

[[nodiscard]] std::size_t words_in(std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count(name, ' ')) + 1;
}

[[nodiscard]] bool begins_with(const Words& words, std::string_view name) {
  std::string joined;
  for (std::size_t i = 0; i < std::min(words.size(), words_in(name)); ++i) joined += (i == 0 ? "" : " ") + words[i];
  return joined == name;
}

[[nodiscard]] std::unexpected<Failure> unknown(const Words& words) {
  std::string message = "no such command: " + as_word(words.front());
  std::string near = nearest(words.front(), names_of(all_commands()));
  if (near.empty() && words.size() > 1) near = nearest(words[0] + " " + words[1], names_of(all_commands()));
  message += near.empty() ? "; `help` lists them" : "; do you mean `" + near + "`?";
  return failed(std::move(message), k_status_not_asked);
}

[[nodiscard]] Got<void> check(Context& context, const Command& command, std::size_t arguments) {
  const std::string name(command.name);
  if (arguments < command.arguments_min || arguments > command.arguments_max) {
    const char* const what = arguments < command.arguments_min ? "too few arguments" : "too many arguments";
    return failed(name + ": " + what + "; " + usage(command), k_status_not_asked);
  }
  if (command.where == Command::Where::live && !context.live()) {
    return failed(name + ": only a running process can tell, and none serves " + context.settings().directory.string() +
                      "; `help` lists what works on closed files",
                  k_status_not_asked);
  }
  if (command.where == Command::Where::offline && context.live()) return for_closed_files(name);
  if (command.writes && !context.settings().allow_writes) {
    return failed(name + ": changes something; start actable-shell with --allow-writes", k_status_not_asked);
  }
  return context.live() || command.of_any_files ? Got<void>() : context.files().readable();
}

[[nodiscard]] Got<void> run_words(Context& context, const Words& words);

/// Where a command names its space itself, `in` must not name another one.
[[nodiscard]] Got<void> check_one_space(const std::string& space, const Words& words) {
  const Command* const command = find_command(words);
  if (command == nullptr || !command->names_space) return {};
  const std::size_t at = words_in(command->name);
  if (words.size() <= at || words[at] == space) return {};
  const std::string name(command->name);
  return failed(name + ": which space, " + as_word(space) + " or " + as_word(words[at]) + "? Its name stands behind `" +
                    name + "`, and `in` is not needed: " + name + " " + as_word(space) +
                    (words[at] == "json" || words[at] == "msgpack" ? " " + words[at] : ""),
                k_status_not_asked);
}

/// `in SPACE COMMAND`: as if the space were chosen, for this once.
[[nodiscard]] Got<void> run_in(Context& context, const Words& words) {
  if (words.size() < 3) {
    return failed(
        "in: which space, and what is to be done in it? Usage: in SPACE COMMAND, for example: "
        "in users get ada",
        k_status_not_asked);
  }
  const Words inner(words.begin() + 2, words.end());
  if (auto one = check_one_space(words[1], inner); !one) return one;
  const std::string before = context.chosen_space();
  context.choose_space(words[1]);
  const Got<void> done = run_words(context, inner);
  context.choose_space(before);
  return done;
}

Got<void> run_words(Context& context, const Words& words) {
  if (words.front() == "in") return run_in(context, words);
  const Command* const command = find_command(words);
  if (command == nullptr) return unknown(words);
  const Words arguments(words.begin() + static_cast<std::ptrdiff_t>(words_in(command->name)), words.end());
  if (auto possible = check(context, *command, arguments.size()); !possible) return possible;
  return command->run(context, arguments);
}

[[nodiscard]] std::vector<std::string> offered(Context& context, Command::Offers what) {
  switch (what) {
    case Command::Offers::nothing:
      return {};
    case Command::Offers::commands:
      return names_of(all_commands());
    case Command::Offers::spaces:
      return context.space_names();
    case Command::Offers::actors:
      return context.actor_names();
    case Command::Offers::options:
      return context.option_names();
  }
  return {};
}

}  // namespace

std::unexpected<Failure> for_closed_files(const std::string& name) {
  return failed(name + ": is for closed files, and a process has this store open: it checks what it reads itself",
                k_status_not_asked);
}

std::vector<const Command*> all_commands() {
  std::vector<const Command*> all;
  for (const auto group : {look_commands(), analytics_commands(), data_commands(), operate_commands(), file_commands(),
                           repair_commands(), transfer_commands(), general_commands()}) {
    for (const Command& command : group) all.push_back(&command);
  }
  return all;
}

const Command* find_command(const Words& words) {
  const Command* found = nullptr;
  for (const Command* const command : all_commands()) {
    const bool longer = found == nullptr || words_in(command->name) > words_in(found->name);
    if (longer && begins_with(words, command->name)) found = command;
  }
  return found;
}

std::string usage(const Command& command) {
  std::string text = "usage: " + std::string(command.name);
  if (!command.arguments.empty()) text += " " + std::string(command.arguments);
  return text + ", for example: " + std::string(command.example);
}

Got<void> run_line(Context& context, std::string_view line) {
  const Got<Words> words = split(line);
  if (!words) return std::unexpected(words.error());
  if (words->empty()) return {};
  context.screen().begin();
  Got<void> done = run_words(context, *words);
  context.screen().progress("");
  if (interrupted && done) return failed("interrupted", k_status_interrupted);
  return done;
}

std::vector<std::string> completions(Context& context, std::string_view line) {
  const std::size_t last_blank = line.find_last_of(" \t");
  const std::string_view begun = last_blank == std::string_view::npos ? line : line.substr(last_blank + 1);
  auto before = split(line.substr(0, line.size() - begun.size()));
  if (!before) return {};
  Words words = *std::move(before);
  if (!words.empty() && words.front() == "in") {
    if (words.size() == 1)
      words = {"use"};
    else
      words.erase(words.begin(), words.begin() + 2);
  }
  std::vector<std::string> all;
  if (words.empty()) {
    all = names_of(all_commands());
    all.emplace_back("in");
  } else if (const Command* const command = find_command(words);
             command != nullptr && words.size() == words_in(command->name)) {
    all = offered(context, command->offers);
    for (std::string& word : all) word = command->offers == Command::Offers::commands ? word : as_word(word);
  }
  // The second word of a name.
  if (words.size() == 1) {
    for (const std::string& name : names_of(all_commands())) {
      if (name.starts_with(words.front() + " ")) all.push_back(name.substr(words.front().size() + 1));
    }
  }
  std::erase_if(all, [begun](const std::string& word) { return !word.starts_with(begun); });
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace shell
