#pragma once

#include <actable/space.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "examples/packages/findings.h"
#include "examples/packages/journal.h"
#include "examples/packages/package_index.h"
#include "examples/packages/updates.h"

namespace packages {

/// What the store must hold: computed from journals, compared with the store,
/// over any number of kills.
///
/// The rule: after a crash with the cut C, each package is as its write with
/// the highest number below C left it. An operation that the kill hit inside
/// its call has no known number: it may be there, with a number below C, or
/// not be there; but a batch whole or not at all.
///
/// Thread safety: *confined* to one thread at a time.
class Model {
 public:
  /// `loaded` are the numbers under which the packages were loaded.
  Model(const PackageIndex& index, const std::vector<actable::Seq>& loaded);

  /// Takes in what a dead writer did, given the cut of the recovery after its
  /// death. Reports synchronous writes at or above the cut, and numbers that
  /// were given twice or went back.
  void replay(const Journal& journal, actable::Seq cut, std::int64_t killed_ns, Findings& findings);

  /// Compares every package with the store, which was recovered with `cut`,
  /// reports what differs, and goes on from what is there. Fails with what the
  /// store fails with.
  [[nodiscard]] actable::Result<void> verify(const actable::Space& space, actable::Seq cut, Findings& findings);

 private:
  static constexpr std::size_t k_none = ~std::size_t{0};

  /// A package as a write left it.
  struct State {
    /// Of the write; where the package is absent, a number that its erasure
    /// has at least.
    actable::Seq seq = 0;
    std::uint64_t update = k_update_none;
    bool present = true;
  };

  /// A step of an operation whose result is unknown.
  struct UnknownStep {
    Step step;
    std::uint64_t update;
    /// Of the recovery that decided about it.
    actable::Seq cut;
  };

  /// A package as it is in the store.
  struct Found {
    State state{};
    /// The unknown step that explains it, where no known write does.
    std::size_t unknown = k_none;
  };

  void apply(const Journal::Operation& operation, std::uint64_t stride);
  void keep_unknown(const Journal::Operation& operation, std::uint64_t stride, actable::Seq cut, Findings& findings);
  void check_numbers(std::vector<actable::Seq> seqs, Findings& findings);

  [[nodiscard]] actable::Result<void> look(const actable::Space& space, actable::Seq cut, std::vector<Found>& all,
                                           Findings& findings) const;
  [[nodiscard]] actable::Result<Found> look_at(const actable::Space& space, std::size_t package, actable::Seq cut,
                                               Findings& findings) const;
  /// The state of an entry; empty, and reported, when its bytes were never written.
  [[nodiscard]] std::optional<State> read(const actable::Entry& entry, std::size_t package, Findings& findings) const;
  [[nodiscard]] std::size_t explain(std::size_t package, const State& found) const;
  void check_whole(const std::vector<std::size_t>& operation, const std::vector<Found>& all, Findings& findings) const;
  [[nodiscard]] actable::Result<void> check_keys(const actable::Space& space, Findings& findings) const;
  [[nodiscard]] std::string describe(const State& state) const;

  const PackageIndex& index_;
  std::vector<State> states_;
  std::vector<UnknownStep> unknown_steps_;
  /// Positions in unknown_steps_, by operation.
  std::vector<std::vector<std::size_t>> unknown_operations_;
  actable::Seq highest_ = 0;
};

}  // namespace packages
