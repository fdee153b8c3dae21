#include "tests/lab/history/specification.h"

#include <algorithm>
#include <utility>

namespace actable::lab::history {

namespace {

using Next = std::optional<State>;

/// The state after a write; `told` is its number, 0 if it told none.
[[nodiscard]] Next written(const State& before, std::optional<Id> value, Seq told, Numbers allowed) {
  const Seq least = std::max(before.number + 1, allowed.first);
  if (least >= allowed.end) return std::nullopt;
  if (told != 0 && (told < least || told >= allowed.end)) return std::nullopt;
  return State{value.has_value(), told != 0, value.value_or(0), told != 0 ? told : least};
}

/// The state once its number is known; empty if it cannot be that.
[[nodiscard]] Next numbered(State state, Seq seq) {
  if (state.exact ? seq != state.number : seq < state.number) return std::nullopt;
  state.exact = true;
  state.number = seq;
  return state;
}

[[nodiscard]] Next read(const State& before, const Operation& operation) {
  if (before.present != operation.yes) return std::nullopt;
  if (!before.present) return before;
  if (before.value != operation.seen) return std::nullopt;
  return operation.seq == 0 ? before : numbered(before, operation.seq);
}

[[nodiscard]] Next unless(bool refuted, const State& state) { return refuted ? Next{} : Next{state}; }

[[nodiscard]] Next compare_and_set(const State& before, const Operation& operation, bool told, Numbers allowed) {
  if (told && !operation.yes) {
    const bool would_win = operation.expected == 0
                               ? !before.present
                               : before.present && before.exact && before.number == operation.expected;
    return unless(would_win, before);
  }
  if (before.present != (operation.expected != 0)) return std::nullopt;
  const Next found = before.present ? numbered(before, operation.expected) : Next{before};
  return found ? written(*found, operation.argument, operation.seq, allowed) : std::nullopt;
}

[[nodiscard]] Next add(const State& before, const Operation& operation, bool told, Numbers allowed) {
  const bool fits = !before.present || is_counter(before.value);
  if (told && !operation.yes) return unless(fits, before);
  if (!fits) return std::nullopt;
  const Id sum = (before.present ? before.value : 0) + operation.argument;
  if (told && sum != operation.seen) return std::nullopt;
  return written(before, sum, operation.seq, allowed);
}

[[nodiscard]] Next update(const State& before, const Operation& operation, Numbers allowed) {
  // What its function saw is known even when its result is not.
  if (before.present != operation.yes || (before.present && before.value != operation.seen)) return std::nullopt;
  if (!before.present && operation.erases) return unless(operation.seq != 0, before);
  if (operation.outcome == Outcome::done && operation.seq == 0) return std::nullopt;
  return written(before, operation.erases ? std::nullopt : std::optional(operation.argument), operation.seq, allowed);
}

/// An operation that erases what is there, and says whether anything was.
[[nodiscard]] Next erase(const State& before, const Operation& operation, bool told, Numbers allowed) {
  if (told && before.present != operation.yes) return std::nullopt;
  // Without anything to erase it would not have waited for the disk.
  if (!before.present) return unless(operation.outcome == Outcome::indeterminate, before);
  if (told && operation.kind == Kind::take && before.value != operation.seen) return std::nullopt;
  return written(before, std::nullopt, operation.seq, allowed);
}

}  // namespace

std::string to_text(const State& state) {
  const std::string number = (state.exact ? "#" : "at least #") + std::to_string(state.number);
  return state.present ? std::to_string(state.value) + " (" + number + ")" : "absent (" + number + ")";
}

std::optional<State> step(const State& before, const Operation& operation, Numbers allowed) {
  const bool told = operation.outcome == Outcome::done;
  switch (operation.kind) {
    case Kind::get:
    case Kind::multi_get:
    case Kind::visit:
    case Kind::scan:
      return told ? read(before, operation) : before;
    case Kind::put:
    case Kind::batch_put:
      return written(before, operation.argument, operation.seq, allowed);
    case Kind::put_if_absent:
      if (told && !operation.yes) return unless(!before.present, before);
      return before.present ? Next{} : written(before, operation.argument, operation.seq, allowed);
    case Kind::compare_and_set:
      return compare_and_set(before, operation, told, allowed);
    case Kind::add:
      return add(before, operation, told, allowed);
    case Kind::update:
      return update(before, operation, allowed);
    case Kind::erase:
    case Kind::take:
      return erase(before, operation, told, allowed);
    case Kind::batch_erase:
      // Whether there was anything to erase is not told, and makes no difference.
      return written(before, std::nullopt, operation.seq, allowed);
  }
  std::unreachable();
}

std::optional<State> overtaken(const State& before, const Operation& operation) {
  if (!k_batches_may_be_overtaken || !is_of_batch(operation)) return std::nullopt;
  if (before.number > operation.seq) return before;
  if (before.exact) return std::nullopt;
  State higher = before;
  higher.number = operation.seq + 1;
  return higher;
}

}  // namespace actable::lab::history
