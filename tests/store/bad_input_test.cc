// What a store refuses: each with the code that the header promises, a message
// that says what was wrong, and nothing changed.

#include "tests/store/operations.h"
#include "tests/store/vocabulary.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_directory.h"

#include <limits>
#include <stdexcept>

using namespace actable;
using namespace actable::test;
using namespace std::chrono_literals;

namespace {

const std::string k_key_too_long(k_key_bytes_max + 1, 'k');
const std::string k_value_too_long(k_value_bytes_max + 1, 'v');

std::string eight_bytes(std::int64_t number) {
  std::string bytes(8, '\0');
  for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (8 * i));
  return bytes;
}

struct TwoKeys {
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  Seq a = must(space.put("a", "1"));
  Seq b = must(space.put("b", "2"));
  Content before = content(space);
};

}  // namespace

TEST_CASE("an empty key is refused by every operation", "[bad_input]") {
  TwoKeys with;
  for (const Operation& operation : every_operation()) {
    INFO(operation.name);
    const std::optional<Error> error = operation.run(with.space, "", "v");
    REQUIRE(error);
    CHECK(error->code == ErrorCode::invalid_argument);
    CHECK_THAT(error->message, ContainsSubstring("key"));
  }
  CHECK(difference(content(with.space), with.before) == "");
}

TEST_CASE("a key over the limit is refused by every operation and the message names the limit", "[bad_input]") {
  TwoKeys with;
  for (const Operation& operation : every_operation()) {
    INFO(operation.name);
    const std::optional<Error> error = operation.run(with.space, k_key_too_long, "v");
    REQUIRE(error);
    CHECK(error->code == ErrorCode::too_large);
    CHECK_THAT(error->message, ContainsSubstring("key") && ContainsSubstring(std::to_string(k_key_bytes_max)));
  }
  CHECK(difference(content(with.space), with.before) == "");
}

TEST_CASE("a value over the limit is refused by every operation that stores one", "[bad_input]") {
  TwoKeys with;
  for (const Operation& operation : every_operation()) {
    if (!operation.stores_value) continue;
    INFO(operation.name);
    const std::optional<Error> error = operation.run(with.space, operation.needs_absent ? "c" : "a", k_value_too_long);
    REQUIRE(error);
    CHECK(error->code == ErrorCode::too_large);
    CHECK_THAT(error->message, ContainsSubstring("value"));
  }
  CHECK(difference(content(with.space), with.before) == "");
}

TEST_CASE("the longest key and the longest value are taken", "[bad_input]") {
  Store store = must(Store::open({}));
  Space space = must(store.space("s"));
  const std::string key(k_key_bytes_max, 'k');
  const std::string value = sealed(1, k_value_bytes_max);
  const Seq seq = must(space.put(key, value));
  CHECK((held(space, key) == Held{value, seq}));
}

TEST_CASE("a bad name makes no space", "[bad_input]") {
  using namespace std::string_literals;
  Store store = must(Store::open({}));
  const std::string name = GENERATE(values<std::string>({
      ""s, std::string(256, 'n'), "line\nbreak"s, "nul\0"s, "del\x7f"s, "c1\xc2\x85"s,      // empty, long, control
      "\xff"s, "\xc0\xaf"s, "\xed\xa0\x80"s, "cut\xe2\x82"s, "\xf4\x90\x80\x80"s, "\x80"s,  // not UTF-8
  }));
  CAPTURE(name);
  const auto space = store.space(name);
  CHECK(outcome(space) == "invalid_argument");
  CHECK_THAT(message(space), ContainsSubstring("name"));
  CHECK(store.spaces().empty());
}

TEST_CASE("a name is any UTF-8 of 1 to 255 bytes", "[bad_input]") {
  const TemporaryDirectory directory;
  const std::vector<std::string> names{" ", "../etc", "a/b", "größe", std::string(255, 'n'), "\xf0\x9f\x98\x80"};
  {
    Store store = must(Store::open(small_store(directory / "store")));
    for (const std::string& name : names) must(must(store.space(name)).put("name", name));
  }
  Store store = must(Store::open(small_store(directory / "store")));
  CHECK(store.spaces() == names);
  for (const std::string& name : names) CHECK(must(must(store.space(name)).get("name")) == name);
}

