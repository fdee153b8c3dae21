#pragma once

#include "actors/inspector.h"
#include "base/file.h"
#include "tests/actors/stage.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What tests of the debug actor's answers have.
namespace actable::test {

/// An inspector of a store with a space `s`, and what it reports.
struct Scene {
  explicit Scene(Options options = {}, base::FileSystem& files = base::posix_file_system())
      : stage(with_log(std::move(options)), {}, files), space(must(stage.store().space("s"))) {}

  Options with_log(Options options) {
    options.log = [this](LogLevel, std::string_view line) { lines.emplace_back(line); };
    return options;
  }

  Result<debug::Document> ask(const std::string& command, debug::Document::Map arguments = {}, std::uint64_t client = 1,
                              bool writes = true) {
    debug::Request request{1, command, debug::Document(std::move(arguments))};
    return inspector.answer(
        debug::Question({.client = client, .peer = {.user = 7, .process = 8}, .writes = writes, .name = "a\x1b[1m"},
                        std::move(request)));
  }
  debug::Document must_ask(const std::string& command, debug::Document::Map arguments = {}, std::uint64_t client = 1) {
    return must(ask(command, std::move(arguments), client));
  }

  std::vector<std::string> lines;
  Stage stage;
  Space space;
  actors::Inspector inspector{stage.tree().shared_from_this()};
};

[[nodiscard]] inline debug::Document::Map of_key(const char* key) {
  return {{"space", "s"}, {"key", debug::Bytes{key}}};
}
[[nodiscard]] inline debug::Document::Map with(debug::Document::Map map, const char* name, debug::Document value) {
  map.push_back({name, std::move(value)});
  return map;
}

}  // namespace actable::test
