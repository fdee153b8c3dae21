#include "actors/tree.h"
#include "store/checks.h"

#include <actable/actors.h>

#include <utility>

namespace actable {

StoreActors::StoreActors(std::shared_ptr<actors::Tree> tree) : tree_(std::move(tree)) {}
StoreActors::StoreActors(StoreActors&&) noexcept = default;

StoreActors& StoreActors::operator=(StoreActors&& other) noexcept {
  if (this != &other) {
    if (tree_ != nullptr) (void)tree_->close();
    tree_ = std::move(other.tree_);
  }
  return *this;
}

StoreActors::~StoreActors() {
  if (tree_ != nullptr) (void)tree_->close();
}

Store& StoreActors::store() const noexcept { return tree_->store(); }
StoreActor StoreActors::actor() const { return tree_->store_actor(); }
LogActor StoreActors::log() const { return tree_->log_actor(); }

Result<SpaceActor> StoreActors::space_actor(std::string_view name, SpaceOptions options) {
  return store::guarded("the actor of a space", [&] { return tree_->space_actor(name, options); });
}

std::vector<ActorStats> StoreActors::stats() const { return tree_->actor_stats(); }

Result<Analytics> StoreActors::analytics() const {
  return store::guarded("the analytics", [&]() -> Result<Analytics> { return tree_->analytics().report(); });
}

Result<void> StoreActors::sample(unsigned every) { return tree_->sample(every); }

std::uint16_t StoreActors::port() const noexcept { return tree_->port(); }

Result<void> StoreActors::stop() { return tree_->close(); }

Result<StoreActors> start(caf::actor_system& system, Options options, ActorOptions actors) {
  auto tree = store::guarded("starting the store's actors",
                             [&] { return actors::Tree::start(system, std::move(options), std::move(actors)); });
  if (!tree) return std::unexpected(std::move(tree.error()));
  return StoreActors(*std::move(tree));
}

}  // namespace actable
