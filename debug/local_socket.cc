#include "debug/local_socket.h"

#include "base/file_error.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace actable::debug {
namespace {

namespace fs = std::filesystem;
using base::Descriptor;
using base::file_error;

// Clients that wait to be accepted; more than eight are turned away in any case.
constexpr int k_backlog = 16;
constexpr mode_t k_socket_mode = 0600;

[[nodiscard]] std::unexpected<Error> failed(std::string_view what, const fs::path& path, ErrorCode code) {
  return std::unexpected(file_error(code, what, path, errno));
}

[[nodiscard]] Result<Descriptor> open_directory(const fs::path& directory) {
  Descriptor opened(base::uninterrupted([&] { return ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (opened.valid()) return opened;
  return failed("open directory", directory, errno == ENOENT ? ErrorCode::not_found : ErrorCode::io_error);
}

[[nodiscard]] Descriptor new_socket(int flags) noexcept {
  return Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

/// The address of the socket in the directory, which is open.
[[nodiscard]] Result<sockaddr_un> address_in(const fs::path& directory, const Descriptor& opened) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = (directory / k_socket_name).string();
  if (path.size() >= sizeof address.sun_path) {
    path = "/proc/self/fd/" + std::to_string(opened.number());
    if (access(path.c_str(), F_OK) != 0) {
      return fail(ErrorCode::io_error, "the path " + (directory / k_socket_name).string() +
                                           " is longer than a socket's address holds, and there is no /proc to go "
                                           "around that: use a shorter path, or mount /proc");
    }
    path += std::string("/") + k_socket_name;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

[[nodiscard]] Result<void> check_directory(const fs::path& directory, const Descriptor& opened) {
  struct stat status {};
  if (fstat(opened.number(), &status) != 0) return failed("look at directory", directory, ErrorCode::io_error);
  if (status.st_uid != geteuid() && status.st_uid != 0) {
    return fail(ErrorCode::invalid_argument, "the directory " + directory.string() + " belongs to user " +
                                                 std::to_string(status.st_uid) +
                                                 ", who could exchange the debug socket: it has to be this process's "
                                                 "user, or switch Options::debug_socket off");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorCode::invalid_argument, "others than its owner may write in the directory " + directory.string() +
                                                 ", so they could exchange the debug socket: take that permission "
                                                 "away (chmod go-w), or switch Options::debug_socket off");
  }
  return {};
}

/// Removes the socket that a process left which is no more.
[[nodiscard]] Result<void> remove_stale(const fs::path& directory, const Descriptor& opened) {
  const fs::path path = directory / k_socket_name;
  struct stat status {};
  if (fstatat(opened.number(), k_socket_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return failed("look at", path, ErrorCode::io_error);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return fail(ErrorCode::invalid_argument,
                path.string() + " is there and is no socket, so that the debug socket has no place: move it away");
  }
  if (unlinkat(opened.number(), k_socket_name, 0) != 0) return failed("remove", path, ErrorCode::io_error);
  return {};
}

}  // namespace

std::optional<Peer> peer_of(int socket) noexcept {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) return std::nullopt;
  return Peer{credentials.uid, credentials.pid};
}

Listener::Listener(Descriptor directory, Descriptor socket) noexcept
    : directory_(std::move(directory)), socket_(std::move(socket)), owner_(getpid()) {}

Listener::~Listener() {
  // Not from a child that was forked meanwhile: the socket is its parent's.
  if (socket_.valid() && getpid() == owner_) unlinkat(directory_.number(), k_socket_name, 0);
}

Result<Listener> Listener::open(const fs::path& directory) {
  auto opened = open_directory(directory);
  if (!opened) return std::unexpected(std::move(opened.error()));
  if (auto checked = check_directory(directory, *opened); !checked) return std::unexpected(checked.error());
  if (auto removed = remove_stale(directory, *opened); !removed) return std::unexpected(removed.error());
  const auto address = address_in(directory, *opened);
  if (!address) return std::unexpected(address.error());
  const fs::path path = directory / k_socket_name;
  Descriptor socket = new_socket(SOCK_NONBLOCK);
  if (!socket.valid()) return failed("make a socket for", path, ErrorCode::io_error);
  // Before it has a name: Linux gives the name these permissions.
  if (fchmod(socket.number(), k_socket_mode) != 0) return failed("set the permissions of", path, ErrorCode::io_error);
  if (bind(socket.number(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return failed("make the socket", path, ErrorCode::io_error);
  }
  Listener listener(*std::move(opened), std::move(socket));
  if (listen(listener.descriptor(), k_backlog) != 0) return failed("listen on", path, ErrorCode::io_error);
  return listener;
}

Result<std::optional<Descriptor>> Listener::accept() {
  Descriptor accepted(
      base::uninterrupted([&] { return accept4(socket_.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }));
  if (accepted.valid()) return accepted;
  switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return fail(ErrorCode::no_memory, std::string("a debug client has to wait: ") + std::strerror(errno));
    default:
      // None, or one that has gone again.
      return std::nullopt;
  }
}

bool Listener::may_connect(const Peer& peer) noexcept { return peer.user == 0 || peer.user == geteuid(); }

Result<Descriptor> connect_in(const fs::path& directory) {
  auto opened = open_directory(directory);
  if (!opened) return std::unexpected(std::move(opened.error()));
  const auto address = address_in(directory, *opened);
  if (!address) return std::unexpected(address.error());
  const fs::path path = directory / k_socket_name;
  // A stopped process takes nobody from the queue of those who wait for it, and
  // once that is full a socket that blocks would wait here for ever.
  Descriptor socket = new_socket(SOCK_NONBLOCK);
  if (!socket.valid()) return failed("make a socket for", path, ErrorCode::io_error);
  const auto* const to = reinterpret_cast<const sockaddr*>(&*address);
  if (base::uninterrupted([&] { return ::connect(socket.number(), to, sizeof *address); }) != 0) {
    if (errno == EAGAIN) return failed("connect to", path, ErrorCode::overloaded);
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK;
    return failed("connect to", path, nobody ? ErrorCode::not_found : ErrorCode::io_error);
  }
  struct stat status {};
  const auto peer = peer_of(socket.number());
  if (!peer || fstat(opened->number(), &status) != 0) return failed("tell who is behind", path, ErrorCode::io_error);
  if (peer->user != 0 && peer->user != geteuid() && peer->user != status.st_uid) {
    return fail(ErrorCode::invalid_argument, path.string() + " is served by user " + std::to_string(peer->user) +
                                                 ", who does not own the directory: it is not trusted");
  }
  if (fcntl(socket.number(), F_SETFL, 0) != 0) return failed("set the mode of", path, ErrorCode::io_error);
  return socket;
}

}  // namespace actable::debug
