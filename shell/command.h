#pragma once

#include "shell/context.h"
#include "shell/failure.h"
#include "shell/words.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shell {

/// A command as the shell knows it. What is in `all_commands` is found, completed,
/// explained by `help` and checked before it runs; there is no other list.
///
/// Thread safety: *immutable*.
struct Command {
  /// Where it makes sense.
  enum class Where : std::uint8_t { everywhere, live, offline };
  /// What Tab offers for its first argument.
  enum class Offers : std::uint8_t { nothing, commands, spaces, actors, options };

  /// One word, or two: `latency doctor`.
  std::string_view name{};
  /// As usage lines have them: KEY [LIMIT].
  std::string_view arguments{};
  std::string_view what{};
  std::string_view example{};
  /// What `help COMMAND` says beyond that, in lines. Empty as a rule.
  std::string_view more{};
  std::size_t arguments_min = 0;
  std::size_t arguments_max = 0;
  /// Changes something: for --allow-writes.
  bool writes = false;
  Where where = Where::everywhere;
  Offers offers = Offers::nothing;
  /// Its first argument, where it has any, is the space that it is about.
  bool names_space = false;
  /// Works where the files are damaged so that nothing tells which store they are of.
  bool of_any_files = false;
  Got<void> (*run)(Context&, const Words& arguments) = nullptr;
};

// The commands by what they are for, each group in a file of its own.
[[nodiscard]] std::span<const Command> look_commands();
[[nodiscard]] std::span<const Command> analytics_commands();
[[nodiscard]] std::span<const Command> data_commands();
[[nodiscard]] std::span<const Command> operate_commands();
[[nodiscard]] std::span<const Command> file_commands();
[[nodiscard]] std::span<const Command> repair_commands();
[[nodiscard]] std::span<const Command> transfer_commands();
[[nodiscard]] std::span<const Command> general_commands();

/// In the order in which `help` lists them.
[[nodiscard]] std::vector<const Command*> all_commands();

/// The command that the words begin with, the longest name first; null if there is none.
[[nodiscard]] const Command* find_command(const Words& words);

[[nodiscard]] std::string usage(const Command& command);

/// Why the command of that name does nothing with a running store.
[[nodiscard]] std::unexpected<Failure> for_closed_files(const std::string& name);

/// Runs one line; an empty one does nothing.
[[nodiscard]] Got<void> run_line(Context& context, std::string_view line);

/// What could stand where the word at the end of the line is: whole words, sorted.
[[nodiscard]] std::vector<std::string> completions(Context& context, std::string_view line);

}  // namespace shell
