#include "actors/tree.h"

#include "actors/actor_options.h"
#include "actors/orders.h"
#include "actors/workers.h"
#include "base/failure.h"
#include "store/access.h"
#include "store/checks.h"

#include <caf/send.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace actable::actors {
namespace {

constexpr std::size_t k_any_number = std::numeric_limits<std::size_t>::max();

}  // namespace

Tree::Tree(caf::actor_system& system, Store store, std::function<void(LogLevel, std::string_view)> log,
           ActorOptions actors)
    : system_(system),
      store_(std::move(store)),
      in_memory_(store_.stats().log.io.empty()),
      log_(std::move(log)),
      options_(std::move(actors)),
      // Not kept alive by us: an actor system ends when its actors have.
      host_(options_.host ? options_.host.address() : caf::actor_addr()) {
  options_.host = nullptr;
}

Tree::~Tree() { (void)close(); }

Result<std::shared_ptr<Tree>> Tree::start(caf::actor_system& system, Options options, ActorOptions actors,
                                          const Wiring& wiring) {
  if (auto checked = check_actor_options(actors); !checked) return std::unexpected(std::move(checked.error()));
  const bool debug_socket = std::exchange(options.debug_socket, false);
  const std::filesystem::path directory = options.directory;
  if (debug_socket && directory.empty()) {
    return fail(ErrorCode::invalid_argument,
                "Options::debug_socket needs Options::directory, where the socket is made: this store has none");
  }
  auto log = options.log;
  Result<Store> store = store::Access::open(std::move(options), wiring.files);
  if (!store) return std::unexpected(std::move(store.error()));
  std::shared_ptr<Tree> tree(new Tree(system, *std::move(store), std::move(log), std::move(actors)));
  try {
    tree->begin(wiring);
    if (auto opened = tree->open_network(); !opened) {
      // The actors that are there already keep the tree.
      (void)tree->close();
      return std::unexpected(std::move(opened.error()));
    }
    if (debug_socket) {
      if (auto opened = tree->open_debug_socket(directory, wiring.debug); !opened) {
        (void)tree->close();
        return std::unexpected(std::move(opened.error()));
      }
    }
  } catch (...) {
    (void)tree->close();
    throw;
  }
  return tree;
}

void Tree::begin(const Wiring& wiring) {
  supervisor_ = system_.spawn<caf::hidden>(supervisor, weak_from_this());

  auto [log, log_gate] = make_gate<LogGate, LogActor>(system_, "log", options_.mailbox_max);
  log_actor_ = log;
  // By address: the gate has the board.
  board_ = std::make_shared<Board>(store::Access::core(store_).shared_from_this(), options_.waiters_max,
                                   [to = caf::actor_cast<caf::actor_addr>(log)] {
                                     const auto gate = caf::actor_cast<caf::strong_actor_ptr>(to);
                                     if (gate == nullptr) return;
                                     static_cast<Gate*>(gate->get())->tell(caf::make_message(Advanced{}));
                                   });
  log_gate->attach_board(board_);
  add_child({caf::actor_cast<caf::strong_actor_ptr>(log), log_gate,
             [this](std::shared_ptr<Load> load) {
               return caf::actor_cast<caf::strong_actor_ptr>(
                   system_.spawn<caf::hidden>(log_worker, shared_from_this(), std::move(load)));
             },
             caf::make_message(Advanced{})});

  auto [store, store_gate] = make_gate<Gate, StoreActor>(system_, "store", options_.mailbox_max);
  store_actor_ = store;
  add_child({caf::actor_cast<caf::strong_actor_ptr>(store), store_gate, [this](std::shared_ptr<Load> load) {
               return caf::actor_cast<caf::strong_actor_ptr>(
                   system_.spawn<caf::hidden>(store_worker, shared_from_this(), std::move(load), k_any_number));
             }});

  begin_analytics();
  threads_of_their_own_ = wiring.threads_of_their_own;
  if (!in_memory_) add_checkpoints();
  const unsigned shards = store::Access::core(store_).shard_map().shards();
  // Shard 0 last: it tells the others.
  for (unsigned shard = shards; shard-- > 0;) add_shard(shard);

  if (wiring.watch_log) {
    store::Access::core(store_).watch_durable([board = std::weak_ptr(board_)] {
      if (const auto to = board.lock()) to->changed();
    });
    // The log may have failed before it was watched.
    board_->changed();
  }
  // A system that ends first ends its own actors, one of which is this one, when
  // those of the host have ended.
  system_.config_serv()->get()->attach_functor([tree = weak_from_this()](const caf::error&) {
    if (const auto to = tree.lock()) (void)to->close();
  });
}

