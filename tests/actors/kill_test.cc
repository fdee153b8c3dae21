// Every actor of the store crashes a thousand times while requests of every kind
// come in; then every key and every acknowledgement is compared.

#include "debug/client.h"
#include "store/access.h"
#include "tests/actors/stage.h"
#include "tests/support/catch.h"
#include "tests/support/wait.h"

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <thread>

using namespace actable;
using namespace actable::test;

namespace {

constexpr std::uint64_t k_crashes = 1'000;
// With two shards: the log's actor, the store's, two of the analytics, that of
// checkpoints, two of shards, the debug socket's, and one of a space.
constexpr std::size_t k_actors = 9;
constexpr std::uint64_t k_keys = 50;
// Between two crashes of all actors, at the least: they crash under load.
constexpr std::uint64_t k_answers = 4;
const RequestOptions k_plain{};

/// What one client, who writes its keys alone and one after the other, knows of
/// a key: values only grow, so what is there lies between the two.
struct Known {
  std::uint64_t acknowledged = 0;
  std::uint64_t tried = 0;
};

/// One client's requests and what came of them.
///
/// Thread safety: *confined* to the client's thread, and to the test's when
/// joined; `answered` is *synchronized*.
class Client {
 public:
  Client(caf::actor_system& system, actors::Tree& tree, std::string name)
      : self_(system), tree_(tree), name_(std::move(name)), space_(must(tree.space_actor("s", {}))) {}

  /// Writes until told to end: every third by batch, every second durably.
  void work(const std::atomic<bool>& end) {
    for (std::uint64_t number = 1; !end; ++number) {
      const std::string key = name_ + std::to_string(number % k_keys);
      const RequestOptions& options = number % 2 == 0 ? k_sync_request : k_plain;
      known_[key].tried = number;
      Result<Seq> done = fail(ErrorCode::overloaded, "");
      // Refused: nothing was changed, so it may be tried again.
      while (!done && done.error().code == ErrorCode::overloaded && !end) {
        done = number % 3 == 0 ? batch(key, number, options)
                               : ask<Seq>(space_, put_atom::value, key, std::to_string(number), options);
      }
      if (!done) {
        if (!end || done.error().code != ErrorCode::overloaded) count(done.error());
        continue;
      }
      ++answered_;
      known_[key].acknowledged = number;
      if (options.durability == Durability::sync && tree_.store().durable_seq() < *done) ++not_durable_;
      const Result<Found> read = ask<Found>(space_, get_atom::value, key, k_plain);
      if (read && read->value != std::to_string(number)) ++read_wrong_;
    }
  }

  [[nodiscard]] const std::map<std::string, Known>& known() const { return known_; }
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] std::uint64_t crashed() const { return crashed_; }
  /// What must not have happened, in words; empty if it has not.
  [[nodiscard]] std::string complaints() const {
    std::string all = others_;
    if (not_durable_ != 0) all += std::to_string(not_durable_) + " acknowledged as durable and not on disk; ";
    if (read_wrong_ != 0) all += std::to_string(read_wrong_) + " acknowledged and not read back; ";
    return all;
  }

 private:
  template <class T, class Handle, class... Ts>
  Result<T> ask(const Handle& whom, Ts&&... message) {
    Result<T> came = fail(ErrorCode::io_error, "no answer");
    // An answer that never comes would be a lost one.
    self_->request(whom, std::chrono::minutes(2), std::forward<Ts>(message)...)
        .receive([&](T& value) { came = std::move(value); },
                 [&](const caf::error& error) {
                   came = std::unexpected(to_error(error));
                   if (error == caf::sec::request_timeout) others_ += "a request was not answered; ";
                 });
    return came;
  }

  Result<Seq> batch(const std::string& key, std::uint64_t number, const RequestOptions& options) {
    const std::vector<Change> changes{{Change::Kind::put, "s", key, std::to_string(number)}};
    return ask<Seq>(tree_.store_actor(), write_atom::value, changes, options);
  }

  void count(const Error& error) {
    if (error.code == ErrorCode::indeterminate) {
      ++crashed_;
    } else {
      others_ += std::string(to_string(error.code)) + ": " + error.message + "; ";
    }
  }

  caf::scoped_actor self_;
  actors::Tree& tree_;
  const std::string name_;
  const SpaceActor space_;
  std::map<std::string, Known> known_;
  std::atomic<std::uint64_t> answered_{0};
  std::uint64_t crashed_ = 0;
  std::uint64_t not_durable_ = 0;
  std::uint64_t read_wrong_ = 0;
  std::string others_;
};

/// Looks into the store through the debug socket until told to end.
///
/// Thread safety: *confined* to its thread, and to the test's when joined; `answered`
/// is *synchronized*.
class Onlooker {
 public:
  explicit Onlooker(const std::filesystem::path& directory)
      : client_(must(debug::Client::connect(directory, {.patience = std::chrono::minutes(2)}))) {}

  /// `key` of `space` always has that value.
  void work(const std::string& space, const std::string& key, const std::string& value, const std::atomic<bool>& end) {
    while (!end) {
      auto got = client_.ask("get", {{"space", space}, {"key", debug::Bytes{key}}});
      if (got) {
        ++answered_;
        if ((*got)["value"] != debug::Document(debug::Bytes{value})) complaints_ += "a wrong value; ";
      } else if (got.error().code != ErrorCode::overloaded && got.error().code != ErrorCode::indeterminate) {
        complaints_ += got.error().message + "; ";
      }
      if (!client_.connected()) {
        complaints_ += "the connection is gone; ";
        return;
      }
    }
  }

  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] const std::string& complaints() const { return complaints_; }

 private:
  debug::Client client_;
  std::atomic<std::uint64_t> answered_{0};
  std::string complaints_;
};

