#pragma once

#include "base/descriptor.h"

#include <actable/result.h>

#include <sys/types.h>

#include <filesystem>
#include <optional>

/// The socket `debug.sock` in a store's directory, from both sides. A path may be
/// longer than the address of a socket holds: it then goes through the open
/// directory, as /proc/self/fd/N/debug.sock.
namespace actable::debug {

inline constexpr const char* k_socket_name = "debug.sock";

/// Who is at the other end of a connection, as the system says.
struct Peer {
  uid_t user = 0;
  pid_t process = 0;
};
[[nodiscard]] std::optional<Peer> peer_of(int socket) noexcept;

/// The socket that clients connect to: 0600, and gone with this object. Nothing
/// blocks.
///
/// Thread safety: *confined* to its owner.
class Listener {
 public:
  /// Takes the place of a socket that a crash left; the caller holds the
  /// directory's lock, so nobody listens there. Fails with
  ///   invalid_argument  the directory is not this user's or root's, or others may
  ///                     write to it; or a file of another kind has that name
  ///   not_found         the directory is missing
  ///   io_error
  [[nodiscard]] static Result<Listener> open(const std::filesystem::path& directory);

  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  [[nodiscard]] int descriptor() const noexcept { return socket_.number(); }
  /// The next connection; empty when there is none. Fails with no_memory where the
  /// system has no means for it, descriptors for instance; the client then waits.
  [[nodiscard]] Result<std::optional<base::Descriptor>> accept();
  /// Clients come to a socket that belongs to nobody else than the process's user.
  [[nodiscard]] static bool may_connect(const Peer& peer) noexcept;

 private:
  Listener(base::Descriptor directory, base::Descriptor socket) noexcept;

  base::Descriptor directory_;
  base::Descriptor socket_;
  pid_t owner_;
};

/// Connects to the process that listens in the directory; never waits. Fails with
///   not_found         nobody does
///   overloaded        so many wait for it already that there is no room for more
///   invalid_argument  it is a process of a user that is neither root, nor this
///                     one, nor the directory's owner
///   io_error
[[nodiscard]] Result<base::Descriptor> connect_in(const std::filesystem::path& directory);

}  // namespace actable::debug
