#include "actors/trace.h"

#include <caf/abstract_actor.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/atom.hpp>
#include <caf/type_nr.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <utility>

namespace actable::actors {
namespace {

[[nodiscard]] std::string type_name(const caf::type_erased_tuple& content, std::size_t at) {
  const auto [number, info] = content.type(at);
  if (number != 0) return caf::numbered_type_names[number - 1];
  if (info == nullptr) return "?";
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(info->name(), nullptr, nullptr, &status),
                                                         std::free);
  return status == 0 ? name.get() : info->name();
}

[[nodiscard]] std::string describe_element(const caf::type_erased_tuple& content, std::size_t at) {
  if (content.match_element<caf::atom_value>(at)) return to_string(content.get_as<caf::atom_value>(at));
  if (content.match_element<std::string>(at)) {
    return "string of " + std::to_string(content.get_as<std::string>(at).size()) + " bytes";
  }
  return type_name(content, at);
}

}  // namespace

std::string describe(const caf::mailbox_element& message) {
  std::string line = message.sender == nullptr ? "one-way" : "from actor " + std::to_string(message.sender->id());
  const caf::type_erased_tuple& content = message.content();
  for (std::size_t i = 0; i < content.size(); ++i) line += (i == 0 ? ": " : ", ") + describe_element(content, i);
  return line;
}

}  // namespace actable::actors
