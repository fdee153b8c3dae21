#include "tests/lab/history/client.h"

#include "tests/lab/history/value.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <sched.h>

namespace actable::lab::history {

namespace {

/// Of the writes, one in so many waits for the disk.
constexpr std::uint64_t k_writes_a_sync = 96;

}  // namespace

Scene::Scene(Store& opened, std::array<Space, 2> both, std::vector<std::string> hot)
    : store(opened), spaces(std::move(both)), keys(std::move(hot)) {
  for (std::size_t i = 0; i < keys.size(); ++i) key_numbers[keys[i]] = i;
}

Client::Client(Scene& scene, std::uint64_t life, std::uint8_t number, std::uint64_t seed)
    : scene_(scene),
      random_(seed + number),
      number_(number),
      next_value_(static_cast<Id>((life * 16 + number) << 40)),
      seen_(scene.keys.size(), 0) {}

/// Half of the operations go to the first two keys.
std::size_t Client::choose_key() { return random_.below(random_.one_in(2) ? 2 : scene_.keys.size()); }

/// Far enough from the next one that a counter does not come there by adding.
Id Client::new_value() {
  next_value_ += Id{1} << 20;
  return next_value_ + static_cast<Id>(random_.one_in(4));
}

Operation Client::begin(Kind kind) { return {.kind = kind, .client = number_, .called = scene_.stamp()}; }

WriteOptions Client::options(Operation& operation) {
  operation.sync = random_.one_in(k_writes_a_sync);
  return {.durability = operation.sync ? Durability::sync : Durability::async};
}

/// True when there is something to note: not when the store refused, for then
/// nothing may have changed.
template <class T>
bool Client::end(Operation& operation, const Result<T>& result) {
  operation.returned = scene_.stamp();
  if (result) return true;
  const Error& error = result.error();
  switch (error.code) {
    case ErrorCode::indeterminate:
      require(operation.sync, "an operation that waits for no disk was indeterminate: " + error.message);
      operation.outcome = Outcome::indeterminate;
      return true;
    case ErrorCode::invalid_argument:
      require(operation.kind == Kind::add, "refused as invalid: " + error.message);
      return true;
    case ErrorCode::closed:
      closed_ = true;
      return false;
    case ErrorCode::read_only:
    case ErrorCode::overloaded:
      return false;
    default:
      throw Found("an operation failed as it never may: " + error.message);
  }
}

void Client::note(std::size_t key, const Operation& operation) {
  if (may_write(operation)) last_told_ = std::max(last_told_, operation.seq);
  notes_.push_back({key, operation});
}

void Client::get(std::size_t key) {
  std::string value;
  Operation operation = begin(Kind::get);
  const Result<bool> found = scene_.space_of(key).get(scene_.keys[key], value);
  if (!end(operation, found)) return;
  operation.yes = *found;
  if (*found) operation.seen = decode(value);
  note(key, operation);
}

void Client::visit(std::size_t key) {
  Operation operation = begin(Kind::visit);
  const auto look = [&](const Entry& entry) {
    operation.seen = decode(entry.value);
    operation.seq = entry.seq;
    if (!random_.one_in(8)) return;
    sched_yield();
    require(decode(entry.value) == operation.seen && entry.seq == operation.seq, "a record changed under a visitor");
  };
  const Result<bool> found = scene_.space_of(key).visit(scene_.keys[key], look);
  if (!end(operation, found)) return;
  operation.yes = *found;
  seen_[key] = operation.seq;
  note(key, operation);
}

/// The key and others of its space.
void Client::multi_get(std::size_t key) {
  std::vector<std::size_t> numbers;
  std::vector<std::string_view> keys;
  for (std::size_t i = key; i < scene_.keys.size(); i += scene_.spaces.size()) {
    numbers.push_back(i);
    keys.push_back(scene_.keys[i]);
  }
  std::vector<std::optional<std::string>> values(keys.size());
  Operation operation = begin(Kind::multi_get);
  const Result<std::size_t> found = scene_.space_of(key).multi_get(keys, values);
  if (!end(operation, found)) return;
  const auto there = std::ranges::count_if(values, [](const auto& value) { return value.has_value(); });
  require(*found == static_cast<std::size_t>(there), "multi_get counted wrong");
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    operation.yes = values[i].has_value();
    operation.seen = operation.yes ? decode(*values[i]) : 0;
    note(numbers[i], operation);
  }
}

/// What a cursor shows was there at some moment of the whole walk. What it does
/// not show says nothing: the key was written meanwhile.
void Client::scan(std::size_t key) {
  Operation operation = begin(Kind::scan);
  operation.yes = true;
  std::map<std::size_t, Operation> shown;
  Cursor cursor = scene_.space_of(key).scan();
  Result<bool> more = cursor.next();
  for (; more && *more; more = cursor.next()) {
    const auto number = scene_.key_numbers.find(cursor.entry().key);
    if (number == scene_.key_numbers.end()) continue;
    operation.seen = decode(cursor.entry().value);
    operation.seq = cursor.entry().seq;
    require(shown.emplace(number->second, operation).second, "a scan showed a key twice");
  }
  if (!end(operation, more)) return;
  for (auto& [number, one] : shown) {
    one.returned = operation.returned;
    note(number, one);
  }
}

void Client::put(std::size_t key) {
  Operation operation = begin(Kind::put);
  operation.argument = new_value();
  const Result<Seq> put = scene_.space_of(key).put(scene_.keys[key], encode(operation.argument), options(operation));
  if (!end(operation, put)) return;
  operation.seq = put.value_or(0);
  note(key, operation);
}

