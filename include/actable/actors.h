#pragma once

#include <actable/analytics.h>
#include <actable/batch.h>
#include <actable/options.h>
#include <actable/result.h>
#include <actable/space.h>
#include <actable/stats.h>
#include <actable/store.h>
#include <actable/wire.h>

#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/meta/load_callback.hpp>
#include <caf/meta/type_name.hpp>
#include <caf/replies_to.hpp>
#include <caf/response_promise.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A store run by supervised actors in the host's actor system, and by messages.
///
/// The actors are for what is not on the way of the data: a `Space` is the fast
/// way to a store from inside an actor too, and may be sent in a message. Who
/// wants messages has them here: requests to a space, to the store and to the
/// log, each answered with a value, or with a `caf::error` that `to_error` reads.
/// What is sent one-way, with `send` or `anon_send`, has no answer of any kind.
///
/// Needs CAF 0.17 and `actable::actors`; no other header does.
namespace actable {

// -- errors -------------------------------------------------------------------

/// As an answer to a request; `message` is carried along. Found by CAF, so that
/// an `ErrorCode` converts to a `caf::error`.
[[nodiscard]] caf::error make_error(ErrorCode code, std::string message = {});

/// What an answer says. An error of CAF's own comes out as
///   closed         the actor asked, or its system, is no more
///   overloaded     never: it is always one of Actable's
///   indeterminate  the actor crashed, or `request` gave up waiting: what was
///                  asked for may have been done or not
///   invalid_argument  the actor has no such request
[[nodiscard]] Error to_error(const caf::error& error);

// -- messages -----------------------------------------------------------------

using put_atom = caf::put_atom;
using get_atom = caf::get_atom;
using add_atom = caf::add_atom;
using open_atom = caf::open_atom;
using subscribe_atom = caf::subscribe_atom;
using unsubscribe_atom = caf::unsubscribe_atom;
using erase_atom = caf::atom_constant<caf::atom("erase")>;
using cas_atom = caf::atom_constant<caf::atom("cas")>;
using write_atom = caf::atom_constant<caf::atom("write")>;
using sync_atom = caf::atom_constant<caf::atom("sync")>;
using stats_atom = caf::atom_constant<caf::atom("stats")>;
using durable_atom = caf::atom_constant<caf::atom("durable")>;
using failed_atom = caf::atom_constant<caf::atom("failed")>;
using log_atom = caf::atom_constant<caf::atom("log")>;
using read_only_atom = caf::atom_constant<caf::atom("readonly")>;

/// How a request is to be done.
///
/// Thread safety: *confined* to whoever holds it.
struct RequestOptions {
  /// With `sync` the answer to a write comes when it is on disk; nobody waits
  /// for that in an actor.
  Durability durability = Durability::async;
  /// On the system's clock (`system.clock().now()`): a request that is taken up
  /// later than this is refused with `overloaded`, and nothing changed. A write
  /// taken up in time is done, however long its disk takes. To another process it
  /// travels as the time that is left.
  caf::actor_clock::time_point deadline = caf::actor_clock::time_point::max();

  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, RequestOptions& x) {
    // Only what is left means anything to another machine's clock.
    std::chrono::nanoseconds left = k_no_deadline;
    if (const auto now = caf::actor_clock::clock_type::now(); x.deadline <= now) {
      left = std::chrono::nanoseconds(-1);
    } else if (x.deadline != caf::actor_clock::time_point::max()) {
      left = x.deadline - now;
    }
    const auto arrived = [&x, &left]() -> caf::error {
      const auto now = caf::actor_clock::clock_type::now();
      const bool far = left >= caf::actor_clock::time_point::max() - now;
      x.deadline = far ? caf::actor_clock::time_point::max() : now + left;
      return caf::none;
    };
    return f(caf::meta::type_name("actable::RequestOptions"), x.durability, left, caf::meta::load_callback(arrived));
  }

 private:
  static constexpr std::chrono::nanoseconds k_no_deadline = std::chrono::nanoseconds::max();
};

/// What a key held.
struct Found {
  /// 0: the key was absent.
  Seq seq = 0;
  std::string value{};

  explicit operator bool() const noexcept { return seq != 0; }
  friend bool operator==(const Found&, const Found&) = default;

  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, Found& x) {
    return f(caf::meta::type_name("actable::Found"), x.seq, x.value);
  }
};

/// One write of a batch.
struct Change {
  enum class Kind : std::uint8_t { put, erase };
  Kind kind = Kind::put;
  /// The name of a space that is there; `not_found` otherwise.
  std::string space{};
  std::string key{};
  std::string value{};

  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, Change& x) {
    return f(caf::meta::type_name("actable::Change"), x.kind, x.space, x.key, x.value);
  }
};

