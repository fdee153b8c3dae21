#include "shell/context.h"

#include "shell/interrupt.h"
#include "shell/store_files.h"

#include <utility>

namespace shell {

using actable::debug::Document;

Context::Context(Settings settings, std::unique_ptr<Source> source, StoreFiles* files)
    : settings_(std::move(settings)), screen_(settings_.screen), source_(std::move(source)), files_(files) {}

Context::~Context() = default;

Got<std::unique_ptr<Context>> Context::open(Settings settings) {
  auto live = LiveSource::connect(settings.directory, settings.allow_writes);
  if (live) return std::unique_ptr<Context>(new Context(std::move(settings), *std::move(live), nullptr));
  if (live.error().status != k_status_failed) return std::unexpected(std::move(live.error()));
  auto files = StoreFiles::open(settings.directory);
  if (!files) return std::unexpected(std::move(files.error()));
  StoreFiles* const of = files->get();
  std::unique_ptr<Context> context(new Context(std::move(settings), *std::move(files), of));
  of->show_progress([screen = &context->screen_](const std::string& text) { screen->progress(text); });
  return context;
}

Got<Document> Context::ask(const std::string& command, Document::Map arguments) {
  return source_->ask(command, std::move(arguments));
}

Got<void> Context::walk(const std::string& command, Document::Map arguments,
                        const std::function<bool(const Document&)>& see) {
  Got<Document> step = ask(command, std::move(arguments));
  while (step) {
    const bool more = (*step)["more"].truth();
    if (!see(*step) || !more) return {};
    if (interrupted) return failed("interrupted", k_status_interrupted);
    step = ask("next");
  }
  return std::unexpected(std::move(step.error()));
}

Got<std::string> Context::space() {
  if (!space_.empty()) return space_;
  const auto names = spaces();
  if (!names) return std::unexpected(names.error());
  if (names->size() == 1) return names->front();
  if (names->empty()) return failed("the store has no spaces");
  return failed("which space? Choose one with `use SPACE`, or write `in SPACE COMMAND`; `spaces` lists them",
                k_status_not_asked);
}

Got<std::vector<std::string>> Context::names(const std::string& command, std::string_view field) {
  const auto list = ask(command);
  if (!list) return std::unexpected(list.error());
  std::vector<std::string> names;
  for (const Document& one : list->list()) names.emplace_back(one[field].text());
  return names;
}

Got<std::vector<std::string>> Context::spaces() { return names("spaces", "name"); }
std::vector<std::string> Context::space_names() { return spaces().value_or(std::vector<std::string>()); }
std::vector<std::string> Context::actor_names() { return names("actors", "name").value_or(std::vector<std::string>()); }

std::vector<std::string> Context::option_names() {
  std::vector<std::string> names;
  if (const auto list = ask("config")) {
    for (const Document& option : list->list()) {
      if (option["live"].truth()) names.emplace_back(option["option"].text());
    }
  }
  return names;
}

}  // namespace shell