void Tree::begin_analytics() {
  analytics_ = std::make_unique<AnalyticsBook>(store::Access::core(store_).shared_from_this(),
                                               options_.analytics_actors, options_.analytics_window);
  std::vector<Gate*> gates;
  for (std::size_t number = 0; number < options_.analytics_actors; ++number) {
    auto [handle, gate] =
        make_gate<Gate, AnalyticsActor>(system_, "analytics " + std::to_string(number), options_.mailbox_max);
    add_child({caf::actor_cast<caf::strong_actor_ptr>(handle), gate,
               [this, number](std::shared_ptr<Load> load) {
                 return caf::actor_cast<caf::strong_actor_ptr>(
                     system_.spawn<caf::hidden>(analytics_worker, shared_from_this(), std::move(load), number));
               },
               caf::make_message(Begin{})});
    gates.push_back(gate);
  }
  // By a thread in the middle of an operation, while the tree is not closed.
  analytics_->wake_with([gates = std::move(gates)] {
    bool all = true;
    for (Gate* const gate : gates) all = gate->try_tell(caf::make_message(Begin{})) && all;
    return all;
  });
  analytics_->sample(options_.sample_every);
}

Result<void> Tree::sample(unsigned every) {
  if (auto checked = check_sampling(every); !checked) return checked;
  analytics_->sample(every);
  return {};
}

void Tree::add_checkpoints() {
  auto [handle, gate] = make_gate<Gate, CheckpointActor>(system_, "checkpoint", options_.mailbox_max);
  checkpoint_gate_ = gate;
  Child child{caf::actor_cast<caf::strong_actor_ptr>(handle), gate,
              [this](std::shared_ptr<Load> load) {
                auto worker = threads_of_their_own_
                                  ? system_.spawn<caf::hidden + caf::detached>(checkpoint_worker, shared_from_this(),
                                                                               std::move(load))
                                  : system_.spawn<caf::hidden>(checkpoint_worker, shared_from_this(), std::move(load));
                return caf::actor_cast<caf::strong_actor_ptr>(worker);
              },
              caf::make_message(Tend{})};
  // Without it the log grows, and nothing is lost.
  child.vital = false;
  add_child(std::move(child));
}

Result<void> Tree::expect_log() const {
  if (checkpoint_gate_ != nullptr) return {};
  return fail(ErrorCode::unsupported, "this store is pure memory: it has no log, and nowhere to write a checkpoint to");
}

Result<void> Tree::expect_checkpoints() const {
  const caf::error refusal = checkpoint_gate_->refusal();
  if (!refusal) return {};
  Error error = to_error(refusal);
  return fail(error.code, std::move(error.message) + "; call Store::checkpoint or Store::heal in the process");
}

/// Why the actor of checkpoints did not take an order.
std::unexpected<Error> Tree::no_checkpoints() const {
  if (auto there = expect_checkpoints(); !there) return std::unexpected(std::move(there.error()));
  return base::failure(ErrorCode::overloaded,
                       "the actor of checkpoints has crashed and is about to be started again; try again, or call "
                       "Store::checkpoint or Store::heal in the process");
}

Result<void> Tree::heal(const std::shared_ptr<debug::Question>& question) {
  if (auto logged = expect_log(); !logged) return logged;
  if (checkpoint_gate_->offer(caf::make_message(HealOrder{question}))) return {};
  return no_checkpoints();
}

