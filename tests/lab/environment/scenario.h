#pragma once

#include "tests/lab/leg.h"
#include "tests/support/seed.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace actable::lab::environment {

/// What a scenario did, in memory that it shares with the leg.
///
/// Thread safety: *synchronized* for the counts; the texts are *confined* to the
/// scenario until it has ended.
struct Account {
  std::atomic<std::uint64_t> checks{0};
  std::atomic<std::uint64_t> lives{0};
  std::atomic<std::uint64_t> skipped{0};
  std::array<char, 512> skipped_for{};
  std::array<char, 4096> found{};
};

/// What a scenario works with. It runs in a process of its own, which has one
/// thread when it begins.
///
/// Thread safety: *confined*, but for `check`, `require` and `say`.
class Scenario {
 public:
  Scenario(std::uint64_t seed, std::filesystem::path directory, bool trace, std::string_view name, Account& account)
      : random(seed), directory_(std::move(directory)), trace_(trace), name_(name), account_(account) {}

  /// Throws `Found` unless `holds`; counts what was looked at.
  void check(bool holds, const std::string& what) {
    // relaxed: a count
    account_.checks.fetch_add(1, std::memory_order_relaxed);
    require(holds, what);
  }

  /// Another life of a store was lived and judged.
  void lived() { account_.lives.fetch_add(1, std::memory_order_relaxed); }

  /// This machine lacks something, in a few words, for a part of the scenario.
  void skip(std::string_view lacks);

  /// With --replay: prints a step.
  void say(const std::string& step) const;

  /// Empty at first, and the scenario's own.
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  /// A directory in it that nobody has used yet. Not made.
  [[nodiscard]] std::filesystem::path fresh_directory() {
    return directory_ / ("store" + std::to_string(++directories_));
  }

  test::Random random;

 private:
  std::filesystem::path directory_;
  bool trace_;
  std::string_view name_;
  Account& account_;
  unsigned directories_ = 0;
};

// The scenarios. Each throws `Found` when the store does not stand it.
void memory_is_capped(Scenario& scenario);
void a_sync_stalls(Scenario& scenario);
void the_clock_jumps(Scenario& scenario);
void descriptors_are_few(Scenario& scenario);
void the_host_forks(Scenario& scenario);
void signals_rain(Scenario& scenario);
void files_cannot_be_written(Scenario& scenario);
void the_disk_is_full(Scenario& scenario);
void the_kernel_is_a_poor_one(Scenario& scenario);

}  // namespace actable::lab::environment
