#include "actors/connections.h"

#include "actors/message_check.h"

#include <caf/detail/socket_guard.hpp>
#include <caf/expected.hpp>
#include <caf/io/abstract_broker.hpp>
#include <caf/io/basp/header.hpp>
#include <caf/io/network/acceptor_impl.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/io/scribe.hpp>
#include <caf/make_counted.hpp>
#include <caf/openssl/session.hpp>
#include <caf/policy/tcp.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace actable::actors {
namespace {

namespace net = caf::io::network;
using caf::io::basp::message_type;

/// A message begins with a header: what it is, in the first byte, and the length of
/// what follows it, the most significant byte first.
class Header {
 public:
  explicit Header(std::string_view bytes) : operation_(static_cast<message_type>(bytes[0])) {
    constexpr std::size_t k_length_at = 4;
    for (const char byte : bytes.substr(k_length_at, 4)) length_ = length_ << 8 | static_cast<unsigned char>(byte);
  }
  [[nodiscard]] message_type operation() const noexcept { return operation_; }
  [[nodiscard]] std::uint32_t length() const noexcept { return length_; }

 private:
  message_type operation_;
  std::uint32_t length_ = 0;
};

template <class T>
[[nodiscard]] T or_none(caf::expected<T> value) {
  return value ? *std::move(value) : T{};
}

/// Encrypts, with CAF's TLS.
class Encrypted {
 public:
  explicit Encrypted(caf::openssl::session_ptr session) : session_(std::move(session)) {}
  net::rw_state read_some(std::size_t& result, net::native_socket socket, void* bytes, std::size_t length) {
    return session_->read_some(result, socket, bytes, length);
  }
  net::rw_state write_some(std::size_t& result, net::native_socket socket, const void* bytes, std::size_t length) {
    return session_->write_some(result, socket, bytes, length);
  }
  bool must_read_more(net::native_socket socket, std::size_t threshold) {
    return session_->must_read_more(socket, threshold);
  }

 private:
  caf::openssl::session_ptr session_;
};

using Plain = caf::policy::tcp;

/// One connection: CAF's, but that it looks at what comes before CAF does.
template <class Policy>
class BoundedScribe final : public caf::io::scribe {
 public:
  template <class... Ts>
  BoundedScribe(net::default_multiplexer& multiplexer, net::native_socket socket, std::shared_ptr<Door> door,
                Ts&&... policy)
      : scribe(net::conn_hdl_from_socket(socket)),
        door_(std::move(door)),
        stream_(multiplexer, socket, std::forward<Ts>(policy)...) {
    door_->enter(socket);
  }
  // Before the stream closes the socket.
  ~BoundedScribe() override { door_->leave(stream_.fd()); }

  /// CAF has a header come, and then as many bytes as that announces.
  bool consume(caf::execution_unit* unit, const void* bytes, std::size_t length) override {
    if (detached()) return false;
    const std::string_view came(static_cast<const char*>(bytes), length);
    const bool whole = header_.has_value();
    const Header header = whole ? *header_ : Header(came);
    header_.reset();
    if (!whole && header.length() != 0) header_ = header;
    if (const auto objection = whole ? objection_to_rest(header, came) : objection_to_length(header)) {
      door_->report(LogLevel::warning, "a process connected from " + addr() + " is disconnected: it " + *objection);
      io_failure(unit, net::operation::read);
      return false;
    }
    if (!scribe::consume(unit, bytes, length)) return false;
    if (whole && header.operation() == message_type::client_handshake) door_->introduced(stream_.fd());
    return true;
  }

  void configure_read(caf::io::receive_policy::config config) override {
    stream_.configure_read(config);
    if (std::exchange(launched_, true)) return;
    stream_.start(this);
    // TLS has to be begun, for which there may be nothing to read.
    if constexpr (!std::is_same_v<Policy, Plain>) stream_.force_empty_write(this);
  }
  void ack_writes(bool enable) override { stream_.ack_writes(enable); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }
  void flush() override { stream_.flush(this); }
  std::string addr() const override { return or_none(net::remote_addr_of_fd(stream_.fd())); }
  std::uint16_t port() const override { return or_none(net::remote_port_of_fd(stream_.fd())); }
  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }

 private:
  [[nodiscard]] std::optional<std::string> objection_to_length(const Header& header) const {
    const std::size_t most = door_->limits().message_bytes_max;
    if (header.length() <= most) return std::nullopt;
    return "announced a message of " + std::to_string(header.length()) + " bytes; " + std::to_string(most) +
           " may come (NetworkOptions::request_bytes_max)";
  }
  [[nodiscard]] static std::optional<std::string> objection_to_rest(const Header& header, std::string_view rest) {
    auto objection = objection_to(header.operation(), rest);
    if (objection) objection->insert(0, "sent a message that ");
    return objection;
  }

  const std::shared_ptr<Door> door_;
  net::stream_impl<Policy> stream_;
  bool launched_ = false;
  // Of the message whose rest is to come.
  std::optional<Header> header_;
};

class Doorman;

/// How a doorman's socket is asked for the next connection.
class Accepting {
 public:
  explicit Accepting(Doorman& doorman) : doorman_(doorman) {}
  bool try_accept(net::native_socket& result, net::native_socket listening);

 private:
  Doorman& doorman_;
};

class Doorman final : public caf::io::doorman {
 public:
  Doorman(net::default_multiplexer& multiplexer, net::native_socket socket, std::shared_ptr<Door> door, bool tls)
      : doorman(net::accept_hdl_from_socket(socket)),
        door_(std::move(door)),
        tls_(tls),
        acceptor_(multiplexer, socket, *this) {}

  bool new_connection() override {
    const net::native_socket socket = acceptor_.accepted_socket();
    caf::detail::socket_guard guard(socket);
    // The broker may have let go of it before the multiplexer did.
    if (detached() || !door_->admits(socket)) return false;
    const caf::io::scribe_ptr scribe = make_scribe(socket);
    if (scribe == nullptr) return false;
    guard.release();
    // Who is gone without a word takes a place.
    (void)net::keepalive(socket, true);
    parent()->add_scribe(scribe);
    return doorman::new_connection(&acceptor_.backend(), scribe->hdl());
  }

  /// No descriptor or memory for the next connection, which waits: the socket would
  /// say so again at once, and for as long.
  void pause(int error) {
    acceptor_.passivate();
    door_->report(LogLevel::warning, std::string("no connection from other processes can be accepted now: ") +
                                         std::strerror(error) + "; the next try is in a second");
    door_->pause([self = caf::intrusive_ptr<Doorman>(this)] {
      self->acceptor_.backend().post([self] {
        if (!self->detached()) self->acceptor_.activate(self.get());
      });
    });
  }

  void launch() override { acceptor_.start(this); }
  void graceful_shutdown() override {
    acceptor_.graceful_shutdown();
    detach(&acceptor_.backend(), false);
  }
  std::string addr() const override { return or_none(net::local_addr_of_fd(acceptor_.fd())); }
  std::uint16_t port() const override { return or_none(net::local_port_of_fd(acceptor_.fd())); }
  void add_to_loop() override { acceptor_.activate(this); }
  void remove_from_loop() override { acceptor_.passivate(); }

 private:
  /// Null if there is to be no connection; the socket is the scribe's otherwise.
  [[nodiscard]] caf::io::scribe_ptr make_scribe(net::native_socket socket) {
    net::default_multiplexer& multiplexer = acceptor_.backend();
    if (!tls_) return caf::make_counted<BoundedScribe<Plain>>(multiplexer, socket, door_);
    try {
      auto session = caf::openssl::make_session(parent()->system(), socket, true);
      if (session == nullptr) return nullptr;
      return caf::make_counted<BoundedScribe<Encrypted>>(multiplexer, socket, door_, std::move(session));
    } catch (const std::exception& exception) {
      // It reads the certificates anew for each.
      door_->report(LogLevel::error, std::string("a connection from another process is closed, for TLS cannot be "
                                                 "begun; look at the files of Certificates: ") +
                                         exception.what());
      return nullptr;
    }
  }

  const std::shared_ptr<Door> door_;
  const bool tls_;
  net::acceptor_impl<Accepting> acceptor_;
};

bool Accepting::try_accept(net::native_socket& result, net::native_socket listening) {
  result = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (result != net::invalid_native_socket) return true;
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) doorman_.pause(errno);
  return false;
}

}  // namespace

caf::io::doorman_ptr make_doorman(net::default_multiplexer& multiplexer, net::native_socket socket,
                                  std::shared_ptr<Door> door, bool tls) {
  return caf::make_counted<Doorman>(multiplexer, socket, std::move(door), tls);
}

}  // namespace actable::actors
