#pragma once

#include "debug/document.h"
#include "shell/failure.h"
#include "shell/screen.h"
#include "shell/source.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace shell {

class StoreFiles;

/// What commands work with: the store that is looked at, the space that was
/// chosen, the screen.
///
/// Thread safety: *confined*.
class Context {
 public:
  struct Settings {
    std::filesystem::path directory{};
    bool allow_writes = false;
    /// Commands do not come from standard input: what it has is theirs to read.
    bool input_is_free = false;
    Screen::Settings screen{};
  };

  /// A running process if one serves the directory, else the files in it. Fails
  /// where neither can be looked at.
  [[nodiscard]] static Got<std::unique_ptr<Context>> open(Settings settings);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
  [[nodiscard]] Screen& screen() noexcept { return screen_; }
  [[nodiscard]] bool live() const noexcept { return files_ == nullptr; }
  /// The files; only where not live.
  [[nodiscard]] StoreFiles& files() noexcept { return *files_; }
  /// The process that is looked into; only where live.
  [[nodiscard]] std::uint64_t process() const noexcept { return static_cast<const LiveSource&>(*source_).process(); }
  /// -1 where there is no connection.
  [[nodiscard]] int descriptor() const noexcept { return source_->descriptor(); }

  [[nodiscard]] Got<actable::debug::Document> ask(const std::string& command,
                                                  actable::debug::Document::Map arguments = {});
  /// A walk or a trace: `see` gets each step. Ends with the walk, with an
  /// interrupt, or when `see` returns false.
  [[nodiscard]] Got<void> walk(const std::string& command, actable::debug::Document::Map arguments,
                               const std::function<bool(const actable::debug::Document&)>& see);

  /// The space that commands are about: the chosen one, or the only one there is.
  [[nodiscard]] Got<std::string> space();
  /// Empty: none.
  [[nodiscard]] const std::string& chosen_space() const noexcept { return space_; }
  void choose_space(std::string name) { space_ = std::move(name); }

  /// The names of the spaces. Fails as `ask`.
  [[nodiscard]] Got<std::vector<std::string>> spaces();
  /// The same, and those of actors and of options that can be set, for who
  /// offers them: empty where nobody answers.
  [[nodiscard]] std::vector<std::string> space_names();
  [[nodiscard]] std::vector<std::string> actor_names();
  [[nodiscard]] std::vector<std::string> option_names();

  [[nodiscard]] bool over() const noexcept { return over_; }
  void end() noexcept { over_ = true; }

 private:
  Context(Settings settings, std::unique_ptr<Source> source, StoreFiles* files);
  [[nodiscard]] Got<std::vector<std::string>> names(const std::string& command, std::string_view field);

  const Settings settings_;
  Screen screen_;
  const std::unique_ptr<Source> source_;
  // The source, where it is of files.
  StoreFiles* const files_;
  std::string space_;
  bool over_ = false;
};

}  // namespace shell
