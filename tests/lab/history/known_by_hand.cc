#include "tests/lab/history/known.h"

#include <utility>

/// Values are small numbers here, even where they are counters; sequence
/// numbers are written in the tens.
namespace actable::lab::history {

namespace {

using Operations = std::vector<Operation>;

Operation get(Id seen) { return {.kind = Kind::get, .yes = true, .seen = seen}; }
Operation get_nothing() { return {.kind = Kind::get}; }
Operation visit(Id seen, Seq seq) { return {.kind = Kind::visit, .yes = true, .seen = seen, .seq = seq}; }
Operation put(Id value, Seq seq) { return {.kind = Kind::put, .argument = value, .seq = seq}; }
Operation erase(bool found) { return {.kind = Kind::erase, .yes = found}; }
Operation put_if_absent(Id value, bool won) { return {.kind = Kind::put_if_absent, .yes = won, .argument = value}; }
Operation cas(Seq expected, Id value, bool won) {
  return {.kind = Kind::compare_and_set, .yes = won, .argument = value, .expected = expected};
}
Operation add(Id summand, Id sum) { return {.kind = Kind::add, .yes = true, .argument = summand, .seen = sum}; }
Operation add_refused(Id summand) { return {.kind = Kind::add, .argument = summand}; }
Operation update(Id old, Id value, Seq seq) {
  return {.kind = Kind::update, .yes = true, .argument = value, .seen = old, .seq = seq};
}
Operation update_of_nothing(Id value, Seq seq) { return {.kind = Kind::update, .argument = value, .seq = seq}; }
Operation take(Id seen) { return {.kind = Kind::take, .yes = true, .seen = seen}; }
Operation take_nothing() { return {.kind = Kind::take}; }
Operation batch_put(Id value, Seq seq) { return {.kind = Kind::batch_put, .argument = value, .seq = seq}; }
Operation batch_erase(Seq seq) { return {.kind = Kind::batch_erase, .seq = seq}; }
Operation open(Operation operation) {
  operation.outcome = Outcome::open;
  return operation;
}
Operation indeterminate(Operation operation) {
  operation.outcome = Outcome::indeterminate;
  operation.seq = 0;
  return operation;
}
Operation synced(Operation operation) {
  operation.sync = true;
  return operation;
}

Operation by(std::uint8_t client, Stamp called, Stamp returned, Operation operation) {
  operation.client = client;
  operation.called = called;
  operation.returned = operation.outcome == Outcome::open ? k_never : returned;
  return operation;
}

/// One after the other.
Operations in_turn(Operations operations) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    operations[i] = by(static_cast<std::uint8_t>(i % 8), 10 * i + 1, 10 * i + 5, operations[i]);
  }
  return operations;
}

/// All at the same time.
Operations at_once(Operations operations) {
  for (std::size_t i = 0; i < operations.size(); ++i) {
    operations[i] = by(static_cast<std::uint8_t>(i), i + 1, 100 + i, operations[i]);
  }
  return operations;
}

/// All at the same time, then one after the other.
Operations first_at_once(Operations together, Operations then) {
  Operations operations = at_once(std::move(together));
  for (std::size_t i = 0; i < then.size(); ++i) operations.push_back(by(9, 200 + 10 * i, 205 + 10 * i, then[i]));
  return operations;
}

class List {
 public:
  void good(std::string name, Operations operations) { add(std::move(name), true, std::move(operations), {}); }
  void bad(std::string name, Operations operations) { add(std::move(name), false, std::move(operations), {}); }
  void add(std::string name, bool right, Operations operations, std::optional<Cut> cut) {
    all.push_back({std::move(name), right, {.operations = std::move(operations), .cut = cut}});
  }

  std::vector<Known> all;
};

void reads(List& list) {
  list.good("a key begins absent", in_turn({get_nothing()}));
  list.good("a put is read", in_turn({put(2, 10), get(2), visit(2, 10)}));
  list.good("a read beside a put sees either", at_once({put(2, 10), get(2), get_nothing()}));
  list.good("an operation without result was none", {by(0, 1, 0, open(put(2, 0))), by(1, 5, 6, get_nothing())});
  list.good("an operation without result took effect late",
            {by(0, 1, 0, open(put(2, 0))), by(1, 5, 6, get_nothing()), by(1, 7, 8, get(2))});
  list.bad("a value that nobody wrote", in_turn({get(2)}));
  list.bad("a stale read", in_turn({put(2, 10), put(4, 20), get(2)}));
  list.bad("a put that is not read", in_turn({put(2, 10), get_nothing()}));
  list.bad("a read of the future", in_turn({get(2), put(2, 10)}));
  list.bad("reads that go back", first_at_once({put(2, 10), put(4, 20)}, {get(4), get(2)}));
  list.bad("reads that go back beside the put",
           {by(0, 1, 50, put(2, 10)), by(1, 5, 6, get(2)), by(2, 7, 8, get_nothing())});
  list.bad("an operation without result that took effect and then did not",
           {by(0, 1, 0, open(put(2, 0))), by(1, 5, 6, get(2)), by(1, 7, 8, get_nothing())});
}

