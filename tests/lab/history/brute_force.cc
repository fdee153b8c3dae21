#include "tests/lab/history/brute_force.h"

#include <optional>
#include <utility>
#include <vector>

namespace actable::lab::history {

namespace {

/// Thread safety: *confined*.
class Orders {
 public:
  explicit Orders(KeyHistory history) : history_(std::move(history)), taken_(history_.operations.size()) {}

  [[nodiscard]] bool some_explains(const State& state, bool past_cut) {
    if (complete() && owed_ == nullptr && (past_cut || !history_.cut)) return true;
    if (history_.cut && !past_cut && cut_next(state, nullptr)) return true;
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (taken_[i] || !may_be_next(i)) continue;
      const Operation& operation = history_.operations[i];
      taken_[i] = true;
      const bool owed = owed_ == &operation;
      if (owed) owed_ = nullptr;
      for (const State& next : steps(history_.cut, {state, past_cut, passed(operation, owed), owed}, operation)) {
        order_.push_back({.returned = operation.returned, .wrote = next != state});
        if (some_explains(next, past_cut)) return true;
        order_.pop_back();
      }
      if (owed) owed_ = &operation;
      taken_[i] = false;
      if (history_.cut && !past_cut && is_of_batch(operation) && cut_next(state, &operation)) return true;
    }
    return false;
  }

 private:
  /// The cut comes next. What is left below it has no place any more: without a
  /// winner nothing else, with one what it overtook in the log.
  [[nodiscard]] bool cut_next(const State& state, const Operation* winner) {
    const auto number = recovered_number(*history_.cut, state, winner);
    if (!number) return false;
    const std::vector<bool> taken_before = taken_;
    const std::size_t order_before = order_.size();
    const bool right = (winner == nullptr || pass_over(*winner, *number)) &&
                       past_cut(winner == nullptr && state.present ? history_.cut->recovered : state, winner);
    if (right) return true;
    owed_ = nullptr;
    taken_ = taken_before;
    order_.resize(order_before);
    return false;
  }

  [[nodiscard]] bool past_cut(const State& state, const Operation* winner) {
    owed_ = winner;
    cut_at_ = order_.size();
    return some_explains(state, true);
  }

  [[nodiscard]] bool pass_over(const Operation& winner, Seq recovered) {
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      const Operation& operation = history_.operations[i];
      if (taken_[i] || &operation == &winner || !is_of_batch(operation) || !may_be_next(i)) continue;
      const AtCut what = at_cut(*history_.cut, operation, recovered);
      if (what == AtCut::contradicts) return false;
      if (what == AtCut::stays) continue;
      taken_[i] = true;
      order_.push_back({.returned = operation.returned, .wrote = false});
    }
    return true;
  }

  /// Something was written that may have been so after the operation was called:
  /// a call that bears the stamp of a return counts as concurrent with it.
  [[nodiscard]] bool passed(const Operation& operation, bool since_cut) const {
    for (std::size_t i = order_.size(); i-- > (since_cut ? cut_at_ : 0) && order_[i].returned >= operation.called;) {
      if (order_[i].wrote) return true;
    }
    return false;
  }

  [[nodiscard]] bool complete() const {
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (!taken_[i] && history_.operations[i].returned != k_never) return false;
    }
    return true;
  }

  /// Nothing that is still to come had returned before it was called.
  [[nodiscard]] bool may_be_next(std::size_t next) const {
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (!taken_[i] && history_.operations[i].returned < history_.operations[next].called) return false;
    }
    return true;
  }

  struct Ordered {
    Stamp returned;
    bool wrote;
  };

  const KeyHistory history_;
  std::vector<Ordered> order_;
  /// How long it was when the cut came into it.
  std::size_t cut_at_ = 0;
  const Operation* owed_ = nullptr;
  std::vector<bool> taken_;
};

}  // namespace

bool some_order_explains(const KeyHistory& history) {
  for (const Operation& earlier : history.operations) {
    for (const Operation& later : history.operations) {
      const bool in_turn = earlier.returned < later.called;
      if (in_turn && may_write(later) && later.seq != 0 && later.seq <= earlier.seq) return false;
    }
  }
  return Orders(history).some_explains(history.before, false) &&
         Orders({history.before, history.operations, std::nullopt}).some_explains(history.before, false);
}

}  // namespace actable::lab::history