TEST_CASE("a counter that is none, or that would overflow, stays as it was", "[bad_input]") {
  TwoKeys with;
  must(with.space.put("most", eight_bytes(std::numeric_limits<std::int64_t>::max())));
  must(with.space.put("least", eight_bytes(std::numeric_limits<std::int64_t>::min())));
  const Content before = content(with.space);
  CHECK(outcome(with.space.add("a", 1)) == "invalid_argument");
  CHECK_THAT(message(with.space.add("a", 1)), ContainsSubstring("8"));
  CHECK(outcome(with.space.add("most", 1)) == "invalid_argument");
  CHECK(outcome(with.space.add("least", -1)) == "invalid_argument");
  CHECK(difference(content(with.space), before) == "");
  CHECK(must(with.space.add("most", -1)) == std::numeric_limits<std::int64_t>::max() - 1);
}

TEST_CASE("an update whose function throws changes nothing", "[bad_input]") {
  TwoKeys with;
  const auto thrower = [](std::optional<std::string_view>) -> std::optional<std::string> {
    throw std::runtime_error("changed my mind");
  };
  CHECK_THROWS_WITH((void)with.space.update("a", thrower), "changed my mind");
  CHECK_THROWS_WITH((void)with.space.update("new", thrower), "changed my mind");
  CHECK(difference(content(with.space), with.before) == "");
  CHECK(must(with.space.put("a", "3")) > with.b);
}

TEST_CASE("multi_get with fewer places than keys touches none", "[bad_input]") {
  TwoKeys with;
  const std::vector<std::string_view> keys{"a", "b"};
  std::vector<std::optional<std::string>> values{"untouched"};
  CHECK(outcome(with.space.multi_get(keys, values)) == "invalid_argument");
  CHECK(values[0] == "untouched");
  values.emplace_back("too");
  const std::vector<std::string_view> one_bad{"a", ""};
  CHECK(outcome(with.space.multi_get(one_bad, values)) == "invalid_argument");
  CHECK(values[0] == "untouched");
}

TEST_CASE("a batch takes spaces of one store only", "[bad_input]") {
  TwoKeys one;
  TwoKeys other;
  Batch batch;
  must(batch.put(one.space, "a", "batch"));
  const auto mixed = batch.put(other.space, "a", "batch");
  CHECK(outcome(mixed) == "invalid_argument");
  CHECK_THAT(message(mixed), ContainsSubstring("store"));
  CHECK(outcome(batch.erase(other.space, "a")) == "invalid_argument");
  CHECK(batch.size() == 1);
  CHECK(outcome(other.store.write(batch)) == "invalid_argument");
  CHECK(difference(content(one.space), one.before) == "");
  CHECK(difference(content(other.space), other.before) == "");
  must(one.store.write(batch));
  CHECK(must(one.space.get("a")) == "batch");
}

TEST_CASE("a batch refuses a bad key or value and stays as it was", "[bad_input]") {
  TwoKeys with;
  Batch batch;
  must(batch.put(with.space, "c", "3"));
  CHECK(outcome(batch.put(with.space, "", "v")) == "invalid_argument");
  CHECK(outcome(batch.erase(with.space, "")) == "invalid_argument");
  CHECK(outcome(batch.put(with.space, k_key_too_long, "v")) == "too_large");
  CHECK(outcome(batch.erase(with.space, k_key_too_long)) == "too_large");
  CHECK(outcome(batch.put(with.space, "d", k_value_too_long)) == "too_large");
  CHECK(batch.size() == 1);
  must(with.store.write(batch));
  CHECK(with.space.size() == with.before.size() + 1);
  CHECK(must(with.space.get("c")) == "3");
}

TEST_CASE("a batch over the limit stays as it was before the write too many", "[bad_input]") {
  TwoKeys with;
  const std::string value = sealed(1, k_value_bytes_max - 100);
  Batch batch;
  std::size_t fitted = 0;
  Result<void> put;
  while ((put = batch.put(with.space, "k" + std::to_string(fitted), value))) REQUIRE(++fitted < 100);
  CHECK(outcome(put) == "too_large");
  CHECK_THAT(message(put), ContainsSubstring("batch"));
  CHECK(fitted == k_batch_bytes_max / k_value_bytes_max);
  CHECK(batch.size() == fitted);
  must(with.store.write(batch));
  CHECK(with.space.size() == with.before.size() + fitted);
}

