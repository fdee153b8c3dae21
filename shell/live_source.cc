#include "shell/interrupt.h"
#include "shell/source.h"

#include <utility>

namespace shell {

namespace debug = actable::debug;

namespace {

/// Whatever a wait failed with that Ctrl-C ended: that is why.
[[nodiscard]] std::unexpected<Failure> failed_waiting(const actable::Error& error) {
  if (interrupted) return failed("interrupted", k_status_interrupted);
  return failed(error);
}

}  // namespace

Got<std::unique_ptr<LiveSource>> LiveSource::connect(const std::filesystem::path& directory, bool writes) {
  std::unique_ptr<LiveSource> source(new LiveSource(directory, writes));
  if (auto connected = source->reconnect(); !connected) {
    if (interrupted) return failed_waiting(connected.error());
    const bool nobody = connected.error().code == actable::ErrorCode::not_found;
    return failed(connected.error().message, nobody ? k_status_failed : k_status_not_asked);
  }
  return source;
}

actable::Result<void> LiveSource::reconnect() {
  auto client =
      debug::Client::connect(directory_, {.writes = writes_, .name = "actable-shell", .interrupted = &interrupted});
  if (!client) return std::unexpected(std::move(client.error()));
  client_ = std::make_unique<debug::Client>(*std::move(client));
  return {};
}

Got<debug::Document> LiveSource::ask(const std::string& command, debug::Document::Map arguments) {
  // After an interrupt, or after the process was started again.
  if (!client_->connected()) {
    if (auto again = reconnect(); !again) {
      if (again.error().code != actable::ErrorCode::not_found) return failed_waiting(again.error());
      return failed("nobody serves the debug socket in " + directory_.string() +
                        " any more; start actable-shell again to look at the files, or at the next process",
                    k_status_not_asked);
    }
  }
  auto answer = client_->ask(command, std::move(arguments));
  if (!answer) return failed_waiting(answer.error());
  return *std::move(answer);
}

}  // namespace shell
