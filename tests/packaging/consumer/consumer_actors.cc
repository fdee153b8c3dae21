// As consumer.cc, through an actor.

#include <actable/actors.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <string>

int main(int argc, char* argv[]) {
  if (argc != 2) return 2;
  caf::actor_system_config config;
  caf::actor_system system(config);
  auto store = actable::start(system, {.directory = argv[1]});
  if (!store) return 1;
  const auto space = store->space_actor("words");
  if (!space) return 1;
  const actable::RequestOptions durable{.durability = actable::Durability::sync};
  caf::scoped_actor self(system);
  const auto failed = [](const caf::error& error) { std::cout << actable::to_error(error).message << '\n'; };
  self->request(*space, caf::infinite, actable::put_atom::value, std::string("greeting"), std::string("hello"), durable)
      .receive([](actable::Seq) {}, failed);
  self->request(*space, caf::infinite, actable::get_atom::value, std::string("greeting"), actable::RequestOptions())
      .receive([](const actable::Found& found) { std::cout << found.value; }, failed);
  self->request(*space, caf::infinite, actable::add_atom::value, std::string("count"), std::int64_t{42}, durable)
      .receive([](std::int64_t sum) { std::cout << ' ' << sum; }, failed);
  const auto for_words = [](const actable::ActorStats& actor) { return actor.name == "space words"; };
  std::cout << ' ' << 6 + std::ranges::count_if(store->stats(), for_words) << '\n';
  return store->stop() ? 0 : 1;
}
