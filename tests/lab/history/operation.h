#pragma once

#include <actable/options.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// What clients of a store did, one key at a time, and what they saw.
namespace actable::lab::history {

/// Place of a call or a return in the order of all of them.
using Stamp = std::uint64_t;
inline constexpr Stamp k_never = ~Stamp{0};

/// A value, as a number. Odd ones stand for values that are no counters.
using Id = std::int64_t;

[[nodiscard]] constexpr bool is_counter(Id id) noexcept { return id % 2 == 0; }

/// `multi_get` and `batch_…` are one key's part of theirs; `scan` is a key that
/// a cursor showed.
enum class Kind : std::uint8_t {
  get,
  multi_get,
  visit,
  scan,
  put,
  erase,
  put_if_absent,
  compare_and_set,
  add,
  update,
  take,
  batch_put,
  batch_erase,
};

enum class Outcome : std::uint8_t {
  /// It returned, and the record holds all it told.
  done,
  /// It returned `indeterminate`: it has written, but told no result.
  indeterminate,
  /// It never returned: it may have written, or not, or do so at any later time.
  open,
};

/// One operation on one key.
///
/// Thread safety: *confined*.
struct Operation {
  Kind kind = Kind::get;
  Outcome outcome = Outcome::done;
  std::uint8_t client = 0;
  /// Reads, erase, take: the key was there. put_if_absent, compare_and_set: it
  /// won. add: it was not refused. update: its function last saw a value.
  bool yes = false;
  /// update: its function returned nothing, to erase the key.
  bool erases = false;
  /// It returned when its write was on disk.
  bool sync = false;
  /// What it writes; of add, the summand.
  Id argument = 0;
  /// What it saw; of add, the sum; of update, what its function last saw.
  Id seen = 0;
  /// compare_and_set only; 0: absent.
  Seq expected = 0;
  /// The number it told; 0: none.
  Seq seq = 0;
  Stamp called = 0;
  Stamp returned = k_never;
};

/// False for operations that can change nothing, whatever they meet.
[[nodiscard]] bool may_write(const Operation& operation) noexcept;

/// "compare_and_set(#17, 40)".
[[nodiscard]] std::string call_text(const Operation& operation);

/// "won", "40 #17", "absent".
[[nodiscard]] std::string result_text(const Operation& operation);

/// A line for each operation: client, call, return, what, result.
[[nodiscard]] std::string table_text(const std::vector<Operation>& operations);

}  // namespace actable::lab::history