void Client::erase(std::size_t key) {
  Operation operation = begin(Kind::erase);
  const Result<bool> found = scene_.space_of(key).erase(scene_.keys[key], options(operation));
  if (!end(operation, found)) return;
  operation.yes = found.value_or(true);
  note(key, operation);
}

void Client::put_if_absent(std::size_t key) {
  Operation operation = begin(Kind::put_if_absent);
  operation.argument = new_value();
  const Result<bool> won =
      scene_.space_of(key).put_if_absent(scene_.keys[key], encode(operation.argument), options(operation));
  if (!end(operation, won)) return;
  operation.yes = won.value_or(true);
  note(key, operation);
}

void Client::compare_and_set(std::size_t key) {
  if (random_.one_in(2)) visit(key);
  Operation operation = begin(Kind::compare_and_set);
  operation.argument = new_value();
  operation.expected = seen_[key];
  const Result<bool> won = scene_.space_of(key).compare_and_set(scene_.keys[key], operation.expected,
                                                                encode(operation.argument), options(operation));
  if (!end(operation, won)) return;
  operation.yes = won.value_or(true);
  note(key, operation);
}

void Client::add(std::size_t key) {
  Operation operation = begin(Kind::add);
  operation.argument = static_cast<Id>(2 + 2 * random_.below(500));
  const Result<std::int64_t> sum = scene_.space_of(key).add(scene_.keys[key], operation.argument, options(operation));
  if (!end(operation, sum)) return;
  operation.yes = sum.has_value() || operation.outcome == Outcome::indeterminate;
  operation.seen = sum.value_or(0);
  note(key, operation);
}

void Client::update(std::size_t key) {
  Operation operation = begin(Kind::update);
  operation.argument = new_value();
  operation.erases = random_.one_in(4);
  const bool yields = random_.one_in(8);
  const auto change = [&](std::optional<std::string_view> old) -> std::optional<std::string> {
    operation.yes = old.has_value();
    operation.seen = old ? decode(*old) : 0;
    if (yields) sched_yield();
    if (operation.erases) return std::nullopt;
    return encode(operation.argument);
  };
  const Result<Seq> seq = scene_.space_of(key).update(scene_.keys[key], change, options(operation));
  if (!end(operation, seq)) return;
  operation.seq = seq.value_or(0);
  note(key, operation);
}

void Client::take(std::size_t key) {
  Operation operation = begin(Kind::take);
  const Result<std::optional<std::string>> taken = scene_.space_of(key).take(scene_.keys[key], options(operation));
  if (!end(operation, taken)) return;
  operation.yes = !taken || taken->has_value();
  if (taken && *taken) operation.seen = decode(**taken);
  note(key, operation);
}

/// One to six writes, over both spaces. Of those to one key the last counts.
void Client::batch() {
  Batch batch;
  std::map<std::size_t, Operation> parts;
  for (std::uint64_t left = 1 + random_.below(6); left > 0; --left) {
    const std::size_t key = choose_key();
    Operation part{.kind = random_.one_in(3) ? Kind::batch_erase : Kind::batch_put};
    if (part.kind == Kind::batch_put) part.argument = new_value();
    const Result<void> added = part.kind == Kind::batch_put
                                   ? batch.put(scene_.space_of(key), scene_.keys[key], encode(part.argument))
                                   : batch.erase(scene_.space_of(key), scene_.keys[key]);
    require(added.has_value(), "a batch refused a write");
    parts[key] = part;
  }
  Operation whole = begin(Kind::batch_put);
  const Result<Seq> seq = scene_.store.write(batch, options(whole));
  if (!end(whole, seq)) return;
  for (const auto& [key, part] : parts) {
    whole.kind = part.kind;
    whole.argument = part.argument;
    whole.seq = seq.value_or(0);
    note(key, whole);
  }
}

void Client::ask_for_durability() {
  Promise promise{.called = scene_.stamp()};
  switch (random_.below(3)) {
    case 0: {
      const Result<Seq> synced = scene_.store.sync();
      if (!synced) return;
      require(*synced >= last_told_, "sync returned a number below that of a write that had returned");
      promise.durable = *synced;
      promise.all_returned = true;
      break;
    }
    case 1:
      if (last_told_ == 0 || !scene_.store.wait_durable(last_told_)) return;
      promise.durable = last_told_;
      break;
    default:
      require(scene_.store.last_seq() >= last_told_, "last_seq is below the number of a write that had returned");
      promise.durable = scene_.store.durable_seq();
      break;
  }
  promise.returned = scene_.stamp();
  promises_.push_back(promise);
}

void Client::read_one(std::size_t key) {
  switch (random_.below(4)) {
    case 0:
      return visit(key);
    case 1:
      return random_.one_in(200) ? scan(key) : multi_get(key);
    default:
      return get(key);
  }
}

void Client::write_one(std::size_t key) {
  switch (random_.below(10)) {
    case 0:
      return put(key);
    case 1:
      return erase(key);
    case 2:
      return put_if_absent(key);
    case 3:
    case 4:
      return compare_and_set(key);
    case 5:
    case 6:
      return add(key);
    case 7:
      return update(key);
    case 8:
      return take(key);
    default:
      return scene_.store_may_be_called ? batch() : put(key);
  }
}

void Client::do_one() {
  if (closed_) return;
  if (scene_.store_may_be_called && random_.one_in(200)) ask_for_durability();
  const std::size_t key = choose_key();
  random_.below(3) == 0 ? read_one(key) : write_one(key);
}

}  // namespace actable::lab::history
