#include "tests/store/operations.h"

#include <array>

namespace actable::test {
namespace {

template <class T>
std::optional<Error> error_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error());
}

using Key = std::string_view;
using Value = std::string_view;

std::vector<Operation> reads() {
  return {
      {.name = "get into a string",
       .run =
           [](Space& space, Key key, Value) {
             std::string into;
             return error_of(space.get(key, into));
           }},
      {.name = "get", .run = [](Space& space, Key key, Value) { return error_of(space.get(key)); }},
      {.name = "visit",
       .run = [](Space& space, Key key, Value) { return error_of(space.visit(key, [](const Entry&) {})); }},
      {.name = "multi_get",
       .run =
           [](Space& space, Key key, Value) {
             const std::array<std::string_view, 2> keys{"a", key};
             std::array<std::optional<std::string>, 2> values;
             return error_of(space.multi_get(keys, values));
           }},
  };
}

std::vector<Operation> stores(WriteOptions options) {
  const auto stores_value = [](std::string name, auto run) {
    return Operation{.name = std::move(name), .writes = true, .stores_value = true, .run = run};
  };
  return {
      stores_value("put", [=](Space& space, Key key, Value value) { return error_of(space.put(key, value, options)); }),
      Operation{.name = "put_if_absent",
                .writes = true,
                .stores_value = true,
                .needs_absent = true,
                .run = [=](Space& space, Key key,
                           Value value) { return error_of(space.put_if_absent(key, value, options)); }},
      stores_value("compare_and_set",
                   [=](Space& space, Key key, Value value) {
                     Seq present = 0;
                     (void)space.visit(key, [&](const Entry& entry) { present = entry.seq; });
                     return error_of(space.compare_and_set(key, present, value, options));
                   }),
      stores_value("update",
                   [=](Space& space, Key key, Value value) {
                     const auto replace = [&](std::optional<std::string_view>) {
                       return std::optional(std::string(value));
                     };
                     return error_of(space.update(key, replace, options));
                   }),
  };
}

std::vector<Operation> other_writes(WriteOptions options) {
  return {
      {.name = "erase",
       .writes = true,
       .run = [=](Space& space, Key key, Value) { return error_of(space.erase(key, options)); }},
      {.name = "add",
       .writes = true,
       .needs_absent = true,
       .run = [=](Space& space, Key key, Value) { return error_of(space.add(key, 1, options)); }},
      {.name = "take",
       .writes = true,
       .run = [=](Space& space, Key key, Value) { return error_of(space.take(key, options)); }},
  };
}

}  // namespace

std::vector<Operation> every_operation(WriteOptions options) {
  std::vector<Operation> all = reads();
  for (Operation& operation : stores(options)) all.push_back(std::move(operation));
  for (Operation& operation : other_writes(options)) all.push_back(std::move(operation));
  return all;
}

}  // namespace actable::test
