// A small service around a store: sessions with typed values, request counters,
// a move between two spaces that is all or nothing, and a write that is on disk
// before the user hears of it. Run it twice with the same directory: what the
// first run left is there in the second.
//
//   sessions DIRECTORY

#include <actable/store.h>
#include <actable/typed.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using actable::Durability;
using actable::Result;

namespace {

/// A value. Fields are packed in this order; new ones go to the end, and old
/// values then read with the new field as it is initialised here.
struct Session {
  std::string user;
  std::vector<std::string> cart{};
  std::int64_t requests = 0;
  MSGPACK_DEFINE(user, cart, requests)
};

/// Thread safety: *synchronized*, because the spaces are; a session itself is
/// served by one thread at a time.
class Service {
 public:
  static Result<Service> open(const std::filesystem::path& directory) {
    auto store = actable::Store::open({.directory = directory});
    if (!store) return std::unexpected(store.error());
    auto active = store->space("active");
    auto ended = store->space("ended");
    auto counters = store->space("counters");
    if (!active) return std::unexpected(active.error());
    if (!ended) return std::unexpected(ended.error());
    if (!counters) return std::unexpected(counters.error());
    return Service(std::move(*store), *active, *ended, *counters);
  }

  /// Starts a session. It is on disk when this returns, so a user who has been
  /// told its number is never told later that there is no such session.
  Result<std::string> log_in(const std::string& user) {
    const auto number = counters_.add("sessions", 1);
    if (!number) return std::unexpected(number.error());
    const std::string id = "session-" + std::to_string(*number);
    const auto put = active_.put(id, {.user = user}, {.durability = Durability::sync});
    if (!put) return std::unexpected(put.error());
    return id;
  }

  /// Puts an item into the cart. `update` is atomic: of two requests at once
  /// for one session, neither is lost. Asynchronous: on disk within 100 ms.
  Result<void> add_to_cart(const std::string& id, const std::string& item) {
    const auto change = [&](std::optional<Session> session) -> std::optional<Session> {
      if (session) {
        session->cart.push_back(item);
        ++session->requests;
      }
      return session;
    };
    const auto updated = active_.update(id, change);
    if (!updated) return std::unexpected(updated.error());
    if (*updated == 0) return actable::fail(actable::ErrorCode::not_found, "no session " + id + ": log in first");
    const auto counted = counters_.add("requests", 1);
    if (!counted) return std::unexpected(counted.error());
    return {};
  }

  /// Moves a session to those that have ended. After a crash it is in one
  /// space or the other, never in both and never in none.
  Result<void> log_out(const std::string& id) {
    const auto session = active_.get(id);
    if (!session) return std::unexpected(session.error());
    if (!*session) return actable::fail(actable::ErrorCode::not_found, "no session " + id + ": it has ended");
    actable::Batch move;
    const auto put = ended_.put_in(move, id, **session);
    if (!put) return put;
    const auto erased = move.erase(active_.space(), id);
    if (!erased) return erased;
    const auto written = store_.write(move);
    if (!written) return std::unexpected(written.error());
    return {};
  }

  /// Prints the sessions that have not ended, in no order, and the counters.
  Result<void> print() {
    auto cursor = active_.scan();
    for (;;) {
      const auto more = cursor.next();
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
      const auto entry = cursor.entry();
      std::printf("%.*s: %s has %zu items in the cart\n", static_cast<int>(entry.key.size()), entry.key.data(),
                  entry.value.user.c_str(), entry.value.cart.size());
    }
    // Adding nothing to a counter is how to read it as a number.
    const auto requests = counters_.add("requests", 0);
    if (!requests) return std::unexpected(requests.error());
    std::printf("%zu active, %zu ended, %lld requests\n", active_.size(), ended_.size(),
                static_cast<long long>(*requests));
    return {};
  }

  /// Waits for the disk, and says so if it failed; the destructor could not.
  Result<void> close() { return store_.close(); }

 private:
  Service(actable::Store store, actable::Space active, actable::Space ended, actable::Space counters)
      : store_(std::move(store)),
        active_(std::move(active)),
        ended_(std::move(ended)),
        counters_(std::move(counters)) {}

  actable::Store store_;
  actable::TypedSpace<Session> active_;
  actable::TypedSpace<Session> ended_;
  actable::Space counters_;
};

/// A day at the service: two users come, both fill their carts, one leaves.
Result<void> serve(Service& service) {
  const auto ada = service.log_in("ada");
  if (!ada) return std::unexpected(ada.error());
  const auto grace = service.log_in("grace");
  if (!grace) return std::unexpected(grace.error());
  std::printf("ada has %s, grace has %s, both on disk\n", ada->c_str(), grace->c_str());

  for (const auto& [id, item] : {std::pair{*ada, "tea"}, {*grace, "compiler"}, {*ada, "punched cards"}}) {
    const auto added = service.add_to_cart(id, item);
    if (!added) return added;
  }
  const auto left = service.log_out(*grace);
  if (!left) return left;
  const auto late = service.add_to_cart(*grace, "nanosecond");
  if (!late) std::printf("refused: %s\n", late.error().message.c_str());
  return service.print();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  auto service = Service::open(argv[1]);
  if (!service) {
    std::fprintf(stderr, "sessions: %s\n", service.error().message.c_str());
    return 1;
  }
  const auto served = serve(*service);
  const auto closed = service->close();
  for (const auto& result : {served, closed}) {
    if (!result) std::fprintf(stderr, "sessions: %s\n", result.error().message.c_str());
  }
  return served && closed ? 0 : 1;
}
