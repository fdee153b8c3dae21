#include "debug/question.h"

#include <unistd.h>

#include <new>

namespace actable::debug {

void Answers::add(Answer answer) {
  {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  wake();
}

std::vector<Answers::Answer> Answers::take() {
  std::uint64_t count = 0;
  // Empty where nothing has come.
  [[maybe_unused]] const ssize_t got = read(event_.number(), &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(answers_, {});
}

void Answers::wake() noexcept {
  const std::uint64_t one = 1;
  // Full: then the thread is awake in any case.
  [[maybe_unused]] const ssize_t written = write(event_.number(), &one, sizeof one);
}

Question::~Question() {
  try {
    answer(fail(ErrorCode::indeterminate,
                "the debug actor crashed before it answered; what was asked for may have been done or not"));
  } catch (const std::bad_alloc&) {
    // The client waits until the server gives the answer up.
  }
}

void Question::answer(Result<Document> result) {
  if (answered_.exchange(true, std::memory_order_relaxed) || answers_ == nullptr) return;
  answers_->add({asker_.client, number_, std::move(result)});
}

}  // namespace actable::debug
