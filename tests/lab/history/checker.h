#pragma once

#include "tests/lab/history/operation.h"
#include "tests/lab/history/specification.h"

#include <optional>
#include <string>
#include <vector>

/// Whether what clients saw of one key can be explained by one order of their
/// operations. A store is linearizable if each of its keys is (Herlihy and Wing
/// 1990), so keys are looked at one by one.
namespace actable::lab::history {

/// What a recovery left of a key: the writes of its history numbered below the
/// cut, and no other.
///
/// Thread safety: *immutable*.
struct Cut {
  Seq number = 0;
  /// What was found. Exact where present.
  State recovered{};
  /// Writes that had returned before this are below the cut: a sync that was
  /// called then was acknowledged before the crash.
  Stamp durable_before = 0;
  /// Writes with `sync` that returned before this are below the cut.
  Stamp acknowledged_before = 0;
  /// Writes called after this came too late to be there.
  Stamp lost_after = k_never;
};

/// One key's operations, in any order, and what it held before them.
///
/// Thread safety: *confined*.
struct KeyHistory {
  State before{};
  std::vector<Operation> operations{};
  /// Empty: the history ends without a crash.
  std::optional<Cut> cut{};
};

/// The numbers that a write of the history may have on either side of the cut;
/// none when the write belongs on the other side.
[[nodiscard]] Numbers allowed_numbers(const std::optional<Cut>& cut, const Operation& operation,
                                      bool past_cut) noexcept;

/// Where an operation is to come into the order.
struct Place {
  State before{};
  bool past_cut = false;
  /// Another write has come into the order since the operation was called.
  bool passed = false;
  /// The operation is a batch's write that was recovered, though it was
  /// overtaken before the crash: something lost has to follow that did so.
  bool owed = false;
};

/// All that `operation` can do there: at most two things.
[[nodiscard]] std::vector<State> steps(const std::optional<Cut>& cut, const Place& place, const Operation& operation);

/// What becomes of a batch's write, called but not yet in the order, when the
/// cut comes into the order.
enum class AtCut : std::uint8_t {
  /// Nothing: it is above.
  stays,
  /// It is below the cut and another of a higher number is, too.
  passed_over,
  /// It is below the cut, and not below what was recovered.
  contradicts,
};

/// The number of what was recovered if the key held `state` at the cut; 0 if
/// that is not told; empty if it cannot be. With `batch`, a write under way
/// that was logged, though something lost with the crash had overtaken it, is
/// what was recovered.
[[nodiscard]] std::optional<Seq> recovered_number(const Cut& cut, const State& state, const Operation* batch) noexcept;

[[nodiscard]] AtCut at_cut(const Cut& cut, const Operation& batch, Seq recovered) noexcept;

/// What the checker says.
///
/// Thread safety: *confined*.
struct Verdict {
  bool right = true;
  /// Which result has no explanation, or that the recovered state has none.
  std::string why{};
  /// The shortest part of the history that is wrong by itself: from the last
  /// moment when nobody was at the key, without reads that do not matter.
  std::vector<Operation> part{};
  /// What the key could hold before that part.
  std::vector<State> before{};
  /// Most orders that had to be kept in mind at once.
  std::size_t widest = 0;
};

/// The search of Wing and Gong (1993) with Lowe's just-in-time linearization
/// (2017): calls and returns are gone through in time; an operation is put into
/// the order when its return forces that, together with any others under way
/// that may have come before it. What was tried is remembered as pairs of the
/// operations taken so far and the state; all of them are kept side by side, so
/// that none is looked at twice and nothing is ever taken back. Where nobody is
/// at the key, only states are left: a long history costs no more than its
/// pieces.
///
/// At most 64 operations may be under way at a time, those without a return
/// included.
[[nodiscard]] Verdict check(const KeyHistory& history);

}  // namespace actable::lab::history