std::map<std::string, std::string> content(const Space& space) {
  std::map<std::string, std::string> found;
  Cursor cursor = space.scan();
  while (must(cursor.next())) found.emplace(cursor.entry().key, cursor.entry().value);
  return found;
}

}  // namespace

TEST_CASE("a thousand crashes of each actor under load lose no write and no answer", "[kill]") {
  const TemporaryDirectory directory;
  Options options = lazy_store(directory / "store");
  options.write_interval = std::chrono::milliseconds(1);
  options.sync_interval = std::chrono::milliseconds(5);
  options.shards = 2;
  options.debug_socket = true;
  constexpr std::chrono::milliseconds k_at_once{0};
  const ActorOptions often{.restart_delay = k_at_once, .restart_delay_max = k_at_once, .restarts_max = 1'000'000};

  std::map<std::string, std::string> before;
  std::uint64_t answered = 0;
  std::uint64_t crashed = 0;
  {
    caf::actor_system_config config;
    config.set("scheduler.max-threads", 2);
    caf::actor_system system(config);
    const auto tree = must(actors::Tree::start(system, options, often));
    const Space space = must(tree->store().space("s"));
    std::atomic<bool> end{false};
    std::atomic<Seq> told{0};
    std::atomic<bool> told_backwards{false};
    const DurableSubscriber subscriber =
        system.spawn<caf::hidden>([&](DurableSubscriber::pointer) -> DurableSubscriber::behavior_type {
          return {[&](durable_atom, Seq seq) {
                    if (seq < told) told_backwards = true;
                    told = seq;
                  },
                  [](failed_atom, const std::string&) {}};
        });
    // As a request: a crash must not come before it.
    caf::scoped_actor(system)
        ->request(tree->log_actor(), caf::infinite, subscribe_atom::value, subscriber, Seq{0})
        .receive([] {}, [](const caf::error& error) { FAIL(to_error(error).message); });

    must(must(tree->store().space("still")).put("key", "value"));
    Onlooker onlooker(options.directory);
    std::array<std::unique_ptr<Client>, 3> clients;
    std::vector<std::thread> threads;
    threads.emplace_back([&] { onlooker.work("still", "key", "value", end); });
    for (std::size_t i = 0; i < clients.size(); ++i) {
      clients.at(i) = std::make_unique<Client>(system, *tree, std::string(1, static_cast<char>('a' + i)));
      threads.emplace_back([&, i] { clients.at(i)->work(end); });
    }
    try {
      for (std::uint64_t crash = 1; crash <= k_crashes; ++crash) {
        // The shards' actors crash in the middle of their work, too.
        if (crash % 100 == 1) store::Access::core(tree->store()).ask_for_compaction();
        // And so does that of checkpoints.
        if (crash % 10 == 1) (void)store::Access::core(tree->store()).checkpointer().ask();
        for (std::size_t actor = 0; actor < k_actors; ++actor) tree->gate(actor).crash();
        until("the actors are there again, and answer", [&] {
          std::this_thread::yield();
          std::uint64_t answers = 0;
          for (const auto& client : clients) answers += client->answered();
          bool restarted = true;
          for (std::size_t actor = 0; actor < k_actors; ++actor) {
            restarted = restarted && tree->gate(actor).stats().restarts >= crash;
          }
          return restarted && answers >= crash * k_answers && onlooker.answered() >= crash;
        });
      }
    } catch (...) {
      end = true;
      for (std::thread& thread : threads) thread.join();
      throw;
    }
    end = true;
    for (std::thread& thread : threads) thread.join();
    const Seq last = must(tree->store().sync());
    until("the subscriber is told of the last number", [&] { return told >= last; });
    CHECK_FALSE(told_backwards);

    CHECK(onlooker.complaints() == "");
    before = content(space);
    std::size_t keys = 0;
    for (const auto& client : clients) {
      CHECK(client->complaints() == "");
      answered += client->answered();
      crashed += client->crashed();
      for (const auto& [key, known] : client->known()) {
        const auto found = before.find(key);
        const std::uint64_t value = found == before.end() ? 0 : std::stoull(found->second);
        if (value < known.acknowledged || value > known.tried) FAIL_CHECK(key << " holds " << value);
        keys += found != before.end() ? 1 : 0;
      }
    }
    // And nothing that nobody wrote.
    CHECK(keys == before.size());
    CHECK(crashed > 0);
    CHECK(tree->actor_stats().size() == k_actors);
    until("the shards' actors, too, have done what there was to do", [&] {
      const StoreStats stats = tree->store().stats();
      return stats.memory.compactions > 0 && !stats.memory.compacting;
    });
    until("a checkpoint has been written", [&] { return tree->store().stats().checkpoint.passes > 0; });
    CHECK(tree->store().stats().checkpoint.failures == 0);
    CHECK_FALSE(tree->store_stats().read_only);
    must(tree->close());
  }
  std::cout << k_actors << " actors crashed " << k_crashes << " times each; " << answered << " writes answered, "
            << crashed << " interrupted by a crash; " << before.size() << " keys compared\n";
  options.debug_socket = false;
  Store reopened = must(Store::open(options));
  CHECK(content(must(reopened.space("s"))) == before);
}
