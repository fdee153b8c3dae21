#include "tests/lab/history/known.h"

#include "tests/lab/history/brute_force.h"
#include "tests/lab/history/evidence.h"
#include "tests/lab/leg.h"

#include <algorithm>
#include <array>
#include <optional>

namespace actable::lab::history {

namespace {

using test::Random;

/// A right history, made by carrying out each operation at one moment, and
/// letting it begin a little before and end a little after.
class Maker {
 public:
  explicit Maker(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] KeyHistory make(std::size_t operations, unsigned clients) {
    std::vector<Stamp> free_from(clients, 0);
    KeyHistory history;
    std::vector<State> states{state_};
    Stamp now = 100;
    for (std::size_t i = 0; i < operations; ++i) {
      now += 10;
      Operation operation = next_operation();
      // A client whose operation before ended by now can have begun this one.
      const auto client = random_.below(clients);
      now = std::max(now, free_from[client] + 2);
      operation.client = static_cast<std::uint8_t>(client);
      operation.called = std::max(free_from[client] + 1, now - random_.below(60));
      operation.returned = now + 1 + random_.below(60);
      free_from[client] = operation.returned;
      history.operations.push_back(operation);
      states.push_back(state_);
    }
    spread(history.operations);
    if (random_.one_in(2)) history.cut = cut_at(states[random_.below(states.size())]);
    return history;
  }

  [[nodiscard]] Random& random() { return random_; }
  [[nodiscard]] const State& end() const { return state_; }

 private:
  [[nodiscard]] Operation next_operation() {
    Operation operation{.kind = static_cast<Kind>(random_.below(13)), .yes = state_.present};
    const Seq seq = state_.number + 1 + random_.below(5);
    next_value_ += 2 - next_value_ % 2;
    operation.argument = next_value_ + static_cast<Id>(random_.one_in(4));
    next_value_ += 4;
    operation.seen = state_.value;
    bool writes = true;
    std::optional<Id> value = operation.argument;
    switch (operation.kind) {
      case Kind::visit:
      case Kind::scan:
        operation.seq = state_.present ? state_.number : 0;
        writes = false;
        break;
      case Kind::get:
      case Kind::multi_get:
        writes = false;
        break;
      case Kind::put:
      case Kind::batch_put:
        operation.seq = seq;
        break;
      case Kind::batch_erase:
        operation.seq = seq;
        value.reset();
        break;
      case Kind::put_if_absent:
        operation.yes = writes = !state_.present;
        break;
      case Kind::compare_and_set:
        operation.expected = random_.one_in(3) ? state_.number + 1 : state_.present ? state_.number : 0;
        operation.yes = writes = operation.expected == (state_.present ? state_.number : 0);
        break;
      case Kind::add:
        operation.argument = 2;
        operation.yes = writes = !state_.present || is_counter(state_.value);
        operation.seen = *(value = (state_.present ? state_.value : 0) + 2);
        break;
      case Kind::update:
        operation.erases = random_.one_in(4);
        writes = state_.present || !operation.erases;
        operation.seq = writes ? seq : 0;
        if (operation.erases) value.reset();
        break;
      case Kind::erase:
      case Kind::take:
        writes = state_.present;
        value.reset();
        break;
    }
    if (writes) state_ = {.present = value.has_value(), .exact = true, .value = value.value_or(0), .number = seq};
    if (writes && random_.one_in(10)) {
      operation.outcome = Outcome::indeterminate;
      operation.seq = 0;
    }
    return operation;
  }

  /// No two of the stamps the same: what ends and begins at one moment has an
  /// order in the store's histories.
  static void spread(std::vector<Operation>& operations) {
    std::vector<Stamp*> stamps;
    for (Operation& operation : operations) {
      stamps.push_back(&operation.called);
      stamps.push_back(&operation.returned);
    }
    std::ranges::stable_sort(stamps, {}, [](const Stamp* stamp) { return *stamp; });
    for (std::size_t i = 0; i < stamps.size(); ++i) *stamps[i] = i + 1;
  }

  [[nodiscard]] static Cut cut_at(State state) {
    const Seq number = state.number + 1;
    if (!state.present) state = {};
    return {.number = number, .recovered = state};
  }

