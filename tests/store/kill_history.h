#pragma once

#include "tests/store/cut_ranges.h"
#include "tests/store/kill_journal.h"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace actable::test::killing {

/// What is wrong with what recovery found, and with which key.
struct Problem {
  std::string what;
  std::optional<KeyId> key{};
};

/// What recovery found after a killed life.
struct Recovered {
  Dump found{};
  /// As the store reported it. Empty when a recovery in between was killed
  /// before it could report its own: then the cut may have been any number that
  /// explains what was found.
  std::optional<Seq> cut{};
  /// Upper limit of the cut.
  Seq cut_max = 0;
  Seq last_seq = 0;
};

/// The lives of one store, each checked against its journal: what is there is
/// an exact prefix by number, holds what was acknowledged, has batches whole,
/// and nothing that an earlier recovery discarded.
///
/// Thread safety: *confined* to one thread.
class History {
 public:
  /// What is wrong with what recovery found after `life`; empty if nothing.
  [[nodiscard]] std::vector<Problem> verify(Life& life, const Recovered& after);

  /// The same for an opening after a clean close, which must find all that the
  /// one before found.
  [[nodiscard]] std::vector<Problem> verify_unchanged(const Recovered& after);

  /// Names of spaces that were dropped durably and must never be seen again.
  [[nodiscard]] const std::vector<std::string>& dropped() const noexcept { return dropped_; }

  /// What the last opening found.
  [[nodiscard]] const Dump& base() const noexcept { return base_; }

  [[nodiscard]] std::uint64_t kept() const noexcept { return kept_; }
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  struct Write;
  struct Told;
  void note(std::string problem, std::optional<KeyId> key = {});
  [[nodiscard]] Told told_by(Life& life, const Recovered& after);
  void check_numbers(const Told& told);
  void check_found(const Recovered& after);
  [[nodiscard]] CutRanges explained_single(const std::vector<Write>& writes, KeyId key, const Found& found) const;
  [[nodiscard]] CutRanges explained_shared(std::vector<Write> writes, KeyId key, const Found& found) const;
  [[nodiscard]] CutRanges explained_counter(const std::vector<Write>& adds, KeyId key, const Found& found) const;
  void remember(const Told& told, Seq cut, const Recovered& after);

  Dump base_{};
  Seq highest_ = 0;  // of all numbers seen in any life
  Seq cut_ = 0;
  std::unordered_set<std::uint64_t> discarded_;
  std::vector<std::string> dropped_;
  std::vector<Problem> problems_;
  std::uint64_t kept_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace actable::test::killing
