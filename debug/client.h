#pragma once

#include "base/descriptor.h"
#include "debug/protocol.h"

#include <actable/result.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace actable::debug {

/// A connection to a live store's process: asks, and waits for the answer.
///
/// Thread safety: *confined*, but for the flag it is given.
class Client {
 public:
  struct Settings {
    bool writes = false;
    std::string name{};
    /// Longer than the process gives itself for an answer.
    std::chrono::milliseconds patience{40'000};
    /// Ends the wait, with `closed`, when a signal handler has set it. May be null.
    const std::atomic<bool>* interrupted = nullptr;
  };

  /// Waits while the process takes nobody. Fails as `connect_in`, and with
  ///   unsupported  the process speaks another version of the protocol
  ///   overloaded   it has as many clients as it takes
  ///   indeterminate  it has answered nothing in all the time there was: it is
  ///                stopped, say
  ///   closed       it has ended meanwhile
  ///   corrupt      what answered is no such process
  [[nodiscard]] static Result<Client> connect(const std::filesystem::path& directory, Settings settings);

  /// What the process answered. Fails with its error, or with
  ///   closed         the connection is gone: the process has ended or was stopped
  ///   indeterminate  no answer came, or the wait was interrupted; the connection
  ///                  is then closed, and with it ends what was asked for
  [[nodiscard]] Result<Document> ask(std::string command, Document::Map arguments = {});

  [[nodiscard]] const Welcome& welcome() const noexcept { return welcome_; }
  /// False once an `ask` failed for the connection's sake.
  [[nodiscard]] bool connected() const noexcept { return socket_.valid(); }
  [[nodiscard]] int descriptor() const noexcept { return socket_.number(); }

 private:
  Client(base::Descriptor socket, Settings settings);
  [[nodiscard]] Result<void> send_all(const std::string& message);
  [[nodiscard]] Result<std::string> receive();
  [[nodiscard]] Result<void> reach(const std::filesystem::path& directory);
  [[nodiscard]] Result<void> wait(short events);
  [[nodiscard]] Result<bool> look(short events);
  [[nodiscard]] std::unexpected<Error> lost(ErrorCode code, std::string message);
  [[nodiscard]] std::unexpected<Error> ended();

  base::Descriptor socket_;
  Settings settings_;
  Welcome welcome_;
  FrameBuffer incoming_{k_reply_bytes_max};
  std::uint64_t last_id_ = 0;
  std::chrono::steady_clock::time_point give_up_at_{};
};

}  // namespace actable::debug