Result<std::uint64_t> Tree::ask_for_checkpoint() {
  if (auto logged = expect_log(); !logged) return std::unexpected(std::move(logged.error()));
  const std::uint64_t pass = store::Access::core(store_).checkpointer().ask();
  if (checkpoint_gate_->offer(caf::make_message(Begin{}))) return pass;
  return no_checkpoints();
}

void Tree::add_shard(unsigned shard) {
  auto [handle, gate] = make_gate<Gate, ShardActor>(system_, "shard " + std::to_string(shard), options_.mailbox_max);
  if (shard != 0) shard_gates_.push_back(gate);
  add_child({caf::actor_cast<caf::strong_actor_ptr>(handle), gate,
             [this, shard](std::shared_ptr<Load> load) {
               return caf::actor_cast<caf::strong_actor_ptr>(
                   system_.spawn<caf::hidden>(shard_worker, shared_from_this(), std::move(load), shard));
             },
             caf::make_message(Tend{})});
}

void Tree::tend_shards() {
  for (Gate* const gate : shard_gates_) gate->tell(caf::make_message(Tend{}));
}

Result<void> Tree::open_network() {
  if (!options_.network) return {};
  // Not the store's own gate: what comes through this one is from other processes,
  // whoever it says has sent it.
  auto [handle, gate] = make_gate<Gate, StoreActor>(system_, "network", options_.mailbox_max);
  add_child({caf::actor_cast<caf::strong_actor_ptr>(handle), gate,
             [this, spaces_max = options_.network->spaces_max](std::shared_ptr<Load> load) {
               return caf::actor_cast<caf::strong_actor_ptr>(
                   system_.spawn<caf::hidden>(store_worker, shared_from_this(), std::move(load), spaces_max));
             }});
  auto opened = Network::open(system_, handle, *options_.network, log_);
  if (!opened) return std::unexpected(std::move(opened.error()));
  network_.emplace(*std::move(opened));
  return {};
}

Result<void> Tree::open_debug_socket(const std::filesystem::path& directory, debug::ServerLimits limits) {
  auto [handle, gate] = make_gate<Gate, DebugActor>(system_, "debug", options_.mailbox_max);
  // By address: the server outlives nobody, and keeps nobody.
  const auto with_gate = [to = caf::actor_cast<caf::actor_addr>(handle)](auto&& f) {
    const auto kept = caf::actor_cast<caf::strong_actor_ptr>(to);
    return kept != nullptr && f(*static_cast<Gate*>(kept->get()));
  };
  debug::ServerHooks hooks{
      .ask =
          [with_gate](const std::shared_ptr<debug::Question>& question) {
            return with_gate([&](Gate& to) { return to.offer(caf::make_message(Inquiry{question})); });
          },
      .gone =
          [with_gate](std::uint64_t client) {
            with_gate([client](Gate& to) { return to.offer(caf::make_message(Departure{client})); });
          },
      .report =
          [log = log_](LogLevel level, const std::string& message) {
            if (log) log(level, message);
          }};
  auto server = debug::Server::start(directory, std::move(hooks), limits);
  if (!server) return std::unexpected(std::move(server.error()));
  debug_server_ = *std::move(server);
  Child child{caf::actor_cast<caf::strong_actor_ptr>(handle), gate, [this](std::shared_ptr<Load> load) {
                return caf::actor_cast<caf::strong_actor_ptr>(
                    system_.spawn<caf::hidden>(debug_worker, shared_from_this(), std::move(load)));
              }};
  // Who looks at a store is not to stop it, whatever he asks for.
  child.vital = false;
  add_child(std::move(child));
  return {};
}

void Tree::add_child(Child child) {
  std::size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    index = children_.size();
    children_.push_back(std::move(child));
  }
  const caf::strong_actor_ptr worker = start_worker(index);
  caf::anon_send(supervisor_, worker_atom::value, worker, index);
}

