#pragma once

#include "tests/support/results.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

/// Sockets of this machine, for tests of what comes over the network.
namespace actable::test {

[[nodiscard]] inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// A connection that speaks as the test says.
///
/// Thread safety: *confined*.
class Connection {
 public:
  explicit Connection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = loopback(port);
    expect(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(const std::string& bytes) {
    expect(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()), "send");
  }

  /// So many bytes, or those that came before the other side closed it, or within a minute.
  [[nodiscard]] std::string receive(std::size_t bytes) const {
    constexpr int k_patience_ms = 60'000;
    std::string received;
    while (received.size() < bytes) {
      pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
      char byte = 0;
      if (::poll(&ready, 1, k_patience_ms) <= 0 || ::recv(socket_, &byte, 1, 0) <= 0) break;
      received += byte;
    }
    return received;
  }

  /// True once the other side has closed it; false when it has not within a minute.
  [[nodiscard]] bool closed_by_peer() const {
    constexpr int k_patience_ms = 60'000;
    char byte = 0;
    for (;;) {
      pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, k_patience_ms) <= 0) return false;
      if (::recv(socket_, &byte, 1, 0) <= 0) return true;
    }
  }

 private:
  const int socket_;
};

/// Has this process make do with fewer descriptors.
///
/// Thread safety: *confined*.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t descriptors) {
    expect(::getrlimit(RLIMIT_NOFILE, &before_) == 0, "getrlimit");
    const rlimit now{descriptors, before_.rlim_max};
    expect(::setrlimit(RLIMIT_NOFILE, &now) == 0, "setrlimit");
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

  /// All that there are.
  class All {
   public:
    All() {
      for (int taken = 0; (taken = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken_.push_back(taken);
    }
    ~All() {
      for (const int taken : taken_) ::close(taken);
    }
    All(const All&) = delete;
    All& operator=(const All&) = delete;
    [[nodiscard]] std::size_t count() const noexcept { return taken_.size(); }
    void give_one_back() {
      ::close(taken_.back());
      taken_.pop_back();
    }

   private:
    std::vector<int> taken_;
  };

  [[nodiscard]] static std::size_t left() { return All().count(); }

 private:
  rlimit before_{};
};

/// Listens at a port of its own, and says nothing unless it is told to.
///
/// Thread safety: *confined*.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t bytes = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    expect(::bind(socket_, any, bytes) == 0 && ::listen(socket_, 8) == 0, "listen");
    expect(::getsockname(socket_, any, &bytes) == 0, "getsockname");
    port_ = ntohs(address.sin_port);
  }
  ~Listener() {
    ::shutdown(socket_, SHUT_RDWR);
    if (greeter_.joinable()) greeter_.join();
    ::close(socket_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Says this to the first who connects, and listens to him until he goes.
  void greet_with(const std::string& bytes) {
    greeter_ = std::thread([this, bytes] {
      const int connection = ::accept(socket_, nullptr, nullptr);
      (void)!::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      char byte = 0;
      while (::recv(connection, &byte, 1, 0) > 0) continue;
      ::close(connection);
    });
  }

 private:
  const int socket_;
  std::uint16_t port_ = 0;
  std::thread greeter_;
};

}  // namespace actable::test
