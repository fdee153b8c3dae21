// Writes to a store in the directory given, opens it again and prints what is there.

#include <actable/batch.h>
#include <actable/store.h>
#include <actable/typed.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

namespace {

template <class T>
T must(actable::Result<T> result) {
  if (!result) {
    std::cerr << actable::to_string(result.error().code) << ": " << result.error().message << '\n';
    std::exit(1);
  }
  return std::move(*result);
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 2) return 2;
  {
    auto store = must(actable::Store::open({.directory = argv[1]}));
    auto words = must(store.space("words"));
    must(words.put("greeting", "hello", {.durability = actable::Durability::sync}));
    must(words.add("count", 42));
    must(actable::TypedSpace<std::uint32_t>(words).put("typed", 7));
    if (!store.close()) return 1;
  }
  auto store = must(actable::Store::open({.directory = argv[1]}));
  auto words = must(store.space("words"));
  const auto greeting = must(words.get("greeting"));
  const auto typed = must(actable::TypedSpace<std::uint32_t>(words).get("typed"));
  std::cout << greeting.value_or("?") << ' ' << must(words.add("count", 0)) << ' ' << typed.value_or(0) << '\n';
}