void numbers(List& list) {
  list.good("numbers rise", in_turn({put(2, 10), put(4, 20), visit(4, 20)}));
  list.good("numbers decide the order of puts at once", first_at_once({put(2, 20), put(4, 10)}, {visit(2, 20)}));
  list.bad("a number that goes back", in_turn({put(2, 20), put(4, 10)}));
  list.bad("a number twice", in_turn({put(2, 10), put(4, 10)}));
  list.bad("a later number that was replaced", first_at_once({put(2, 20), put(4, 10)}, {get(4)}));
  list.bad("a record with another number", in_turn({put(2, 10), visit(2, 11)}));
  list.bad("a number below that of an erased record", in_turn({put(2, 20), erase(true), put(4, 15)}));
  list.bad("no room for the number of an erasure", in_turn({put(2, 20), erase(true), put(4, 21)}));
  list.bad("a record whose number changes", in_turn({put_if_absent(2, true), visit(2, 10), visit(2, 12)}));
}

void erasures(List& list) {
  list.good("one of two erasures finds it", first_at_once({erase(true), erase(false), put(2, 10)}, {get_nothing()}));
  list.good("one of two takers gets it", in_turn({put(2, 10), take(2), take_nothing()}));
  list.bad("two erasures find it", in_turn({put(2, 10), erase(true), erase(true)}));
  list.bad("two takers get it", first_at_once({put(2, 10), take(2), take(2)}, {}));
  list.bad("an erased key comes back", in_turn({put(2, 10), erase(true), get(2)}));
  list.bad("an erasure that misses what is there", in_turn({put(2, 10), erase(false)}));
  list.bad("a taker gets another value", in_turn({put(2, 10), put(4, 20), take(2)}));
}

void conditions(List& list) {
  list.good("one of two creators wins", first_at_once({put_if_absent(2, true), put_if_absent(4, false)}, {get(2)}));
  list.good("a creator wins again after an erasure",
            in_turn({put_if_absent(2, true), erase(true), put_if_absent(4, true), get(4)}));
  list.good("a swap by number wins once", in_turn({put(2, 10), cas(10, 4, true), cas(10, 6, false), get(4)}));
  list.good("a swap for an absent key", in_turn({cas(0, 2, true), cas(0, 4, false), get(2)}));
  list.bad("two winners of put_if_absent", first_at_once({put_if_absent(2, true), put_if_absent(4, true)}, {}));
  list.bad("two losers of put_if_absent", first_at_once({put_if_absent(2, false), put_if_absent(4, false)}, {}));
  list.bad("a dirty read after a lost swap", in_turn({put(2, 10), cas(9, 4, false), get(4)}));
  list.bad("two winners of one number", first_at_once({put(2, 10), cas(10, 4, true), cas(10, 6, true)}, {}));
  list.bad("a swap that loses although the number is right", in_turn({put(2, 10), cas(10, 4, false)}));
  list.bad("a swap for an absent key that was there", in_turn({put(2, 10), cas(0, 4, true)}));
  list.bad("a swap of a number that was replaced", in_turn({put(2, 10), put(4, 20), cas(10, 6, true)}));
}

void read_modify_writes(List& list) {
  list.good("a counter counts", first_at_once({add(2, 2), add(4, 6), add(6, 12)}, {get(12)}));
  list.good("a value that is no counter refuses", in_turn({put(3, 10), add_refused(2), get(3)}));
  list.good("updates follow each other",
            first_at_once({update_of_nothing(2, 10), update(2, 4, 20), update(4, 6, 30)}, {visit(6, 30)}));
  list.bad("a lost update", first_at_once({put(2, 10), update(2, 4, 20), update(2, 6, 30)}, {}));
  list.bad("a lost addition", first_at_once({add(2, 2), add(4, 4)}, {}));
  list.bad("an addition that is gone", in_turn({add(2, 2), add(4, 6), get(2)}));
  list.bad("a counter that was refused", in_turn({put(2, 10), add_refused(2)}));
  list.bad("an update whose number is below what it replaced", in_turn({put(2, 20), update(2, 4, 10)}));
  list.bad("an update of a value that was erased", in_turn({put(2, 10), erase(true), update(2, 4, 20)}));
}