/// Keys with their values, for one message: all in one piece of memory. A string
/// for each would be taken from the allocator by the sender and given back by the
/// receiver, on another thread, which costs more than copying.
///
/// Thread safety: *confined* to whoever fills it; *immutable* in a message.
class Pairs {
 public:
  /// Makes room for so many pairs, and for the bytes of their keys and values.
  void reserve(std::size_t pairs, std::size_t bytes) {
    lengths_.reserve(2 * pairs);
    bytes_.reserve(bytes);
  }

  /// Copies both in. Whether they fit is for the space to say.
  void add(std::string_view key, std::string_view value) {
    bytes_.append(key).append(value);
    lengths_.push_back(key.size());
    lengths_.push_back(value.size());
  }

  [[nodiscard]] std::size_t size() const noexcept { return lengths_.size() / 2; }
  /// Of keys and values together.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }

  /// Calls `f(key, value)` for each, in the order in which they were added, as
  /// long as it returns true. False when it did not, or when what came from
  /// another process does not hold together.
  template <class F>
  [[nodiscard]] bool each(F&& f) const {
    std::string_view rest = bytes_;
    for (std::size_t i = 0; i + 1 < lengths_.size(); i += 2) {
      if (lengths_[i] > rest.size() || lengths_[i + 1] > rest.size() - lengths_[i]) return false;
      if (!f(rest.substr(0, lengths_[i]), rest.substr(lengths_[i], lengths_[i + 1]))) return false;
      rest.remove_prefix(lengths_[i] + lengths_[i + 1]);
    }
    return lengths_.size() % 2 == 0 && rest.empty();
  }

  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, Pairs& x) {
    return f(caf::meta::type_name("actable::Pairs"), x.bytes_, x.lengths_);
  }

 private:
  std::string bytes_;
  // Of a key, of its value, of the next key, and so on.
  std::vector<std::uint64_t> lengths_;
};

/// How an actor of the store is doing.
struct ActorStats {
  enum class State : std::uint8_t {
    running,
    /// Crashed, and to be started again; requests are refused with `overloaded`.
    restarting,
    /// Crashed too often, or the store is closed.
    stopped,
  };
  std::string name{};
  State state = State::running;
  /// Requests waiting, of `ActorOptions::mailbox_max` at most.
  std::size_t waiting = 0;
  /// Requests that were taken up, done or not, and those refused because too
  /// many waited or the actor was not there. One-way messages are counted with
  /// them; those that are refused are lost. What the log and the shards do without
  /// being asked, in steps, counts as processed too, and so do the samples that
  /// those of the analytics took in.
  std::uint64_t processed = 0;
  std::uint64_t refused = 0;
  std::uint64_t restarts = 0;
  /// Time spent on all that, by a clock that ticks every few milliseconds: it
  /// tells of seconds, not of single requests.
  std::chrono::microseconds busy{0};
  /// Why it crashed last; empty if never.
  std::string last_crash{};

  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, ActorStats& x) {
    return f(caf::meta::type_name("actable::ActorStats"), x.name, x.state, x.waiting, x.processed, x.refused,
             x.restarts, x.busy, x.last_crash);
  }
};

/// Requests to one space; the values mean what the function of `Space` by that
/// name says, and so do the errors. A put of pairs is a batch (`Store::write`):
/// all or none after a crash, under one number. A get of several keys is answered
/// in their order, or with `too_large` where the values, and 32 bytes for each, are
/// more than `k_batch_bytes_max`. Any request can also fail with
///   overloaded     too many requests wait for the actor or for the disk, the
///                  deadline passed, the actor has just crashed, or the disk is
///                  slower than the writers; nothing changed
///   closed         the store is closed, or its supervisor gave the actor up
///   indeterminate  the actor crashed over this request or before it
using SpaceActor =
    caf::typed_actor<caf::replies_to<put_atom, std::string, std::string, RequestOptions>::with<Seq>,
                     caf::replies_to<put_atom, Pairs, RequestOptions>::with<Seq>,
                     caf::replies_to<get_atom, std::string, RequestOptions>::with<Found>,
                     caf::replies_to<get_atom, std::vector<std::string>, RequestOptions>::with<std::vector<Found>>,
                     caf::replies_to<erase_atom, std::string, RequestOptions>::with<bool>,
                     caf::replies_to<add_atom, std::string, std::int64_t, RequestOptions>::with<std::int64_t>,
                     caf::replies_to<cas_atom, std::string, Seq, std::string, RequestOptions>::with<bool>,
                     caf::replies_to<stats_atom>::with<SpaceStats>>;