caf::strong_actor_ptr Tree::start_worker(std::size_t child) {
  Child started;
  {
    const std::lock_guard lock(mutex_);
    started = children_[child];
  }
  // There is one already where memory ran out after it was started.
  caf::strong_actor_ptr worker = started.gate->worker();
  if (worker == nullptr) {
    auto load = std::make_shared<Load>();
    worker = started.start(load);
    if (!started.gate->lead_to(worker, std::move(load))) {
      // Started while the store was being closed: nobody else would end it.
      caf::anon_send(caf::actor_cast<caf::actor>(worker), Stop{});
      return worker;
    }
  }
  // Not before: what it is told of from now on would be lost until then.
  if (!started.greeting.empty()) started.gate->tell(started.greeting);
  return worker;
}

Gate& Tree::gate(std::size_t child) {
  const std::lock_guard lock(mutex_);
  return *children_[child].gate;
}

bool Tree::vital(std::size_t child) const {
  const std::lock_guard lock(mutex_);
  return children_[child].vital;
}

Result<Space> Tree::existing_space(std::string_view name) { return store::Access::existing_space(store_, name); }

Result<SpaceActor> Tree::space_actor(std::string_view name, SpaceOptions options) {
  Result<Space> space = store_.space(name, options);
  if (!space) return std::unexpected(std::move(space.error()));
  return actor_of(name, *std::move(space));
}

Result<SpaceActor> Tree::open(std::string_view name, std::size_t spaces_max) {
  Result<Space> space = existing_space(name);
  if (!space && space.error().code == ErrorCode::not_found) {
    if (spaces_max != k_any_number && store_.spaces().size() >= spaces_max) {
      return fail(ErrorCode::not_found,
                  "there is no space '" + std::string(name) + "', and another process makes none where there are " +
                      std::to_string(spaces_max) + " (NetworkOptions::spaces_max); have the host make it");
    }
    space = store::Access::space_at_once(store_, name, {});
  }
  if (!space) return std::unexpected(std::move(space.error()));
  return actor_of(name, *std::move(space));
}

Result<SpaceActor> Tree::actor_of(std::string_view name, Space space) {
  const std::lock_guard lock(spaces_mutex_);
  if (no_more_spaces_) return fail(ErrorCode::closed, "the store is closed; start it again");
  if (const auto known = space_actors_.find(name); known != space_actors_.end()) {
    auto* const gate = static_cast<Gate*>(caf::actor_cast<caf::abstract_actor*>(known->second));
    gate->tell(caf::make_message(Renew{}));
    return known->second;
  }
  return add_space(std::string(name), std::move(space));
}

SpaceActor Tree::add_space(const std::string& name, Space space) {
  auto [handle, gate] = make_gate<Gate, SpaceActor>(system_, "space " + name, options_.mailbox_max);
  const auto known = space_actors_.emplace(name, handle).first;
  try {
    add_child({caf::actor_cast<caf::strong_actor_ptr>(handle), gate,
               [this, name, space](std::shared_ptr<Load> load) {
                 return caf::actor_cast<caf::strong_actor_ptr>(system_.spawn<caf::hidden>(
                     space_worker, shared_from_this(), std::move(load), existing_space(name).value_or(space)));
               },
               caf::make_message(Renew{})});
  } catch (...) {
    // Memory ran out. The supervisor knows of nothing, so nobody may have the
    // handle; whoever asks again starts anew.
    space_actors_.erase(known);
    {
      const std::lock_guard lock(mutex_);
      if (children_.back().gate == gate) children_.pop_back();
    }
    gate->end();
    throw;
  }
  return handle;
}

Result<void> Tree::drill(std::string_view actor, Drill what) {
  const std::lock_guard lock(mutex_);
  const auto child = find_child(actor);
  if (!child) return std::unexpected(child.error());
  if (what == Drill::crash) {
    children_[*child].gate->crash();
  } else if (supervisor_) {
    caf::anon_send(supervisor_, Restart{*child});
  }
  return {};
}

Result<void> Tree::trace(std::string_view actor, std::shared_ptr<Trace> trace) {
  const std::lock_guard lock(mutex_);
  const auto child = find_child(actor);
  if (!child) return std::unexpected(child.error());
  children_[*child].gate->trace(std::move(trace));
  return {};
}

