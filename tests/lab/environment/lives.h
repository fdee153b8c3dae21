#pragma once

#include "tests/lab/environment/process.h"
#include "tests/lab/environment/scenario.h"
#include "tests/lab/environment/shared.h"
#include "tests/store/kill_client.h"
#include "tests/store/kill_history.h"

#include <actable/store.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

namespace actable::lab::environment {

/// One life of a store, in a process of its own.
struct LifePlan {
  /// `expects` included, whose finds are counted.
  test::killing::Work work;
  /// But for the directory.
  Options options;
  /// In that process, before the store is opened. Throws when it cannot be had.
  std::function<void()> before_open = [] {};
  /// Right after the opening.
  std::function<void(Store&)> opened = [](Store&) {};
  /// How long it may write before it is killed; empty: until it has written all.
  std::optional<std::chrono::microseconds> killed_after{};
  /// While it lives, again and again, in the scenario's process.
  std::function<void(const Process&)> meanwhile = [](const Process&) {};
};

/// The lives of one store: each is killed, and what the next finds is judged by
/// the journal of the one before, as of the store's own test of kills.
///
/// Thread safety: *confined* to one thread.
class Lives {
 public:
  Lives(Scenario& scenario, std::filesystem::path directory) : scenario_(scenario), directory_(std::move(directory)) {}

  void live(LifePlan plan);

  /// The store was opened beside these lives, so that the next cannot tell what
  /// was recovered of the last.
  void opened_elsewhere() noexcept { opened_elsewhere_ = true; }

  /// Two more lives without anything hostile around them: the store works as ever.
  void end();

  /// How often the last life met an error that was to be expected.
  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_->load(); }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

 private:
  void judge(test::killing::Recovered recovered);

  Scenario& scenario_;
  std::filesystem::path directory_;
  test::killing::History history_;
  std::unique_ptr<test::killing::Journal> last_;
  Shared<std::atomic<std::uint64_t>> errors_;
  std::uint64_t number_ = 0;
  bool opened_elsewhere_ = false;
};

/// A life's plan with everything left to chance: intervals, threads, writes,
/// kind of queue, how it ends.
[[nodiscard]] LifePlan random_life(test::Random& random);

}  // namespace actable::lab::environment
