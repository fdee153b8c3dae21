#include "tests/lab/history/checker.h"

#include "tests/lab/leg.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>
#include <unordered_set>

namespace actable::lab::history {

namespace {

/// One way in which things may have gone so far.
struct Way {
  /// Bits of the operations under way that have taken effect.
  std::uint64_t taken = 0;
  /// Bits of the batches' writes under way since whose call something was written.
  std::uint64_t passed = 0;
  /// The bit of the batch's write that was recovered though it was overtaken.
  std::uint64_t owed = 0;
  State state{};
  bool past_cut = false;

  bool operator==(const Way&) const = default;
};

struct WayHash {
  std::size_t operator()(const Way& way) const noexcept {
    std::uint64_t hash = way.taken;
    const auto mix = [&hash](std::uint64_t word) { hash = std::rotl(hash ^ word, 29) * 0x9e3779b97f4a7c15; };
    mix(way.passed);
    mix(way.owed);
    mix(static_cast<std::uint64_t>(way.state.value));
    mix(way.state.number);
    mix(std::uint64_t{way.state.present} | std::uint64_t{way.state.exact} << 1 | std::uint64_t{way.past_cut} << 2);
    return hash ^ (hash >> 32);
  }
};

/// Ways in the order in which they were found, each once.
class Ways {
 public:
  void add(const Way& way) {
    if (known_.insert(way).second) ways_.push_back(way);
  }
  void clear() {
    known_.clear();
    ways_.clear();
  }
  [[nodiscard]] std::size_t size() const { return ways_.size(); }
  [[nodiscard]] Way operator[](std::size_t i) const { return ways_[i]; }

 private:
  std::unordered_set<Way, WayHash> known_;
  std::vector<Way> ways_;
};

struct Event {
  Stamp at;
  bool is_return;
  std::size_t operation;
};

[[nodiscard]] std::vector<Event> events_of(const std::vector<Operation>& operations) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    events.push_back({operations[i].called, false, i});
    if (operations[i].returned != k_never) events.push_back({operations[i].returned, true, i});
  }
  // A call that bears the stamp of a return counts as concurrent with it.
  std::ranges::sort(events, {}, [](const Event& event) { return std::tuple(event.at, event.is_return); });
  return events;
}

/// Thread safety: *confined*; used once.
class Search {
 public:
  Search(const std::vector<Operation>& operations, const std::optional<Cut>& cut)
      : operations_(operations), cut_(cut), slots_(operations.size()), under_way_(64, nullptr) {}

  struct End {
    bool right = true;
    /// The operation whose return nothing explains; none: the cut is not explained.
    const Operation* failed = nullptr;
    /// When nobody was at the key for the last time before that, and what it
    /// may have held. Meaningless with a cut.
    Stamp quiet_at = 0;
    std::vector<State> quiet{};
    std::size_t widest = 0;
  };

  [[nodiscard]] End run(const std::vector<State>& before) {
    End end{.quiet = before};
    for (const State& state : before) ways_.add({.state = state});
    for (const Event& event : events_of(operations_)) {
      if (!event.is_return) {
        call(event.operation);
        continue;
      }
      force(slots_[event.operation]);
      end.widest = std::max(end.widest, ways_.size());
      if (ways_.size() == 0) return fail(end, &operations_[event.operation]);
      if (open_ == 0) note_quiet(end, event.at);
    }
    if (cut_ && !can_be_cut()) return fail(end, nullptr);
    return end;
  }

 private:
  [[nodiscard]] static End fail(End& end, const Operation* operation) {
    end.right = false;
    end.failed = operation;
    return std::move(end);
  }

  void call(std::size_t operation) {
    const auto slot = static_cast<unsigned>(std::countr_one(open_));
    require(slot < 64, "the checker was given more than 64 operations at once");
    open_ |= std::uint64_t{1} << slot;
    if (is_of_batch(operations_[operation])) batches_ |= std::uint64_t{1} << slot;
    slots_[operation] = slot;
    under_way_[slot] = &operations_[operation];
  }

