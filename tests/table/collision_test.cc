// Keys whose hashes collide, wholly or in part. They are true collisions, made
// under a seed that the test knows.

#include "tests/support/catch.h"
#include "tests/table/table_fixture.h"

#include <set>

using namespace actable;
using namespace actable::test;

namespace {

/// Which bits of the hash the table uses for what.
constexpr std::uint64_t k_bucket_bits = table::Segment::k_home_buckets - 1;
constexpr std::uint64_t k_tag_bits = std::uint64_t{0xffff} << 40;

[[nodiscard]] constexpr std::uint64_t top_bits(unsigned count) { return ~std::uint64_t{0} << (64 - count); }

/// Keys whose hashes agree in the bits of `fixed` and differ elsewhere.
std::vector<std::string> keys_alike(Table& table, std::uint64_t fixed, std::size_t count) {
  Random random(seed());
  const std::uint64_t pattern = random() & fixed;
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < count; ++i) keys.push_back(table.key_at((random() & ~fixed) | pattern, i));
  return keys;
}

/// Writes, overwrites, erases and reads the keys, in random order, and compares.
void use(Table& table, const std::vector<std::string>& keys, Content& due) {
  Random random(seed());
  for (const std::string& key : keys) due[key] = Held{"first", table.put(key, "first")};
  CHECK(differs_from(table, due) == "");
  for (const std::string& key : keys) {
    switch (random.below(3)) {
      case 0:
        due[key] = Held{"second", table.put(key, "second")};
        break;
      case 1:
        CHECK(table.erase(key) != 0);
        CHECK(table.erase(key) == 0);
        due.erase(key);
        break;
      default:
        break;
    }
  }
  CHECK(differs_from(table, due) == "");
  for (const std::string& key : keys) {
    const auto at = due.find(key);
    if (table.find(key) != (at == due.end() ? std::nullopt : std::optional(at->second)))
      FAIL("a key is not as it was left");
  }
}

}  // namespace

TEST_CASE("keys that share a whole hash are kept apart, by the thousand") {
  Table table;
  const std::size_t count = 1'000 + scaled(2'000);
  const auto keys = keys_alike(table, ~std::uint64_t{0}, count);
  CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == count);
  CHECK(table.hash(keys.front()) == table.hash(keys.back()));
  Content due;
  use(table, keys, due);
  INFO(table.stats().segments << " segments, " << table.stats().bytes << " bytes");
  // Splits do not part them: at most one segment more for each bit of the
  // directory, and their own long chain.
  CHECK(table.stats().segments <= 30);
  CHECK(table.stats().bytes <= 30 * 9'728 + count * 32);
}

TEST_CASE("keys beside thousands that share a hash are as they would be alone") {
  Table table;
  Content due;
  use(table, keys_alike(table, ~std::uint64_t{0}, 1'000), due);
  std::vector<std::string> others;
  for (std::uint64_t i = 0; i < scaled(20'000); ++i) others.push_back("other" + std::to_string(i));
  use(table, others, due);
}

TEST_CASE("keys of one bucket are kept apart") {
  Table table;
  Content due;
  use(table, keys_alike(table, k_bucket_bits, 500 + scaled(5'000)), due);
}

TEST_CASE("keys of one tag are kept apart") {
  Table table;
  Content due;
  use(table, keys_alike(table, k_tag_bits, 500 + scaled(5'000)), due);
}

TEST_CASE("keys of one tag and one bucket are kept apart") {
  Table table;
  Content due;
  use(table, keys_alike(table, k_tag_bits | k_bucket_bits, 500 + scaled(2'000)), due);
}

TEST_CASE("keys that agree in the first bits of their hashes are parted by the later ones") {
  Table table;
  // Some in the bits before the tag, some within it, some at the directory's deepest.
  const unsigned bits = GENERATE(1U, 7U, 8U, 9U, 16U, 23U, 24U, 25U, 26U, 40U);
  INFO("first bits that agree: " << bits);
  const std::size_t count = 1'000 + scaled(5'000);
  Content due;
  use(table, keys_alike(table, top_bits(bits), count), due);
  INFO(table.stats().segments << " segments, " << table.stats().bytes << " bytes for " << count << " keys");
  CHECK(table.stats().segments <= bits + 2 + count / 256);
  CHECK(table.stats().bytes <= 30 * 9'728 + count * 40);
}

TEST_CASE("keys at the very ends of the range of hashes are found and scanned") {
  Table table;
  Content due;
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < 400; ++i) {
    keys.push_back(table.key_at(i, 0));
    keys.push_back(table.key_at(~i, 0));
    keys.push_back(table.key_at(std::uint64_t{1} << 63 | i, 0));
    keys.push_back(table.key_at((std::uint64_t{1} << 63) - 1 - i, 0));
  }
  use(table, keys, due);
  use(table, keys_alike(table, 0, 1'000 + scaled(20'000)), due);
}

TEST_CASE("eight threads insert and erase keys that share a whole hash") {
  constexpr unsigned k_threads = 8;
  Table table;
  const auto keys = keys_alike(table, ~std::uint64_t{0}, 400);
  std::array<Content, k_threads> models;
  together(k_threads, [&](unsigned thread) {
    Random random(seed() + thread);
    for (std::uint64_t i = 0; i < 200 + scaled(4'000); ++i) {
      const std::string& key = keys[random.below(keys.size() / k_threads) * k_threads + thread];
      const bool is_there = models[thread].contains(key);
      if (random.one_in(3)) {
        expect((table.erase(key) != 0) == is_there, "an erasure found a key where it was not");
        models[thread].erase(key);
      } else {
        models[thread][key] = Held{"value", table.put(key, "value")};
        expect(table.find(key) == models[thread][key], "a thread does not find what it wrote");
      }
    }
  });
  Content due;
  for (const Content& model : models) due.insert(model.begin(), model.end());
  CHECK(differs_from(table, due) == "");
}