  Random random_;
  State state_{};
  Id next_value_ = 2;
};

/// Changes something, for better or worse.
void disturb(KeyHistory& history, Random& random) {
  Operation& operation = history.operations[random.below(history.operations.size())];
  const Operation& other = history.operations[random.below(history.operations.size())];
  switch (random.below(9)) {
    case 0:
      operation.yes = !operation.yes;
      break;
    case 1:
      operation.seen = other.seen;
      break;
    case 2:
      operation.argument = other.argument;
      break;
    case 3:
      if (operation.outcome == Outcome::done) operation.seq = other.seq;
      break;
    case 4:
      operation.returned = std::max(operation.called + 1, operation.returned / 2);
      break;
    case 5:
      operation.expected = other.seq;
      break;
    case 6:
      operation.outcome = Outcome::open, operation.returned = k_never, operation.seq = 0;
      break;
    case 7:
      if (history.cut) history.cut->number += random.below(9) - 4;
      break;
    default:
      if (history.cut) history.cut->durable_before = random.below(20);
      break;
  }
}

/// Adds or changes one thing that no order of the operations can explain.
[[nodiscard]] std::string spoil(KeyHistory& history, const State& end, Random& random) {
  Stamp last = 0;
  for (const Operation& operation : history.operations) last = std::max(last, operation.returned);
  Operation more{.client = 9, .yes = true, .called = last + 1, .returned = last + 2};
  history.cut.reset();
  switch (random.below(6)) {
    case 0:
      more.seen = -2;
      history.operations.insert(
          history.operations.begin() + static_cast<std::ptrdiff_t>(random.below(history.operations.size() + 1)), more);
      return "a value that nobody wrote";
    case 1: {
      Operation read = more;
      more.kind = Kind::put;
      more.argument = -6;
      more.seq = end.number + 10;
      read.yes = false;
      read.called += 2;
      read.returned += 2;
      history.operations.push_back(more);
      return history.operations.push_back(read), "a put that is not read";
    }
    case 2:
      more.kind = Kind::put;
      more.seq = 1;
      more.argument = -4;
      return history.operations.push_back(more), "a number below all others";
    case 3: {
      Operation twice = more;
      more.kind = twice.kind = Kind::put_if_absent;
      twice.called += 2;
      twice.returned += 2;
      history.operations.push_back(more);
      return history.operations.push_back(twice), "two creations";
    }
    case 4: {
      Operation twice = more;
      more.kind = twice.kind = Kind::erase;
      twice.returned = more.returned += 5;
      history.operations.push_back(more);
      return history.operations.push_back(twice), "two erasures";
    }
    default: {
      Operation read = more;
      more.kind = Kind::put;
      more.argument = -6;
      more.seq = end.number + 10;
      read.kind = Kind::visit;
      read.seen = -6;
      read.seq = end.number + 11;
      read.called += 2;
      read.returned += 2;
      history.operations.push_back(more);
      return history.operations.push_back(read), "another number than was told";
    }
  }
}

void expect_verdict(const KeyHistory& history, bool right, const std::string& name) {
  const Verdict verdict = check(history);
  if (verdict.right == right) return;
  std::vector<Operation> operations = history.operations;
  std::ranges::sort(operations, {}, &Operation::called);
  throw Found("the checker itself is wrong: it " + std::string(verdict.right ? "accepts" : "rejects") + " \"" + name +
              "\"\n" + verdict.why + "\n" + cut_text(history.cut) + table_text(operations));
}

/// Returns how many of them were wrong.
std::uint64_t compare_with_brute_force(std::uint64_t seed, std::uint64_t histories) {
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < histories; ++i) {
    Maker maker(seed + i);
    const std::size_t operations = 2 + maker.random().below(5);
    KeyHistory history = maker.make(operations, 4);
    expect_verdict(history, true, "a small one that is right");
    for (int changes = 0; changes < 2; ++changes) {
      disturb(history, maker.random());
      const bool right = some_order_explains(history);
      expect_verdict(history, right, "a small one, disturbed");
      if (!right) ++wrong;
    }
  }
  return wrong;
}

void check_long_ones(std::uint64_t seed, std::uint64_t histories) {
  for (std::uint64_t i = 0; i < histories; ++i) {
    Maker maker(seed + i);
    KeyHistory history = maker.make(300, 8);
    expect_verdict(history, true, "a long one that is right");
    const std::string spoilt = spoil(history, maker.end(), maker.random());
    expect_verdict(history, false, "a long one, spoilt by: " + spoilt);
  }
}

}  // namespace

std::uint64_t check_the_checker(std::uint64_t seed) {
  std::array<std::uint64_t, 2> by_hand{};
  for (const Known& known : known_by_hand()) {
    expect_verdict(known.history, known.right, known.name);
    require(some_order_explains(known.history) == known.right, "trying every order is wrong on \"" + known.name + "\"");
    ++by_hand[std::size_t{known.right}];
  }
  require(std::ranges::min(by_hand) >= 20, "too few histories by hand");
  constexpr std::uint64_t k_small = 20'000;
  constexpr std::uint64_t k_long = 500;
  const std::uint64_t small = test::scaled(k_small);
  const std::uint64_t wrong = compare_with_brute_force(seed, small);
  require(wrong > small / 10 && wrong < 2 * small, "the small histories are too much alike to check a checker with");
  check_long_ones(seed, test::scaled(k_long));
  return by_hand[0] + by_hand[1] + 3 * small + 2 * test::scaled(k_long);
}

}  // namespace actable::lab::history