  void note_quiet(End& end, Stamp at) const {
    end.quiet_at = at;
    end.quiet.clear();
    for (std::size_t i = 0; i < ways_.size(); ++i) end.quiet.push_back(ways_[i].state);
  }

  [[nodiscard]] const Operation& operation_at(std::uint64_t bit) const {
    return *under_way_[static_cast<unsigned>(std::countr_zero(bit))];
  }

  /// Takes what changes nothing as soon as it fits: whatever could follow can
  /// follow still. False when a number told can have no place any more.
  [[nodiscard]] bool settle(Way& way) const {
    for (std::uint64_t left = open_ & ~way.taken; left != 0; left &= left - 1) {
      const std::uint64_t bit = left & -left;
      const Operation& operation = operation_at(bit);
      if (!may_write(operation)) {
        if (step(way.state, operation) == way.state) way.taken |= bit;
      } else if (operation.outcome == Outcome::done && operation.seq != 0 && !is_of_batch(operation)) {
        if (operation.seq <= way.state.number) return false;
      }
    }
    return true;
  }

  static void add_settled(const Search& search, Ways& ways, Way way) {
    if (search.settle(way)) ways.add(way);
  }

  /// All ways that can follow from those in `ways` without another call;
  /// those that have taken `last` go no further, if it is a slot.
  void follow(Ways& ways, std::uint64_t last) const {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const Way way = ways[i];
      if ((way.taken & last) != 0) continue;
      for (std::uint64_t left = open_ & ~way.taken; left != 0; left &= left - 1) {
        const std::uint64_t bit = left & -left;
        const Place place{way.state, way.past_cut, (way.passed & bit) != 0, way.owed == bit};
        for (const State& next : steps(cut_, place, operation_at(bit))) {
          const std::uint64_t taken = way.taken | bit;
          const std::uint64_t passed = next == way.state ? way.passed : batches_;
          add_settled(*this, ways, {taken, passed & ~taken, way.owed & ~taken, next, way.past_cut});
        }
        if (cut_ && !way.past_cut && is_of_batch(operation_at(bit))) take_cut(ways, way, bit);
      }
      if (cut_ && !way.past_cut) take_cut(ways, way, 0);
    }
  }

  /// The cut comes next in the order. What was recovered is what the key holds
  /// there, or a batch's write under way, which `winner` is the bit of.
  void take_cut(Ways& ways, Way way, std::uint64_t winner) const {
    const auto number = recovered_number(*cut_, way.state, winner == 0 ? nullptr : &operation_at(winner));
    if (!number) return;
    // It tells the number, where no client knew it.
    if (winner == 0 && way.state.present) way.state = cut_->recovered;
    way.owed = winner;
    way.past_cut = true;
    for (std::uint64_t left = open_ & ~way.taken & ~winner; left != 0; left &= left - 1) {
      const std::uint64_t bit = left & -left;
      if (!k_batches_may_be_overtaken || !is_of_batch(operation_at(bit))) continue;
      const AtCut what = at_cut(*cut_, operation_at(bit), *number);
      if (what == AtCut::contradicts) return;
      if (what == AtCut::passed_over && winner == 0 && (way.passed & bit) == 0) return;
      if (what != AtCut::passed_over) continue;
      way.taken |= bit;
      // What it was passed over for has a higher number, below the cut, too.
      if (winner == 0 && !way.state.exact) {
        way.state.number = std::max(way.state.number, operation_at(bit).seq + 1);
        if (way.state.number >= cut_->number) return;
      }
    }
    way.passed &= ~way.taken & ~winner;
    add_settled(*this, ways, way);
  }

  /// The operation in the slot returns: only ways that have taken it stay.
  void force(unsigned slot) {
    const std::uint64_t bit = std::uint64_t{1} << slot;
    Ways todo;
    for (std::size_t i = 0; i < ways_.size(); ++i) add_settled(*this, todo, ways_[i]);
    follow(todo, bit);
    ways_.clear();
    for (std::size_t i = 0; i < todo.size(); ++i) {
      Way way = todo[i];
      if ((way.taken & bit) == 0) continue;
      way.taken &= ~bit;
      ways_.add(way);
    }
    open_ &= ~bit;
    batches_ &= ~bit;
  }

  /// At the end: what never returned may have taken effect, too.
  [[nodiscard]] bool can_be_cut() const {
    Ways todo = ways_;
    follow(todo, 0);
    for (std::size_t i = 0; i < todo.size(); ++i) {
      if (todo[i].past_cut && todo[i].owed == 0) return true;
    }
    return false;
  }

  const std::vector<Operation>& operations_;
  const std::optional<Cut>& cut_;
  std::vector<unsigned> slots_;
  std::vector<const Operation*> under_way_;
  /// Bits of the slots in use.
  std::uint64_t open_ = 0;
  /// Those of writes of batches.
  std::uint64_t batches_ = 0;
  Ways ways_;
};

