#include "tests/store/walk.h"

#include <algorithm>
#include <vector>

namespace actable::test {
namespace {

constexpr std::array<const char*, 2> k_space_names{"one", "two"};
constexpr std::int64_t k_delta_max = std::int64_t{1} << 62;

}  // namespace

void Walk::use(Store& store) {
  store_ = &store;
  for (std::size_t i = 0; i < spaces_.size(); ++i) spaces_[i] = must(store.space(k_space_names[i]));
}

void Walk::step() {
  turn();
  // Of 100 operations; reads are fewer than in life because each write is read
  // back anyway. More is written than erased, so the table grows at first.
  const std::uint64_t kind = random_.below(100);
  if (kind < 24)
    put();
  else if (kind < 40)
    get();
  else if (kind < 48)
    visit();
  else if (kind < 51)
    multi_get();
  else if (kind < 64)
    erase();
  else if (kind < 72)
    put_if_absent();
  else if (kind < 79)
    compare_and_set();
  else if (kind < 86)
    add();
  else if (kind < 93)
    update();
  else if (kind < 97)
    take();
  else
    batch();
  ++steps_;
}

std::string Walk::some_key() {
  // A key's number decides its bytes and its length, so that keys are met again.
  const std::uint64_t number = random_.below(plan_.keys);
  Random shape(number * 0x2545f4914f6cdd1dU + plan_.lane);
  const auto first = static_cast<char>(shape.below(256 / plan_.lanes) * plan_.lanes + plan_.lane);
  std::size_t bytes = 9 + shape.below(24);
  if (number % 1'000 == 1)
    bytes = k_key_bytes_max - shape.below(2);
  else if (number % 500 == 2)
    bytes = 9 + shape.skewed(4'000);
  else if (number % 200 == 3)
    bytes = 1;
  std::string key(bytes, first);
  for (std::size_t at = 1; at < bytes; at += 8) {
    const std::uint64_t word = at == 1 ? number : shape();
    for (std::size_t i = 0; i < 8 && at + i < bytes; ++i) key[at + i] = static_cast<char>(word >> (8 * i));
  }
  return key;
}

std::string Walk::some_value() {
  if (random_.one_in(10'000)) return sealed(random_(), k_value_bytes_max - random_.below(2));
  if (random_.one_in(400)) return sealed(random_(), 8 + random_.skewed(100'000));
  if (random_.one_in(20)) return counter_bytes(some_delta());
  const std::size_t bytes = random_.skewed(250);
  return bytes < 8 ? std::string(bytes, 'x') : sealed(random_(), bytes);
}

std::int64_t Walk::some_delta() {
  // Large enough, often enough, that sums overflow now and then.
  const auto size = static_cast<std::int64_t>(random_.skewed(static_cast<std::size_t>(k_delta_max)));
  return random_.one_in(2) ? size : -size;
}

WriteOptions Walk::some_options() {
  return plan_.sync_one_in != 0 && random_.one_in(plan_.sync_one_in) ? k_sync : WriteOptions{};
}

bool Walk::mine(std::string_view key) const { return static_cast<unsigned char>(key[0]) % plan_.lanes == plan_.lane; }

void Walk::numbered(const std::string& key, Seq seq) {
  expect(model().numbered(key, seq), "a write is not numbered above an earlier one to its key");
  last_ = std::max(last_, seq);
}

void Walk::numbered_as_stored(const std::string& key) {
  const auto record = held(space(), key);
  expect(record.has_value(), "a key just written is absent");
  expect(record->value == model().get(key), "a key just written holds something else");
  numbered(key, record->seq);
}

void Walk::put() {
  const std::string key = some_key();
  std::string value = some_value();
  const Seq seq = must(space().put(key, value, some_options()));
  model().put(key, std::move(value));
  numbered(key, seq);
}

void Walk::get() {
  const std::string key = some_key();
  const std::optional<std::string> due = model().get(key);
  if (random_.one_in(2)) {
    expect(must(space().get(key)) == due, "get gave something else");
  } else {
    std::string value = "untouched";
    expect(must(space().get(key, value)) == due.has_value(), "get into a string found otherwise");
    expect(value == due.value_or("untouched"), "get into a string gave something else");
  }
}

void Walk::visit() {
  const std::string key = some_key();
  bool called = false;
  const bool found = must(space().visit(key, [&](const Entry& entry) {
    called = true;
    expect(entry.key == key, "visit showed another key");
    expect(entry.value == model().get(key), "visit showed something else");
    expect(entry.seq == model().seq(key), "visit showed another number");
  }));
  expect(found == called && found == model().get(key).has_value(), "visit found otherwise");
}

void Walk::multi_get() {
  std::vector<std::string> keys(random_.below(20));
  std::ranges::generate(keys, [&] { return some_key(); });
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  std::vector<std::optional<std::string>> values(keys.size(), "old");
  const std::size_t found = must(space().multi_get(views, values));
  std::size_t due = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    expect(values[i] == model().get(keys[i]), "multi_get gave something else");
    due += values[i].has_value();
  }
  expect(found == due, "multi_get counted otherwise");
}

void Walk::erase() {
  const std::string key = some_key();
  expect(must(space().erase(key, some_options())) == model().erase(key), "erase found otherwise");
}

void Walk::put_if_absent() {
  const std::string key = some_key();
  std::string value = some_value();
  const bool done = must(space().put_if_absent(key, value, some_options()));
  expect(done == model().put_if_absent(key, std::move(value)), "put_if_absent found otherwise");
  if (done) numbered_as_stored(key);
}

void Walk::compare_and_set() {
  const std::string key = some_key();
  std::string value = some_value();
  const Seq present = model().seq(key);
  const Seq expected = random_.one_in(3) ? present + 1 : random_.one_in(5) ? 0 : present;
  const bool done = must(space().compare_and_set(key, expected, value, some_options()));
  expect(done == model().compare_and_set(key, expected, std::move(value)), "compare_and_set found otherwise");
  if (done) numbered_as_stored(key);
}

void Walk::add() {
  const std::string key = some_key();
  const std::int64_t delta = some_delta();
  const auto sum = space().add(key, delta, some_options());
  const auto due = model().add(key, delta);
  expect(due ? sum.has_value() && *sum == *due : outcome(sum) == "invalid_argument", "add gave something else");
  if (due) numbered_as_stored(key);
}

void Walk::update() {
  const std::string key = some_key();
  const std::optional<std::string> old = model().get(key);
  std::optional<std::string> next;
  if (!random_.one_in(4)) next = some_value();
  const Seq seq = must(space().update(
      key,
      [&](std::optional<std::string_view> seen) {
        expect(seen == old, "update was shown something else");
        return next;
      },
      some_options()));
  expect((seq == 0) == (!old && !next), "update numbered nothing, or did not number something");
  if (next)
    model().put(key, *next);
  else
    model().erase(key);
  if (seq != 0) numbered(key, seq);
}

void Walk::take() {
  const std::string key = some_key();
  expect(must(space().take(key, some_options())) == model().take(key), "take gave something else");
}

void Walk::batch() {
  Batch batch;
  std::vector<std::pair<std::size_t, std::string>> touched;
  const std::uint64_t writes = random_.below(12);
  for (std::uint64_t i = 0; i < writes; ++i) {
    turn();
    const std::string key = some_key();
    if (random_.one_in(3)) {
      must(batch.erase(space(), key));
      model().erase(key);
    } else {
      std::string value = some_value();
      must(batch.put(space(), key, value));
      model().put(key, std::move(value));
    }
    touched.emplace_back(at_, key);
  }
  const Seq seq = must(store_->write(batch, some_options()));
  expect((seq == 0) == touched.empty(), "a batch has a number if it holds anything");
  // A key named twice has one number.
  std::ranges::sort(touched);
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const auto& [at, key] : touched) {
    at_ = at;
    numbered(key, seq);
  }
}

void Walk::compare_all() const {
  for (std::size_t at = 0; at < spaces_.size(); ++at) {
    std::size_t seen = 0;
    for (const auto& [key, record] : content(*spaces_[at])) {
      if (!mine(key)) continue;
      const auto due = models_[at].live().find(key);
      expect(due != models_[at].live().end(), "a scan found a key that is not there");
      expect(due->second.value == record.value, "a scan found something else");
      expect(due->second.seq == record.seq, "a scan found another number");
      ++seen;
    }
    expect(seen == models_[at].size(), "a scan missed a key");
    if (plan_.lanes == 1) expect(spaces_[at]->size() == models_[at].size(), "size is not the number of keys");
  }
}

}  // namespace actable::test
