#pragma once

#include "benchmarks/worker.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace bench {

/// Threads that get ready, start together, and are waited for. One that fails
/// stops the others.
///
/// Thread safety: *confined* to the thread that made it.
class Team {
 public:
  /// Makes a worker, on the thread that will run it.
  using Recruit = std::function<std::unique_ptr<Worker>()>;

  /// Starts a thread for each; they wait for `start` when they are ready.
  /// The last `helpers` of them are not waited for but stopped at the end.
  Team(std::vector<Recruit> recruits, std::size_t helpers);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team();

  /// Returns when all are ready and go.
  void start();

  /// Waits so long at most. True when all but the helpers have ended.
  [[nodiscard]] bool wait(std::chrono::milliseconds at_most);

  /// Lets them end as soon as they can.
  void stop() noexcept;

  /// Operations done so far, without those of the helpers.
  [[nodiscard]] std::uint64_t done() const;

  /// Ends all threads and gives their workers, helpers last. Throws `Failure`
  /// with what the first that failed said.
  [[nodiscard]] std::vector<std::unique_ptr<Worker>> finish();

 private:
  void work(std::size_t member, const Recruit& recruit);
  void note_failure(const std::string& message);

  const std::size_t leaders_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::latch ready_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> stop_helpers_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t running_;
  std::string failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace bench
