#pragma once

#include "base/descriptor.h"
#include "debug/local_socket.h"
#include "debug/protocol.h"

#include <actable/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace actable::debug {

/// Answers on their way to the server's thread, which they wake.
///
/// Thread safety: *synchronized*.
class Answers {
 public:
  struct Answer {
    std::uint64_t client;
    /// Of the question, by the server's count.
    std::uint64_t question;
    Result<Document> result;
  };

  explicit Answers(base::Descriptor event) : event_(std::move(event)) {}

  void add(Answer answer);
  [[nodiscard]] std::vector<Answer> take();

  /// To be polled for; `take` clears it.
  [[nodiscard]] int event() const noexcept { return event_.number(); }
  void wake() noexcept;

 private:
  const base::Descriptor event_;
  std::mutex mutex_;
  // One for each client at most, but for those that came too late.
  std::vector<Answer> answers_;
};

/// Who asks.
struct Asker {
  /// By the server's count.
  std::uint64_t client = 0;
  Peer peer{};
  /// The session may change things.
  bool writes = false;
  /// What it calls itself: any text.
  std::string name{};
};

/// A request of a client, and the way its answer takes. One that is dropped
/// unanswered, because who had it crashed, answers itself with `indeterminate`.
///
/// Thread safety: *synchronized*.
class Question {
 public:
  /// Without `answers` nobody waits.
  Question(Asker asker, Request request, std::uint64_t number = 0, std::shared_ptr<Answers> answers = nullptr)
      : asker_(std::move(asker)), request_(std::move(request)), number_(number), answers_(std::move(answers)) {}
  ~Question();
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  [[nodiscard]] const Asker& asker() const noexcept { return asker_; }
  [[nodiscard]] const Request& request() const noexcept { return request_; }

  /// From any thread; never waits. Only the first answer counts.
  void answer(Result<Document> result);
  /// Somebody else answers.
  void withdraw() noexcept { answered_.store(true, std::memory_order_relaxed); }

 private:
  const Asker asker_;
  const Request request_;
  const std::uint64_t number_;
  const std::shared_ptr<Answers> answers_;
  // relaxed: it decides who answers, and carries nothing along.
  std::atomic<bool> answered_{false};
};

}  // namespace actable::debug