Result<std::size_t> Tree::find_child(std::string_view actor) const {
  const auto found = std::ranges::find(children_, actor, [](const Child& child) { return child.gate->name(); });
  if (found != children_.end()) return static_cast<std::size_t>(found - children_.begin());
  return fail(ErrorCode::not_found, "there is no actor '" + std::string(actor) + "'; `actors` lists them");
}

StoreStats Tree::store_stats() const {
  StoreStats stats = store_.stats();
  if (const caf::error refusal = write_refusal(); refusal && !stats.read_only) {
    stats.read_only = true;
    stats.read_only_reason = to_error(refusal).message;
  }
  return stats;
}

std::vector<ActorStats> Tree::actor_stats() const {
  std::vector<Child> children;
  {
    const std::lock_guard lock(mutex_);
    children = children_;
  }
  std::vector<ActorStats> stats;
  stats.reserve(children.size());
  for (const Child& child : children) stats.push_back(child.gate->stats());
  return stats;
}

caf::error Tree::write_refusal() const {
  // acquire: the refusal below; most calls end here.
  if (!writes_refused_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(mutex_);
  return write_refusal_;
}

void Tree::turn_read_only(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!write_refusal_) write_refusal_ = make_error(ErrorCode::read_only, reason);
    writes_refused_.store(true, std::memory_order_release);
  }
  store::Access::core(store_).refuse_writes(reason);
  tell_host(reason);
  // Last: it is a function of the host's, which may throw.
  report(LogLevel::error,
         (in_memory_ ? "requests to write are refused from now on: " : "the store takes no more writes: ") + reason);
}

void Tree::tell_host(const std::string& reason) {
  // relaxed: whoever is first tells; nothing else hangs on it.
  if (host_told_.exchange(true, std::memory_order_relaxed)) return;
  if (const auto host = caf::actor_cast<caf::actor>(host_)) caf::anon_send(host, read_only_atom::value, reason);
}

void Tree::log_works() noexcept {
  // relaxed: as above. What writes are refused for otherwise has been told for good.
  if (!host_told_.load(std::memory_order_relaxed) || writes_refused_.load(std::memory_order_acquire)) return;
  host_told_.store(false, std::memory_order_relaxed);
}

void Tree::report(LogLevel level, const std::string& message) const {
  if (log_) log_(level, message);
}

Result<void> Tree::close() {
  return store::guarded("closing the store and its actors", [&] { return close_all(); });
}

Result<void> Tree::close_all() {
  const std::lock_guard closing(close_mutex_);
  // From inside a visitor the store refuses to close: then this is another try.
  if (closed_) return store_.close();
  // First: nobody asks any more, and what is still answered goes nowhere.
  if (debug_server_ != nullptr) debug_server_->stop();
  const caf::error closed = make_error(ErrorCode::closed, "the store is closed; start it again");
  if (network_) network_->close();
  {
    // Not for longer: an actor may be waiting for it.
    const std::lock_guard spaces(spaces_mutex_);
    no_more_spaces_ = true;
  }
  std::vector<Child> children;
  {
    const std::lock_guard lock(mutex_);
    children = children_;
  }
  for (const Child& child : children) child.gate->refuse(closed);
  Result<void> done = store_.close();
  // Here, because the log's actor may be between two lives. After a clean closing
  // that is all who waited; none of them may be told that nothing was changed.
  if (board_ != nullptr) {
    board_->abandon(make_error(ErrorCode::indeterminate,
                               "the store was closed before the write was known to be on disk; it may or may not be "
                               "there after the store is opened again"));
  }
  for (const Child& child : children) child.gate->end();
  if (analytics_ != nullptr) analytics_->close();
  if (supervisor_) caf::anon_send(supervisor_, Stop{});
  supervisor_ = nullptr;
  // At the end: where memory ran out on the way, another try does all of it again.
  closed_ = true;
  return done;
}

}  // namespace actable::actors
