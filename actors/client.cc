#include <actable/network.h>

#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/scoped_actor.hpp>

#include <fstream>
#include <set>
#include <utility>

namespace actable {
namespace {

/// What the failure to connect comes to.
[[nodiscard]] Error explained(const caf::error& error, const std::string& where, std::chrono::milliseconds patience) {
  const bool of_caf = error.category() == caf::atom("system");
  const caf::sec code = of_caf ? static_cast<caf::sec>(error.code()) : caf::sec::runtime_error;
  switch (code) {
    case caf::sec::request_timeout:
      return {ErrorCode::overloaded, "no answer from " + where + " in " + std::to_string(patience.count()) +
                                         " ms; it is very busy, or speaks another protocol than CAF's"};
    case caf::sec::cannot_connect_to_node:
      return {ErrorCode::not_found,
              "cannot connect to " + where + ": nobody listens there, or it is not to be reached"};
    default:
      return {
          ErrorCode::unsupported,
          "what listens at " + where +
              " does not speak the protocol of CAF 0.17, or only one of the two sides uses TLS, or a certificate was "
              "refused (" +
              to_string(error) + "); both sides need the same version of CAF, and TLS or not"};
  }
}

[[nodiscard]] Result<StoreActor> as_store(caf::actor_system& system, const caf::strong_actor_ptr& actor,
                                          const std::set<std::string>& types, const std::string& where) {
  if (actor == nullptr || !system.assignable(types, system.message_types(caf::detail::type_list<StoreActor>{}))) {
    return fail(ErrorCode::unsupported, "what listens at " + where +
                                            " is no store of Actable, or of another version of it; both sides need the "
                                            "same one");
  }
  return caf::actor_cast<StoreActor>(actor);
}

[[nodiscard]] Result<void> check_readable(const std::filesystem::path& file, const char* what) {
  if (std::ifstream(file).good()) return {};
  return fail(ErrorCode::invalid_argument,
              "Certificates::" + std::string(what) + ": cannot read the file '" + file.string() + "'");
}

}  // namespace

void load_network(caf::actor_system_config& config) {
  config.add_message_type<RequestOptions>("actable::RequestOptions")
      .add_message_type<Found>("actable::Found")
      .add_message_type<std::vector<Found>>("std::vector<actable::Found>")
      .add_message_type<Change>("actable::Change")
      .add_message_type<std::vector<Change>>("std::vector<actable::Change>")
      .add_message_type<Pairs>("actable::Pairs")
      .add_message_type<SpaceStats>("actable::SpaceStats")
      .add_message_type<StoreStats>("actable::StoreStats")
      .add_message_type<ActorStats>("actable::ActorStats")
      .add_message_type<std::vector<ActorStats>>("std::vector<actable::ActorStats>")
      .add_message_type<StoreActor>("actable::StoreActor")
      .add_message_type<SpaceActor>("actable::SpaceActor")
      .add_message_type<LogActor>("actable::LogActor")
      .add_message_type<DurableSubscriber>("actable::DurableSubscriber");
  config.load<caf::io::middleman>();
}

Result<void> load_network(caf::actor_system_config& config, const Certificates& certificates) {
  const std::pair<const std::filesystem::path&, const char*> files[] = {
      {certificates.certificate, "certificate"}, {certificates.key, "key"}, {certificates.authority, "authority"}};
  for (const auto& [file, what] : files) {
    if (auto readable = check_readable(file, what); !readable) return readable;
  }
  load_network(config);
  config.load<caf::openssl::manager>();
  config.openssl_certificate = certificates.certificate.string();
  config.openssl_key = certificates.key.string();
  config.openssl_passphrase = certificates.passphrase;
  config.openssl_cafile = certificates.authority.string();
  return {};
}

Result<StoreActor> connect(caf::actor_system& system, const std::string& host, std::uint16_t port,
                           std::chrono::milliseconds patience) {
  if (!system.has_middleman()) {
    return fail(ErrorCode::invalid_argument,
                "the actor system has no network: call load_network with its configuration before it is made");
  }
  const std::string where = host + ", port " + std::to_string(port);
  const caf::io::middleman_actor manager =
      system.has_openssl_manager() ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
  Result<StoreActor> store = fail(ErrorCode::indeterminate, "no answer");
  caf::scoped_actor self(system);
  self->request(manager, patience, caf::connect_atom::value, host, port)
      .receive([&](const caf::node_id&, const caf::strong_actor_ptr& actor,
                   const std::set<std::string>& types) { store = as_store(system, actor, types, where); },
               [&](const caf::error& error) { store = std::unexpected(explained(error, where, patience)); });
  return store;
}

}  // namespace actable
