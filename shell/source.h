#pragma once

#include "debug/client.h"
#include "shell/failure.h"

#include <filesystem>
#include <memory>
#include <string>

namespace shell {

/// Where answers come from: a running process, or the files that one has closed.
/// Commands and answers are those of docs/debug-protocol.md in either case.
///
/// Thread safety: *confined*.
class Source {
 public:
  virtual ~Source() = default;
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  [[nodiscard]] virtual Got<actable::debug::Document> ask(const std::string& command,
                                                          actable::debug::Document::Map arguments) = 0;
  /// To be watched while waiting, so that its end is noticed; -1 if there is none.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
};

/// A process, through its debug socket.
class LiveSource final : public Source {
 public:
  /// Fails where nobody serves the socket (status 1), or not us.
  [[nodiscard]] static Got<std::unique_ptr<LiveSource>> connect(const std::filesystem::path& directory, bool writes);

  [[nodiscard]] Got<actable::debug::Document> ask(const std::string& command,
                                                  actable::debug::Document::Map arguments) override;
  [[nodiscard]] int descriptor() const noexcept override { return client_->descriptor(); }
  [[nodiscard]] std::uint64_t process() const noexcept { return client_->welcome().process; }

 private:
  LiveSource(std::filesystem::path directory, bool writes) : directory_(std::move(directory)), writes_(writes) {}
  [[nodiscard]] actable::Result<void> reconnect();

  const std::filesystem::path directory_;
  const bool writes_;
  std::unique_ptr<actable::debug::Client> client_;
};

}  // namespace shell
