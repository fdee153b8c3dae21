// What CAF is given to read of what came over the network.

#include "actors/message_check.h"

#include "tests/support/catch.h"
#include "tests/support/results.h"

#include <actable/network.h>

#include <caf/actor_system.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/config_value.hpp>
#include <caf/downstream_msg.hpp>
#include <caf/make_message.hpp>
#include <caf/system_messages.hpp>

#include <string>
#include <vector>

using namespace actable;
using namespace actable::test;
using caf::io::basp::message_type;

namespace {

/// An actor system whose serializer writes what would come.
class Wire {
 public:
  Wire() : system_(config_) {}

  template <class... Ts>
  std::string bytes(Ts... values) {
    std::vector<char> bytes;
    caf::binary_serializer to(system_, bytes);
    REQUIRE_FALSE(to(values...));
    return {bytes.begin(), bytes.end()};
  }

  /// The payload of a message to an actor.
  template <class... Ts>
  std::string message(Ts... values) {
    return bytes(std::vector<caf::strong_actor_ptr>(), caf::make_message(std::move(values)...));
  }

  [[nodiscard]] const caf::node_id& node() const { return system_.node(); }

 private:
  struct Config : caf::actor_system_config {
    Config() {
      set("scheduler.max-threads", 1);
      load_network(*this);
    }
  };
  Config config_;
  caf::actor_system system_;
};

/// "" if CAF may read it.
std::string said(std::string_view payload, message_type operation = message_type::direct_message) {
  return actors::objection_to(operation, payload).value_or("");
}

std::string of(const std::string& type) { return "holds a value of type " + type; }

const std::string k_unreadable = "cannot be read";

}  // namespace

TEST_CASE("what the message interface sends may be read, whatever is in it", "[message_check]") {
  Wire wire;
  const RequestOptions options;
  Pairs pairs;
  pairs.add("@message", "@<>+@message");
  const std::vector<Change> changes{{Change::Kind::put, "@message", "@error", "@down"}};
  for (const std::string& payload :
       {wire.message(), wire.message(put_atom::value, std::string("@message"), std::string("@error"), options),
        wire.message(put_atom::value, pairs, options), wire.message(write_atom::value, changes, options),
        wire.message(get_atom::value, std::vector<std::string>{"@error"}, options),
        wire.message(make_error(ErrorCode::closed, "over")), wire.message(caf::error(caf::sec::unexpected_message)),
        wire.message(caf::exit_msg{{}, caf::exit_reason::user_shutdown})}) {
    CHECK(said(payload) == "");
    CHECK(said(wire.bytes(wire.node(), wire.node()) + payload, message_type::routed_message) == "");
  }
  CHECK(said(wire.bytes(wire.node(), wire.node(), caf::error(caf::exit_reason::kill)), message_type::down_message) ==
        "");
  CHECK(said(wire.bytes(wire.node()), message_type::client_handshake) == "");
}

TEST_CASE("values that may hold values of their own kind may not be read", "[message_check]") {
  Wire wire;
  const caf::message inner = caf::make_message(1);
  const caf::error deep = caf::make_error(caf::sec::runtime_error, std::string("first"), inner);
  const std::pair<std::string, std::string> refused[] = {
      {wire.message(inner, 1), of("@message")},
      {wire.message(std::string("first"), inner), of("@message")},
      {wire.message(caf::config_value(1)), of("@config_value")},
      {wire.message(caf::make_error(caf::sec::runtime_error, caf::config_value(1))), of("@config_value in an error")},
      {wire.message(deep), of("@message in an error")},
      {wire.message(caf::exit_msg{{}, deep}), of("@message in an error")},
      {wire.message(caf::down_msg{{}, caf::make_error(caf::sec::runtime_error, deep)}), of("@message in an error")}};
  for (const auto& [payload, objection] : refused) {
    CHECK(said(payload) == objection);
    CHECK(said(wire.bytes(wire.node(), wire.node()) + payload, message_type::routed_message) == objection);
  }
  CHECK(said(wire.bytes(wire.node(), wire.node(), deep), message_type::down_message) == of("@message in an error"));
}

TEST_CASE("what CAF would not have written may not be read", "[message_check]") {
  Wire wire;
  const std::string whole = wire.message(put_atom::value, std::string("k"));
  const std::size_t values = whole.find("@str") + 4;
  for (std::size_t length = 0; length < values; ++length) CHECK(said(whole.substr(0, length)) == k_unreadable);
  // A length of more bytes than one has, which CAF shifts to anywhere.
  CHECK(said(std::string("\0\0\0", 3) + "\x83\x80\x80\x80\x80\x01@<>") == k_unreadable);
  CHECK(said(std::string("\0\0\0\x03", 4) + "???") == k_unreadable);
  CHECK(said(std::string("\0\0\x01\x03", 4) + "@<>") == k_unreadable);
  CHECK(said(std::string("\xff\xff\xff\xff\x0f", 5)) == k_unreadable);
}
