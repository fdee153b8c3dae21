#include "examples/service/front.h"

#include <caf/send.hpp>

#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace service {

namespace {

using caf::io::connection_handle;

constexpr std::string_view k_requests = "there are: login USER, buy SESSION ITEM, show SESSION, logout SESSION";

/// One user's connection.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(caf::io::broker* self, connection_handle handle, Backend backend)
      : self_(self), handle_(handle), backend_(std::move(backend)) {}

  void received(const std::vector<char>& bytes) {
    unread_.append(bytes.data(), bytes.size());
    if (!answering_) take_line();
    if (unread_.size() <= k_line_bytes_max) return;
    say("error a line is too long, or too many came before their answers");
    self_->quit();
  }

 private:
  /// One request at a time, so that answers come in order.
  void take_line() {
    const std::size_t end = unread_.find('\n');
    if (end == std::string::npos) return;
    std::istringstream line(unread_.substr(0, end));
    unread_.erase(0, end + 1);
    answering_ = true;
    std::string verb, subject, item, rest;
    line >> verb >> subject >> item >> rest;
    const bool has_item = !item.empty();
    if (!rest.empty() || subject.empty() || has_item != (verb == "buy"))
      return answer("error " + std::string(k_requests));
    if (!admitted(subject)) return;
    if (verb == "login") return ask<std::string>("", login_atom::value, subject);
    if (verb == "buy") return ask<std::uint64_t>(" items", buy_atom::value, subject, item);
    if (verb == "show") return ask<std::string>("", show_atom::value, subject);
    if (verb == "logout") return ask<std::string>("", logout_atom::value, subject);
    answer("error no request '" + verb + "'; " + std::string(k_requests));
  }

  /// Otherwise it has answered.
  [[nodiscard]] bool admitted(const std::string& subject) {
    const auto admitted = backend_.limiter.admit(subject, Limiter::Clock::now());
    if (admitted && *admitted) return true;
    answer("error " +
           (admitted ? "too many requests of " + subject + "; try again in a second" : admitted.error().message));
    return false;
  }

  template <class T, class... Ts>
  void ask(std::string_view unit, Ts&&... request) {
    const auto connection = shared_from_this();
    self_->request(backend_.sessions, caf::infinite, std::forward<Ts>(request)...)
        .then(
            [connection, unit](const T& value) {
              std::ostringstream text;
              text << "ok " << value << unit;
              connection->answer(text.str());
            },
            [connection](const caf::error& error) { connection->answer("error " + actable::to_error(error).message); });
  }

  void answer(const std::string& line) {
    say(line);
    answering_ = false;
    take_line();
  }

  void say(const std::string& line) {
    const std::string text = line + "\n";
    self_->write(handle_, text.size(), text.data());
    self_->flush(handle_);
  }

  caf::io::broker* const self_;
  const connection_handle handle_;
  Backend backend_;
  std::string unread_;
  bool answering_ = false;
};

caf::behavior connection(caf::io::broker* self, connection_handle handle, const Backend& backend) {
  self->configure_read(handle, caf::io::receive_policy::at_most(k_line_bytes_max));
  const auto state = std::make_shared<Connection>(self, handle, backend);
  return {
      [state](const caf::io::new_data_msg& data) { state->received(data.buf); },
      [self](const caf::io::connection_closed_msg&) { self->quit(); },
  };
}

}  // namespace

caf::behavior front(caf::io::broker* self, const Backend& backend) {
  const auto connections = std::make_shared<std::set<caf::actor>>();
  self->set_down_handler([connections](caf::down_msg& down) {
    if (const auto ended = caf::actor_cast<caf::actor>(down.source)) connections->erase(ended);
  });
  self->set_exit_handler([self, connections](caf::exit_msg& exit) {
    for (const caf::actor& open : *connections) self->send_exit(open, exit.reason);
    self->quit(exit.reason);
  });
  return {
      [self](listen_atom, std::uint16_t port) -> caf::result<std::uint16_t> {
        auto opened = self->add_tcp_doorman(port, "127.0.0.1", true);
        if (!opened) return std::move(opened.error());
        return opened->second;
      },
      [self, connections, backend](const caf::io::new_connection_msg& user) {
        if (connections->size() >= k_connections_max) {
          constexpr std::string_view k_full = "error too many users at the moment; try again later\n";
          self->write(user.handle, k_full.size(), k_full.data());
          self->flush(user.handle);
          self->close(user.handle);
          return;
        }
        const caf::actor forked = self->fork(connection, user.handle, backend);
        self->monitor(forked);
        connections->insert(forked);
      },
      [](const caf::io::acceptor_closed_msg&) {},
  };
}

}  // namespace service