/// Who wants to be told of durable numbers: `durable` with the number up to
/// which every write is on disk, `failed` with the reason once nothing becomes
/// durable any more. The next notice is sent when the one before was answered,
/// which CAF does when the handler returns, or with an error: a slow subscriber is told less
/// often, and never has more than one notice waiting.
using DurableSubscriber = caf::typed_actor<caf::reacts_to<durable_atom, Seq>, caf::reacts_to<failed_atom, std::string>>;

/// Requests to the log:
///   subscribe    tells the subscriber of every durable number above `from`, one
///                message for each round of the log that raised it. A second
///                subscription replaces the first; it ends with the subscriber.
///                Who sends it as a request learns that it was taken: one that
///                is sent one-way is lost if the actor crashes over it
///   unsubscribe  ends it
///   durable      answered when the write of that number is on disk; fails as
///                `Store::wait_durable`
using LogActor = caf::typed_actor<caf::reacts_to<subscribe_atom, DurableSubscriber, Seq>,
                                  caf::reacts_to<unsubscribe_atom, DurableSubscriber>,
                                  caf::replies_to<durable_atom, Seq>::with<Seq>>;

/// Requests to the store:
///   open   the actor of a space, whatever its options; one that is not there is
///          created with the default ones. Fails as `Store::space`, with
///          `overloaded` rather than wait for the disk or for others who create
///          or drop spaces, and with `not_found` where a client of the network may
///          create no more (`NetworkOptions::spaces_max`)
///   write  a batch, as `Store::write`, also where that refuses a durable one
///   sync   as `Store::sync`, without blocking anyone
///   stats  as `Store::stats`, and of the actors
///   log    the log's actor
using StoreActor = caf::typed_actor<
    caf::replies_to<open_atom, std::string>::with<SpaceActor>,
    caf::replies_to<write_atom, std::vector<Change>, RequestOptions>::with<Seq>, caf::replies_to<sync_atom>::with<Seq>,
    caf::replies_to<stats_atom>::with<StoreStats, std::vector<ActorStats>>, caf::replies_to<log_atom>::with<LogActor>>;

/// Answers `promise` with `value` when the write numbered `seq` is on disk, or
/// with an error as `Store::wait_durable`. Neither the caller nor anybody else
/// blocks, and no actor's crash loses the promise. `log` is of this process
/// (else the answer is `unsupported`). From any thread.
void answer_when_durable(const LogActor& log, Seq seq, caf::response_promise promise, caf::message value);

template <class T>
void answer_when_durable(const LogActor& log, Seq seq, caf::typed_response_promise<T> promise, T value) {
  answer_when_durable(log, seq, static_cast<caf::response_promise&>(promise), caf::make_message(std::move(value)));
}

// -- the store and its actors -------------------------------------------------