/// What had not returned by then counts as under way.
[[nodiscard]] bool still_wrong(std::vector<Operation> part, const std::vector<State>& before, Stamp until) {
  for (Operation& operation : part) {
    if (operation.returned > until) operation.returned = k_never;
  }
  return !Search(part, std::nullopt).run(before).right;
}

/// Leaves out reads while what is left stays wrong. (A history without one of
/// its reads is right if the whole is; without one of its writes it may not be.)
void leave_out_reads(std::vector<Operation>& part, const std::vector<State>& before, Stamp until) {
  for (std::size_t i = part.size(); i-- > 0;) {
    if (may_write(part[i])) continue;
    std::vector<Operation> fewer = part;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (still_wrong(fewer, before, until)) part = std::move(fewer);
  }
}

[[nodiscard]] Verdict wrong_order(const KeyHistory& history, const Search::End& end) {
  Verdict verdict{.right = false, .before = end.quiet, .widest = end.widest};
  verdict.why = "no order explains what client " + std::to_string(end.failed->client) + " was told at " +
                std::to_string(end.failed->returned) + ": " + call_text(*end.failed) + " -> " +
                result_text(*end.failed);
  for (const Operation& operation : history.operations) {
    if (operation.called >= end.quiet_at && operation.called < end.failed->returned) verdict.part.push_back(operation);
  }
  std::ranges::sort(verdict.part, {}, &Operation::called);
  leave_out_reads(verdict.part, verdict.before, end.failed->returned);
  return verdict;
}

/// A write's number is above every number that had been told before its call.
/// (The search alone would let a batch be overtaken by what came before it.)
[[nodiscard]] std::optional<Verdict> numbers_going_back(const std::vector<Operation>& operations) {
  Seq highest = 0;
  const Operation* teller = nullptr;
  std::vector<Seq> floors(operations.size(), 0);
  std::vector<const Operation*> tellers(operations.size(), nullptr);
  for (const Event& event : events_of(operations)) {
    const Operation& operation = operations[event.operation];
    if (operation.seq == 0) continue;
    if (!event.is_return) {
      floors[event.operation] = highest;
      tellers[event.operation] = teller;
    } else if (operation.seq > highest) {
      highest = operation.seq;
      teller = &operation;
    }
    if (!may_write(operation) || operation.seq > floors[event.operation]) continue;
    return Verdict{.right = false,
                   .why = "a number goes back: " + call_text(operation) + " -> " + result_text(operation),
                   .part = {*tellers[event.operation], operation}};
  }
  return std::nullopt;
}

