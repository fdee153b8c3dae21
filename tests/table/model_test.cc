// Random operations against a plain map.

#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <unordered_map>

using namespace actable;
using namespace actable::test;

namespace {

/// Key number `i`, always the same: 1 byte to 64 KiB, most of them short.
std::string key_of(std::uint64_t i) {
  Random random(i);
  if (i < 200) return std::string(1, static_cast<char>(i));
  const std::size_t bytes = 8 + (random.one_in(200) ? random.below(k_key_bytes_max - 7) : random.below(40));
  std::string key(bytes, '\0');
  for (std::size_t at = 0; at + 8 <= bytes; at += 8) {
    const std::uint64_t word = random();
    std::memcpy(key.data() + at, &word, sizeof word);
  }
  std::memcpy(key.data(), &i, sizeof i);
  return key;
}

/// A table and what it should hold.
class Pair {
 public:
  explicit Pair(std::uint64_t keys_max) : keys_max_(keys_max) {}

  /// One random operation; `puts` of 100 are writes, as many as are left erasures.
  void step(Random& random, std::uint64_t puts) {
    const std::uint64_t i = random.below(keys_max_);
    const std::string key = key_of(i);
    if (random.one_in(3)) {
      const auto due = model_.find(i);
      const std::optional<Held> found = table_.find(key);
      if (found.has_value() != (due != model_.end())) FAIL("key " << i << " is " << (found ? "there" : "missing"));
      if (found && *found != due->second) FAIL("key " << i << " has another value or number");
    } else if (random.below(100) < puts) {
      const std::string value(random.skewed(random.one_in(1'000) ? 20'000 : 200), static_cast<char>(random()));
      const Seq seq = table_.put(key, value);
      numbered(i, seq);
      model_[i] = Held{value, seq};
    } else {
      const Seq seq = table_.erase(key);
      if ((seq != 0) != (model_.erase(i) == 1)) FAIL("an erasure of key " << i << " found it where it was not");
      if (seq != 0) numbered(i, seq);
    }
  }

  void compare() {
    Content due;
    for (const auto& [i, held] : model_) due.emplace(key_of(i), held);
    CHECK(differs_from(table_, due) == "");
  }

  [[nodiscard]] Table& table() noexcept { return table_; }
  [[nodiscard]] std::size_t size() const noexcept { return model_.size(); }

 private:
  /// The numbers of one key rise, over erasures too.
  void numbered(std::uint64_t i, Seq seq) {
    Seq& last = numbers_[i];
    if (seq <= last) FAIL("key " << i << " was numbered " << seq << " after " << last);
    last = seq;
  }

  const std::uint64_t keys_max_;
  Table table_;
  std::unordered_map<std::uint64_t, Held> model_;
  std::unordered_map<std::uint64_t, Seq> numbers_;
};

}  // namespace

TEST_CASE("a million random operations leave what a plain map holds", "[model]") {
  Random random(seed());
  Pair pair(40'000);
  // It grows, shrinks to tombstones, and grows again.
  for (const std::uint64_t puts : {90U, 10U, 60U, 5U, 95U}) {
    for (std::uint64_t i = 0; i < scaled(220'000); ++i) pair.step(random, puts);
    INFO(pair.size() << " keys");
    pair.compare();
  }
  CHECK(pair.table().stats().splits > 0);
}

TEST_CASE("a small table whose keys come and go holds what a plain map holds", "[model]") {
  Random random(seed());
  Pair pair(2'000);
  for (std::uint64_t round = 0; round < 10; ++round) {
    for (std::uint64_t i = 0; i < scaled(20'000); ++i) pair.step(random, 30);
    pair.table().epochs.advance();
    pair.compare();
  }
}

TEST_CASE("eight threads with keys of their own each find what their maps hold", "[model]") {
  constexpr unsigned k_threads = 8;
  Table table;
  std::array<Content, k_threads> models;
  together(k_threads, [&](unsigned thread) {
    Random random(seed() + thread);
    Content& model = models[thread];
    for (std::uint64_t i = 0; i < scaled(60'000); ++i) {
      const std::string key = std::to_string(thread) + "." + std::to_string(random.below(4'000));
      const auto due = model.find(key);
      if (random.one_in(4)) {
        const std::optional<Held> found = table.find(key);
        expect(found.has_value() == (due != model.end()), "a key is missing, or there after its erasure");
        expect(!found || *found == due->second, "a key has another value or number");
      } else if (random.one_in(3)) {
        expect((table.erase(key) != 0) == (due != model.end()), "an erasure found a key where it was not");
        if (due != model.end()) model.erase(due);
      } else {
        const std::string value = std::string(random.skewed(300), static_cast<char>('a' + thread));
        model[key] = Held{value, table.put(key, value)};
      }
    }
  });
  Content due;
  for (const Content& model : models) due.insert(model.begin(), model.end());
  CHECK(differs_from(table, due) == "");
}