void batches(List& list) {
  list.good("a batch beside a put, overtaken", first_at_once({batch_put(2, 10), put(4, 20)}, {visit(4, 20)}));
  list.good("a batch that erases nothing", in_turn({batch_erase(10), get_nothing(), put(2, 20)}));
  list.good("a batch that erases", first_at_once({put(2, 10), batch_erase(20)}, {get_nothing()}));
  list.add("a batch overtaken by an update that did not see it", k_batches_may_be_overtaken,
           first_at_once({put(2, 10), batch_put(4, 20), update(2, 6, 30)}, {get(6)}), {});
  list.add("an overtaken batch is found when what overtook it is lost", k_batches_may_be_overtaken,
           at_once({put(2, 10), batch_put(4, 20), update(2, 6, 30)}),
           Cut{.number = 25, .recovered = {.present = true, .exact = true, .value = 4, .number = 20}});
  list.bad("a batch overtaken by what had returned before", in_turn({put(2, 20), batch_put(4, 10), get(2)}));
  list.bad("a batch overtaken by nothing", first_at_once({put(2, 10), batch_put(4, 20)}, {get(2)}));
  list.bad("a batch that puts back what is newer", first_at_once({batch_put(2, 10), put(4, 20)}, {get(2)}));
  list.bad("a batch that is not there", in_turn({batch_put(2, 10), get_nothing()}));
  list.bad("a write numbered below a batch that erased nothing", in_turn({batch_erase(20), get_nothing(), put(2, 10)}));
  list.bad("a batch that erased nothing of what was there", in_turn({put(2, 10), batch_erase(20), get(2)}));
}

void unknown_outcomes(List& list) {
  list.good("an indeterminate write is visible", in_turn({indeterminate(put(2, 0)), visit(2, 10)}));
  list.good("an indeterminate addition counts", in_turn({put(2, 10), indeterminate(add(4, 0)), get(6)}));
  list.bad("an indeterminate write that is not visible", in_turn({indeterminate(put(2, 0)), get_nothing()}));
  list.bad("an indeterminate erasure of nothing", in_turn({indeterminate(erase(true))}));
  list.bad("an operation without result took effect twice",
           {by(0, 1, 0, open(add(2, 0))), by(1, 5, 6, get(2)), by(1, 7, 8, get(4))});
}

void recoveries(List& list) {
  const Operations puts = in_turn({put(2, 10), put(4, 20), put(6, 30)});
  const State second{.present = true, .exact = true, .value = 4, .number = 20};
  list.add("all below the cut, nothing above", true, puts, Cut{.number = 25, .recovered = second});
  list.add("nothing below the cut", true, puts, Cut{.number = 10});
  list.add("a write below the cut is lost", false, puts, Cut{.number = 31, .recovered = second});
  list.add("a write above the cut is there", false, puts, Cut{.number = 20, .recovered = second});
  list.add("a value comes back with another number", false, puts,
           Cut{.number = 25, .recovered = {.present = true, .exact = true, .value = 4, .number = 19}});
  list.add("a write reported durable is lost", false, puts,
           Cut{.number = 25, .recovered = second, .durable_before = 26});
  list.add("a write from after the crash is there", false, puts,
           Cut{.number = 25, .recovered = second, .lost_after = 7});
  const Operations erased = in_turn({put(2, 10), synced(erase(true))});
  list.add("an erasure is lost", true, erased,
           Cut{.number = 11, .recovered = {.present = true, .exact = true, .value = 2, .number = 10}});
  list.add("an erasure is kept", true, erased, Cut{.number = 12, .acknowledged_before = 100});
  list.add("an erased key comes back with the crash", false, erased,
           Cut{.number = 12,
               .recovered = {.present = true, .exact = true, .value = 2, .number = 10},
               .acknowledged_before = 100});
  const Operations unknown = in_turn({put(2, 10), open(put(4, 0))});
  list.add("an operation without result is found after the crash", true, unknown,
           Cut{.number = 25, .recovered = second});
  list.add("an operation without result is lost in the crash", true, unknown,
           Cut{.number = 25, .recovered = {.present = true, .exact = true, .value = 2, .number = 10}});
  list.add("a batch overtaken by what is lost", true, at_once({batch_put(2, 10), put(4, 20)}),
           Cut{.number = 15, .recovered = {.present = true, .exact = true, .value = 2, .number = 10}});
}

}  // namespace

std::vector<Known> known_by_hand() {
  List list;
  reads(list);
  numbers(list);
  erasures(list);
  conditions(list);
  read_modify_writes(list);
  batches(list);
  unknown_outcomes(list);
  recoveries(list);
  return std::move(list.all);
}

}  // namespace actable::lab::history