[[nodiscard]] Verdict wrong_recovery(const KeyHistory& history, std::size_t widest) {
  const Cut& cut = *history.cut;
  Verdict verdict{.right = false, .widest = widest};
  verdict.why = "each operation has an explanation, but not what was recovered with the cut " +
                std::to_string(cut.number) + ": " + to_text(cut.recovered) + "; writes that had returned by " +
                std::to_string(cut.durable_before) + ", and those with sync by " +
                std::to_string(cut.acknowledged_before) + ", had been reported durable; those called after " +
                std::to_string(cut.lost_after) + " came after the crash";
  // The writes around the cut, as far as they told their numbers, and those
  // beyond whose durability had been acknowledged.
  constexpr std::size_t k_shown_before = 24;
  constexpr std::size_t k_shown_after = 8;
  std::vector<Operation> writes;
  std::ranges::copy_if(history.operations, std::back_inserter(writes), may_write);
  std::ranges::sort(writes, {}, &Operation::called);
  std::size_t below = 0;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    if (writes[i].seq != 0 && writes[i].seq < cut.number) below = i + 1;
  }
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const bool near = i + k_shown_before >= below && i < below + k_shown_after;
    const bool acknowledged =
        i >= below && writes[i].called <= cut.lost_after && allowed_numbers(history.cut, writes[i], true).end == 0;
    if (near || acknowledged) verdict.part.push_back(writes[i]);
  }
  return verdict;
}

}  // namespace

Numbers allowed_numbers(const std::optional<Cut>& cut, const Operation& operation, bool past_cut) noexcept {
  constexpr Numbers k_none{.first = 1, .end = 0};
  if (!cut) return {};
  if (!past_cut) return operation.called > cut->lost_after ? k_none : Numbers{.first = 0, .end = cut->number};
  const bool durable =
      operation.returned < cut->durable_before ||
      (operation.sync && operation.outcome == Outcome::done && operation.returned < cut->acknowledged_before);
  return durable ? k_none : Numbers{.first = cut->number};
}

std::vector<State> steps(const std::optional<Cut>& cut, const Place& place, const Operation& operation) {
  std::vector<State> all;
  const Numbers allowed = allowed_numbers(cut, operation, place.past_cut);
  if (!place.owed) {
    if (const auto next = step(place.before, operation, allowed)) all.push_back(*next);
    // One below the cut was passed over at the cut or before it.
    if (place.past_cut && operation.seq != 0 && operation.seq < cut->number) return all;
  }
  if (!place.passed) return all;
  // A number that was durable is below the cut, whatever became of the write.
  if (cut && operation.seq >= cut->number && allowed_numbers(cut, operation, true).end == 0) return all;
  if (const auto next = overtaken(place.before, operation)) all.push_back(*next);
  return all;
}

std::optional<Seq> recovered_number(const Cut& cut, const State& state, const Operation* batch) noexcept {
  const State& found = cut.recovered;
  if (found.present && found.number >= cut.number) return std::nullopt;
  if (batch == nullptr) {
    if (state.number >= cut.number || state.present != found.present) return std::nullopt;
    if (!state.present) return state.exact ? state.number : 0;
    if (state.value != found.value) return std::nullopt;
    const bool fits = state.exact ? state.number == found.number : state.number <= found.number;
    return fits ? std::optional(found.number) : std::nullopt;
  }
  if (!k_batches_may_be_overtaken || found.present != (batch->kind == Kind::batch_put)) return std::nullopt;
  if (found.present && batch->argument != found.value) return std::nullopt;
  const Seq number = batch->seq != 0 ? batch->seq : found.number;
  if (number != 0 && (number >= cut.number || number <= state.number)) return std::nullopt;
  if (found.present && number != found.number) return std::nullopt;
  return allowed_numbers(cut, *batch, false).end == 0 ? std::nullopt : std::optional(number);
}

AtCut at_cut(const Cut& cut, const Operation& batch, Seq recovered) noexcept {
  if (batch.seq == 0 || batch.seq >= cut.number) return AtCut::stays;
  return recovered != 0 && batch.seq >= recovered ? AtCut::contradicts : AtCut::passed_over;
}

Verdict check(const KeyHistory& history) {
  if (auto wrong = numbers_going_back(history.operations)) return *std::move(wrong);
  // The order first, by itself: what is wrong there is told in fewer lines.
  const Search::End order = Search(history.operations, std::nullopt).run({history.before});
  if (!order.right) return wrong_order(history, order);
  if (!history.cut) return {.widest = order.widest};
  const Search::End cut = Search(history.operations, history.cut).run({history.before});
  if (!cut.right) return wrong_recovery(history, cut.widest);
  return {.widest = std::max(order.widest, cut.widest)};
}

}  // namespace actable::lab::history
