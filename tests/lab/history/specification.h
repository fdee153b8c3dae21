#pragma once

#include "tests/lab/history/operation.h"

#include <compare>
#include <optional>
#include <string>

/// What each operation has to do to a key, one after the other.
namespace actable::lab::history {

/// What a key holds. Not every write tells its number: then all that is known
/// is the least it can be, until a read shows the record.
///
/// Thread safety: *immutable*.
struct State {
  bool present = false;
  /// The number is `number`; else it is that or a higher one.
  bool exact = false;
  Id value = 0;
  /// Of the record, or of what was erased.
  Seq number = 0;

  auto operator<=>(const State&) const = default;
};

[[nodiscard]] std::string to_text(const State& state);

/// The numbers that a write may have: from `first` to `end` - 1.
struct Numbers {
  Seq first = 0;
  Seq end = ~Seq{0};
};

/// The state after `operation` if that is what it does in `before` and its
/// result is the one recorded; empty if it cannot have happened there. A write
/// has a number above that of what it replaces, and within `allowed`.
[[nodiscard]] std::optional<State> step(const State& before, const Operation& operation, Numbers allowed = {});

/// What a batch may leave of its write to a key (rule 4 of
/// docs/architecture.md): nothing at all, where another write with a higher
/// number came between the batch's drawing its own and its publishing. A put
/// that comes between hides that. A read-modify-write does not: it has not
/// seen the batch's value and replaces it all the same, which no order of the
/// two explains. False makes the checker insist on such an order.
inline constexpr bool k_batches_may_be_overtaken = true;

[[nodiscard]] constexpr bool is_of_batch(const Operation& operation) noexcept {
  return operation.kind == Kind::batch_put || operation.kind == Kind::batch_erase;
}

/// The state after a batch's write was overtaken by the one that made `before`;
/// empty if it cannot have been.
[[nodiscard]] std::optional<State> overtaken(const State& before, const Operation& operation);

}  // namespace actable::lab::history
