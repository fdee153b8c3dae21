#pragma once

#include "tests/lab/kills/plan.h"
#include "tests/store/kill_history.h"
#include "tests/store/kill_journal.h"
#include "tests/support/child.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace actable::lab::kills {

/// Where a life ended.
enum class End : std::uint8_t {
  at_fail_point,
  at_random,
  /// Killed at rest, having never come to its fail point.
  at_rest,
};

/// The lives of one directory, and the processes that live them. What each
/// leaves is judged with what the next one finds; several may die in a row while
/// they recover.
///
/// Thread safety: *confined* to one thread.
class Series {
 public:
  Series(std::uint64_t seed, bool with_ring) : random_(seed), with_ring_(with_ring) {}

  /// Starts a process that lives `plan`, and sees to its end. Throws `Found`.
  End live_and_die(const Plan& plan);

  /// Opens the store here, with options of the seed, judges it and closes it.
  /// Throws `Found`.
  void reopen(std::uint64_t seed);

  /// Takes the directory out of the series, to be kept under that name.
  void keep_as(const std::filesystem::path& name) const { std::filesystem::rename(directory_.path(), name); }

  [[nodiscard]] const test::killing::History& history() const noexcept { return history_; }
  /// Openings whose content was judged.
  [[nodiscard]] std::uint64_t recovered() const noexcept { return recovered_; }
  /// Processes that died before they could say what they had recovered.
  [[nodiscard]] std::uint64_t died_recovering() const noexcept { return died_recovering_; }

 private:
  [[nodiscard]] std::string file_of(std::uint64_t life) const {
    return directory_ / ("journal" + std::to_string(life));
  }
  void await_fail_point(test::Child& victim, const test::killing::Life& life);
  void await_random_time(test::Child& victim, const test::killing::Life& life, bool closes);
  void take_over(std::unique_ptr<test::killing::Journal> next);
  void judge(test::killing::Recovered recovered);

  test::TemporaryDirectory directory_;
  test::Random random_;
  const bool with_ring_;
  test::killing::History history_;
  std::uint64_t lives_ = 0;
  // Of the last life that could write, and is to be judged.
  std::unique_ptr<test::killing::Journal> last_{};
  std::uint64_t last_number_ = 0;
  // Since then these died without a word.
  unsigned unreported_ = 0;
  // What the first of them recovered with, if it came so far.
  std::optional<Seq> first_cut_{};
  std::uint64_t recovered_ = 0;
  std::uint64_t died_recovering_ = 0;
};

}  // namespace actable::lab::kills