/// How other processes reach the message interface (<actable/network.h>).
///
/// Thread safety: *confined* to whoever fills it in.
struct NetworkOptions {
  /// Where to listen: to this machine. Other addresses are refused unless the
  /// actor system has certificates, for whoever can connect may read and write.
  std::string address = "127.0.0.1";
  /// 0: any that is free; `StoreActors::port` tells which.
  std::uint16_t port = 0;
  /// A connection that announces a larger message is closed before any of it is
  /// read (64 KiB to 64 MiB); it has to hold keys, values and some bytes for
  /// each. What a small message claims to be takes up to some 30 times its size
  /// in memory.
  std::size_t request_bytes_max = std::size_t{8} << 20;
  /// Connections that there may be (1 to 65,536): those beyond are closed as they
  /// come, and so are those that would take one of the process's last descriptors
  /// (64, or a quarter of what there is where that is less). Each may have one
  /// message of `request_bytes_max` under way.
  std::size_t connections_max = 64;
  /// Who connects and has not introduced himself as CAF does by then is
  /// disconnected (1 ms to an hour).
  std::chrono::milliseconds handshake_max{10'000};
  /// A client's `open` creates a space only while there are fewer; each has an actor
  /// until the store stops. Those that there are may be opened always.
  std::size_t spaces_max = 1'024;
};

/// How the actors are run.
///
/// Thread safety: *confined* to whoever fills it in.
struct ActorOptions {
  /// Requests that may wait for one actor before it refuses more (1 to 2^20).
  /// Each holds its key and value in memory.
  std::size_t mailbox_max = 4'096;
  /// Requests that may wait for the disk, in all, before more of them are refused
  /// with `overloaded` (1 to 2^24): writes with `Durability::sync`, `sync`, and
  /// `durable`. Each holds its answer in memory. Promises handed to
  /// `answer_when_durable` count, and are never refused.
  std::size_t waiters_max = 65'536;
  /// A crashed actor is started again after this time; twice as long after each
  /// further crash within `restart_window`, up to `restart_delay_max`.
  std::chrono::milliseconds restart_delay{10};
  std::chrono::milliseconds restart_delay_max{1'000};
  /// More crashes of one actor than `restarts_max` within `restart_window`: it
  /// is given up, and the store takes no more writes, for something is wrong
  /// that starting again does not mend. Neither time is longer than 365 days.
  unsigned restarts_max = 10;
  std::chrono::milliseconds restart_window{60'000};
  /// Of so many operations one is looked at for `StoreActors::analytics` (up to
  /// 2^20). 1: all of them, 0: none.
  unsigned sample_every = 64;
  /// Actors that make analytics of the samples (1 to 64). More take up samples
  /// that a few would have to drop.
  unsigned analytics_actors = 2;
  /// Analytics speak of the time back to the beginning of the window before the
  /// current one (1 ms to 365 days).
  std::chrono::milliseconds analytics_window{60'000};
  /// Told `(read_only_atom, std::string)`, with the reason, when the store takes
  /// no more writes: an actor was given up, or the log failed. Is not kept alive
  /// by this. May be empty.
  caf::actor host{};
  /// Other processes may send requests too; none: they may not. Needs
  /// `load_network` of <actable/network.h>.
  std::optional<NetworkOptions> network{};
};

namespace actors {
class Tree;
}

/// A running store with its actors. Closes it when destroyed.
///
/// The actors are *hidden*: they keep no actor system from ending. A system that
/// ends closes the store first, synced, as `stop` does.
///
/// Handles stay the same while the actors behind them crash and are started
/// again. After closing, and once an actor was given up, requests to them are
/// answered with `closed`, and who monitors them is told. Nobody who holds one
/// can end an actor with it.
///
/// One that was moved from may be assigned to and destroyed, and nothing else.
///
/// Thread safety: *synchronized*, but for moving and destroying.
class StoreActors {
 public:
  StoreActors(StoreActors&&) noexcept;
  StoreActors& operator=(StoreActors&&) noexcept;
  StoreActors(const StoreActors&) = delete;
  StoreActors& operator=(const StoreActors&) = delete;
  /// Stops; call `stop` to learn whether that went well.
  ~StoreActors();

  /// For direct use, from any thread or actor. `Store::close` on it is for
  /// `stop` to call.
  [[nodiscard]] Store& store() const noexcept;

  [[nodiscard]] StoreActor actor() const;
  [[nodiscard]] LogActor log() const;

  /// The actor of a space, which is opened or created: one for each name. After
  /// the space was dropped it answers `closed`, until it is asked for again; it
  /// stays until the store stops. Fails as `Store::space`.
  [[nodiscard]] Result<SpaceActor> space_actor(std::string_view name, SpaceOptions options = {});

  [[nodiscard]] std::vector<ActorStats> stats() const;

  /// What samples of the operations say, a second ago at the latest. Takes some
  /// milliseconds of the caller's, the more actors the more.
  [[nodiscard]] Result<Analytics> analytics() const;
  /// One of `every` operations is looked at, as `ActorOptions::sample_every`; each
  /// thread follows at its next sample, or after 4,096 operations where there were
  /// none. Fails with invalid_argument and changes nothing.
  [[nodiscard]] Result<void> sample(unsigned every);

  /// Where other processes connect; 0 if they may not.
  [[nodiscard]] std::uint16_t port() const noexcept;

  /// Refuses requests from now on with `closed`, syncs and closes the store,
  /// answers who waits for the disk, and ends the actors. Blocks for the sync.
  /// Fails as `Store::close`; the actors are ended in any case. Stopping twice
  /// is no error.
  [[nodiscard]] Result<void> stop();

 private:
  friend Result<StoreActors> start(caf::actor_system& system, Options options, ActorOptions actors);
  explicit StoreActors(std::shared_ptr<actors::Tree> tree);
  std::shared_ptr<actors::Tree> tree_;
};

/// Opens or recovers the store and starts its actors in `system`, whose scheduler is
/// the host's to choose. An idle store has two turns of its actors a second, but CAF's
/// threads poll after each, 500 times and then for ever: with
/// `work-stealing.moderate-poll-attempts` = 10 and
/// `work-stealing.relaxed-sleep-duration` = 50 ms an idle service takes 0.4 % of a
/// core in place of 5 %, and nothing gets slower (docs/measurements.md). Fails as
/// `Store::open`, and with invalid_argument where `actors` is out of range, or
/// there is no listening where it says.
[[nodiscard]] Result<StoreActors> start(caf::actor_system& system, Options options, ActorOptions actors = {});

}  // namespace actable

// It does not leave the process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(actable::Space)