TEST_CASE("a batch with one dropped space is refused whole", "[bad_input]") {
  TwoKeys with;
  Space gone = must(with.store.space("gone"));
  Batch batch;
  must(batch.put(with.space, "a", "batch"));
  must(batch.put(gone, "a", "batch"));
  must(with.store.drop_space("gone"));
  CHECK(outcome(with.store.write(batch)) == "closed");
  CHECK(difference(content(with.space), with.before) == "");
}

TEST_CASE("what has no log cannot be waited for", "[bad_input]") {
  TwoKeys with;
  CHECK(outcome(with.store.sync()) == "unsupported");
  CHECK(outcome(with.store.wait_durable(with.a)) == "unsupported");
  CHECK(with.store.durable_seq() == 0);

  const TemporaryDirectory directory;
  Store logged = must(Store::open(small_store(directory / "store")));
  const Space in_memory[] = {with.space, must(logged.space("m", {.logged = false}))};
  for (Space space : in_memory) {
    const Content before = content(space);
    for (const Operation& operation : every_operation(k_sync)) {
      if (!operation.writes) continue;
      INFO(operation.name);
      const std::optional<Error> error = operation.run(space, operation.needs_absent ? "c" : "a", "12345678");
      REQUIRE(error);
      CHECK(error->code == ErrorCode::unsupported);
    }
    CHECK(difference(content(space), before) == "");
  }
}

TEST_CASE("a number that no write has yet cannot be waited for", "[bad_input]") {
  const TemporaryDirectory directory;
  Store store = must(Store::open(small_store(directory / "store")));
  const Seq seq = must(must(store.space("s")).put("a", "1"));
  const auto waited = store.wait_durable(seq + (Seq{1} << 50));
  CHECK(outcome(waited) == "invalid_argument");
  CHECK_FALSE(message(waited).empty());
  CHECK(outcome(store.wait_durable(seq)) == "ok");
}

TEST_CASE("a dropped space refuses every operation", "[bad_input]") {
  TwoKeys with;
  Cursor cursor = with.space.scan();
  REQUIRE(must(cursor.next()));
  CHECK(must(with.store.drop_space("s")));
  for (const Operation& operation : every_operation()) {
    INFO(operation.name);
    const std::optional<Error> error = operation.run(with.space, "a", "v");
    REQUIRE(error);
    CHECK(error->code == ErrorCode::closed);
    CHECK_THAT(error->message, ContainsSubstring("s"));
  }
  CHECK(outcome(with.space.scan().next()) == "closed");
  CHECK(with.space.size() == 0);
  CHECK(with.space.stats().keys == 0);
  CHECK(with.space.name() == "s");
}

TEST_CASE("a closed store refuses every operation, through handles that outlive it too", "[bad_input]") {
  const bool destroyed = GENERATE(false, true);
  const TemporaryDirectory directory;
  std::optional<Store> store = must(Store::open(small_store(directory / "store")));
  Space space = must(store->space("s"));
  must(space.put("a", "1"));
  Cursor cursor = space.scan();
  Batch batch;
  must(batch.put(space, "a", "2"));
  must(store->close());
  CHECK(outcome(store->close()) == "ok");
  CHECK(outcome(store->space("s")) == "closed");
  CHECK(outcome(store->space("t")) == "closed");
  CHECK(outcome(store->drop_space("s")) == "closed");
  CHECK(outcome(store->write(batch)) == "closed");
  CHECK(outcome(store->sync()) == "closed");
  CHECK(outcome(store->wait_durable(1)) == "closed");
  if (destroyed) store.reset();
  for (const Operation& operation : every_operation()) {
    INFO(operation.name);
    const std::optional<Error> error = operation.run(space, "a", "v");
    REQUIRE(error);
    CHECK(error->code == ErrorCode::closed);
  }
  CHECK(outcome(cursor.next()) == "closed");
  CHECK(outcome(space.scan().next()) == "closed");
  CHECK(space.size() == 0);
  store.reset();
  Store again = must(Store::open(small_store(directory / "store")));
  CHECK(must(must(again.space("s")).get("a")) == "1");
}
