#include "actors/workers.h"

#include <string>
#include <vector>

namespace actable::actors {
namespace {

/// The log, as its actor's handlers see it.
class Work : public std::enable_shared_from_this<Work> {
 public:
  Work(LogWorker::pointer self, std::shared_ptr<Tree> tree)
      : self_(self), tree_(std::move(tree)), board_(tree_->board()) {
    // Answers to the actor before this one come to nobody, and so does the news
    // of a subscriber's end.
    for (auto& [address, subscription] : board_.subscriptions()) {
      subscription.waiting = false;
      watch(address);
    }
  }

  void look() {
    board_.looked();
    board_.answer_durable(self_->context());
    board_.answer_if_failed(self_->context());
    std::vector<caf::actor_addr> ended;
    const News now = news();
    for (auto& [address, subscription] : board_.subscriptions()) {
      if (!announce(address, subscription, now)) ended.push_back(address);
    }
    for (const caf::actor_addr& address : ended) end(address);
    // It may fail again once it was healed.
    if (!now.failed) return tree_->log_works();
    tree_->tell_host("the log failed: " + board_.store().stats().read_only_reason);
  }

  void subscribe(const DurableSubscriber& subscriber, Seq from) {
    const caf::actor_addr address = subscriber.address();
    const auto [found, is_new] = board_.subscriptions().try_emplace(address);
    board_.count_subscribers();
    if (is_new) watch(address);
    Subscription& subscription = found->second;
    subscription.ended = false;
    // A notice that is on its way may be of a number below `from`.
    subscription.told = from;
    subscription.told_failure = false;
    if (!announce(address, subscription, news())) end(address);
  }

  void unsubscribe(const DurableSubscriber& subscriber) {
    const auto found = board_.subscriptions().find(subscriber.address());
    if (found == board_.subscriptions().end()) return;
    if (found->second.waiting) {
      found->second.ended = true;
    } else {
      end(subscriber.address());
    }
  }

  /// Ends a subscription that there may be.
  void end(const caf::actor_addr& address) {
    if (board_.subscriptions().erase(address) != 0) self_->demonitor(address);
    board_.count_subscribers();
  }

 private:
  /// Has `end` called when the subscriber has ended, whatever it has not answered.
  void watch(const caf::actor_addr& address) {
    if (const auto subscriber = caf::actor_cast<caf::actor>(address)) self_->monitor(subscriber);
  }

  /// What there is to tell: the same for thousands of subscribers.
  struct News {
    Seq durable = 0;
    bool failed = false;
  };
  [[nodiscard]] News news() const { return {board_.store().durable_seq(), board_.store().log_failed()}; }

  /// Sends the notice that is due, if any. False when the subscription is over.
  bool announce(const caf::actor_addr& address, Subscription& subscription, const News& news) {
    if (!news.failed) subscription.told_failure = false;
    if (subscription.waiting) return true;
    if (subscription.ended) return false;
    const Seq durable = news.durable;
    const bool failed = news.failed && !subscription.told_failure;
    if (durable <= subscription.told && !failed) return true;
    const auto subscriber = caf::actor_cast<DurableSubscriber>(address);
    if (!subscriber) return false;
    const auto answered = [work = shared_from_this(), address] { work->answered(address); };
    // An error is an answer too.
    const auto refused = [answered](const caf::error&) { answered(); };
    // What was told is written down afterwards: where memory runs out, the next
    // actor of the log tells it again.
    if (durable > subscription.told) {
      self_->request(subscriber, caf::infinite, durable_atom::value, durable).then(answered, refused);
      subscription.told = durable;
    } else {
      self_->request(subscriber, caf::infinite, failed_atom::value, board_.store().stats().read_only_reason)
          .then(answered, refused);
      subscription.told_failure = true;
    }
    subscription.waiting = true;
    return true;
  }

  void answered(const caf::actor_addr& address) {
    const auto found = board_.subscriptions().find(address);
    if (found == board_.subscriptions().end()) return;
    found->second.waiting = false;
    if (!announce(address, found->second, news())) end(address);
  }

  const LogWorker::pointer self_;
  const std::shared_ptr<Tree> tree_;
  Board& board_;
};

}  // namespace

LogWorker::behavior_type log_worker(LogWorker::pointer self, std::shared_ptr<Tree> tree, std::shared_ptr<Load> load) {
  be_worker(self, load);
  const auto work = std::make_shared<Work>(self, tree);
  self->set_down_handler([work](caf::down_msg& down) { work->end(down.source); });
  return {
      [work, load](subscribe_atom, const DurableSubscriber& subscriber, Seq from) {
        const Taken taken(*load);
        work->subscribe(subscriber, from);
      },
      [work, load](unsubscribe_atom, const DurableSubscriber& subscriber) {
        const Taken taken(*load);
        work->unsubscribe(subscriber);
      },
      [self, tree, load](durable_atom, Seq seq) -> caf::result<Seq> {
        const Taken taken(*load);
        if (caf::error full = tree->board().full()) return full;
        auto promise = self->make_response_promise<Seq>();
        tree->board().add(seq, promise, caf::make_message(seq));
        return promise;
      },
      [work, load](const Advanced&) {
        const Step step(*load);
        work->look();
      },
      [self, work](const Stop&) {
        work->look();
        self->quit();
      },
  };
}

}  // namespace actable::actors
