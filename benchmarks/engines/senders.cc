#include "benchmarks/engines/senders.h"

#include "benchmarks/clock.h"
#include "benchmarks/engine.h"
#include "benchmarks/keys.h"

#include <caf/event_based_actor.hpp>

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bench {

namespace {

using actable::Found;
using actable::RequestOptions;
using actable::Seq;

/// Windows on their way at once, so that the receiver has work while the answer
/// comes back; messages of one window at most, so that what is on its way stays in
/// the caches (docs/measurements.md).
constexpr std::size_t k_windows = 2;
constexpr std::size_t k_window_max = 32;
/// What a disk that is behind is given before the next message.
constexpr auto k_pause = std::chrono::milliseconds(1);

/// One actor that sends.
class Sender : public std::enable_shared_from_this<Sender> {
 public:
  Sender(caf::event_based_actor* self, const RemotePart& part, const SenderOptions& options, actable::SpaceActor to,
         std::shared_ptr<ActorRun> run)
      : self_(self),
        steps_(part.plan.steps()),
        limit_(part.limit),
        options_(options),
        to_(std::move(to)),
        run_(std::move(run)),
        block_({1, options.key_bytes, options.value_bytes}, options.noise),
        window_(std::clamp<std::size_t>(k_messages_max / (k_windows * options.senders), 1, k_window_max)) {
    if (options.durability == Durability::sync) request_options_.durability = actable::Durability::sync;
  }

  void begin() {
    did_.began = Clock::get().ticks();
    // A request waits for the one before; others keep their receiver busy.
    const std::size_t at_once = options_.way == Way::requests ? 1 : k_windows;
    for (std::size_t i = 0; i < at_once; ++i) {
      if (left() > 0) send_next();
    }
    end_if_done();
  }

  /// After an answer, or after the pause that took its place.
  void go_on() {
    --unanswered_;
    if (!ended_ && left() > 0) send_next();
    end_if_done();
  }

 private:
  /// Operations that are still to be sent.
  [[nodiscard]] std::uint64_t left() const noexcept {
    // relaxed: a flag alone.
    return run_->stop().load(std::memory_order_relaxed) ? 0 : limit_ - sent_;
  }

  void send_next() {
    switch (options_.way) {
      case Way::one_way:
        return send_window();
      case Way::batches:
        return send_batch();
      default:
        return send_request();
    }
  }

  /// The next step, with its key and value in the block.
  const Step& take_step() {
    const Step& step = steps_[position_];
    position_ = position_ + 1 == steps_.size() ? 0 : position_ + 1;
    ++sent_;
    block_.set(0, step.digits);
    return step;
  }

  [[nodiscard]] std::string key() const { return std::string(block_.key(0)); }
  [[nodiscard]] std::string value() const { return std::string(block_.value(0)); }

  void send_window() {
    const std::uint64_t count = std::min<std::uint64_t>(window_, left());
    for (std::uint64_t i = 1; i < count; ++i) {
      (void)take_step();
      self_->send(to_, actable::put_atom::value, key(), value(), request_options_);
    }
    (void)take_step();
    expect<Seq>(count, self_->request(to_, caf::infinite, actable::put_atom::value, key(), value(), request_options_));
  }

  void send_batch() {
    const std::uint64_t count = std::min<std::uint64_t>(options_.batch, left());
    actable::Pairs pairs;
    pairs.reserve(count, count * (options_.key_bytes + options_.value_bytes));
    for (std::uint64_t i = 0; i < count; ++i) {
      (void)take_step();
      pairs.add(block_.key(0), block_.value(0));
    }
    expect<Seq>(count,
                self_->request(to_, caf::infinite, actable::put_atom::value, std::move(pairs), request_options_));
  }

  void send_request() {
    if (take_step().kind == Kind::put) {
      expect<Seq>(1, self_->request(to_, caf::infinite, actable::put_atom::value, key(), value(), request_options_));
    } else {
      expect<Found>(1, self_->request(to_, caf::infinite, actable::get_atom::value, key(), request_options_));
    }
  }

  /// Counts so many operations when the answer comes.
  template <class T, class Request>
  void expect(std::uint64_t count, Request request) {
    ++unanswered_;
    const auto sender = shared_from_this();
    request.then([sender, count, sent = Clock::get().ticks()](const T& value) { sender->answered(count, sent, value); },
                 [sender, count](const caf::error& error) { sender->refused(count, actable::to_error(error)); });
  }

  template <class T>
  void answered(std::uint64_t count, std::uint64_t sent, const T& value) {
    did_.latency.record(Clock::get().ticks() - sent);
    // The one that a get asked for is still in the block.
    if constexpr (std::is_same_v<T, Found>) {
      if (!value || !block_.matches(0, value.value)) fail("wrong data: key " + key() + " has not its value");
    }
    did_.ops += count;
    go_on();
  }

  void refused(std::uint64_t count, const actable::Error& error) {
    if (error.code == actable::ErrorCode::overloaded) {
      if (options_.way == Way::one_way) did_.ops += count;
      self_->delayed_send(self_, k_pause, caf::tick_atom::value);
      return;
    }
    fail("actors: " + std::string(actable::to_string(error.code)) + ": " + error.message);
  }

  void fail(const std::string& what) {
    if (!std::exchange(ended_, true)) run_->failed(what);
    self_->quit();
  }

  void end_if_done() {
    if (ended_ || unanswered_ > 0) return;
    ended_ = true;
    did_.ended = Clock::get().ticks();
    run_->ended(std::move(did_));
    self_->quit();
  }

  caf::event_based_actor* const self_;
  const std::span<const Step> steps_;
  const std::uint64_t limit_;
  const SenderOptions options_;
  const actable::SpaceActor to_;
  const std::shared_ptr<ActorRun> run_;
  RequestOptions request_options_{};
  KeyBlock block_;
  const std::size_t window_;
  std::size_t position_ = 0;
  std::uint64_t sent_ = 0;
  std::size_t unanswered_ = 0;
  bool ended_ = false;
  ActorDid did_{};
};

}  // namespace

caf::actor spawn_sender(caf::actor_system& system, const RemotePart& part, const SenderOptions& options,
                        const actable::SpaceActor& to, const std::shared_ptr<ActorRun>& run) {
  return system.spawn([&part, options, to, run](caf::event_based_actor* self) -> caf::behavior {
    const auto sender = std::make_shared<Sender>(self, part, options, to, run);
    return {[sender](caf::ok_atom) { sender->begin(); }, [sender](caf::tick_atom) { sender->go_on(); }};
  });
}

}  // namespace bench
