#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace shell {

/// The command line.
struct Settings {
  std::filesystem::path directory{};
  bool allow_writes = false;
  bool json = false;
  /// To be run instead of asking for commands.
  std::vector<std::string> commands{};
};

/// The program is to say this and end.
struct Exit {
  int status;
  std::string message;
};

[[nodiscard]] std::expected<Settings, Exit> parse_settings(int argc, const char* const* argv);

}  // namespace shell
