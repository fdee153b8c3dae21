#include "benchmarks/team.h"

#include "benchmarks/engine.h"

#include <exception>
#include <system_error>
#include <utility>

namespace bench {

Team::Team(std::vector<Recruit> recruits, std::size_t helpers)
    : leaders_(recruits.size() - helpers),
      workers_(recruits.size()),
      ready_(static_cast<std::ptrdiff_t>(recruits.size()) + 1),
      running_(leaders_) {
  for (std::size_t i = 0; i < recruits.size(); ++i) {
    try {
      threads_.emplace_back([this, i, recruit = std::move(recruits[i])] { work(i, recruit); });
    } catch (const std::system_error& error) {
      stop();
      ready_.count_down(static_cast<std::ptrdiff_t>(recruits.size() - i) + 1);
      throw Failure("cannot start thread " + std::to_string(i + 1) + ": " + error.what());
    }
  }
}

Team::~Team() { stop(); }

void Team::start() { ready_.arrive_and_wait(); }

bool Team::wait(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, at_most, [this] { return running_ == 0; });
}

// relaxed: flags alone; what the threads did is read after they were joined.
void Team::stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  stop_helpers_.store(true, std::memory_order_relaxed);
}

std::uint64_t Team::done() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < leaders_; ++i) {
    if (workers_[i] != nullptr) sum += workers_[i]->done();
  }
  return sum;
}

std::vector<std::unique_ptr<Worker>> Team::finish() {
  stop();
  threads_.clear();
  if (!failure_.empty()) throw Failure(failure_);
  return std::move(workers_);
}

void Team::work(std::size_t member, const Recruit& recruit) {
  const bool leads = member < leaders_;
  try {
    workers_[member] = recruit();
  } catch (const std::exception& error) {
    note_failure(error.what());
  }
  ready_.arrive_and_wait();
  try {
    if (workers_[member] != nullptr) workers_[member]->run(leads ? stop_ : stop_helpers_);
  } catch (const std::exception& error) {
    note_failure(error.what());
  }
  const std::lock_guard lock(mutex_);
  if (leads && --running_ == 0) ended_.notify_all();
}

void Team::note_failure(const std::string& message) {
  stop();
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = message;
}

}  // namespace bench
