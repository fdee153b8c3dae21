#include "benchmarks/engine.h"

namespace bench {

std::string_view to_string(Durability durability) noexcept {
  switch (durability) {
    case Durability::none:
      return "none";
    case Durability::async:
      return "async";
    case Durability::sync:
      return "sync";
  }
  return "?";
}

void Session::multi_get(std::span<const std::string_view> keys, Values values) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!values[i]) values[i].emplace();
    if (!get(keys[i], *values[i])) values[i].reset();
  }
}

void Session::apply(std::span<Call> calls) {
  for (Call& call : calls) {
    switch (call.verb) {
      case Verb::get:
        call.found = get(call.key, *call.result);
        break;
      case Verb::put:
        put(call.key, call.value);
        break;
      case Verb::erase:
        call.found = erase(call.key);
        break;
    }
  }
}

}  // namespace bench
