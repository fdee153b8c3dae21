#include <actable/store.h>
#include <actable/typed.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

using namespace std::string_literals;
using actable::ErrorCode;

namespace {

struct Session {
  std::string user;
  std::vector<std::uint32_t> visited;
  std::map<std::string, double> scores;
  std::int64_t expires_ms = 0;
  MSGPACK_DEFINE(user, visited, scores, expires_ms)

  bool operator==(const Session&) const = default;
};

/// Session as the next version of the program has it.
struct SessionNext {
  std::string user;
  std::vector<std::uint32_t> visited;
  std::map<std::string, double> scores;
  std::int64_t expires_ms = 0;
  std::string language = "en";
  MSGPACK_DEFINE(user, visited, scores, expires_ms, language)
};

struct Counter {
  int value = 0;
  MSGPACK_DEFINE(value)
};

/// Contains itself, as deep as its value says.
struct Tree {
  std::vector<Tree> children;
  MSGPACK_DEFINE(children)
};

struct Unpackable {
  template <class Packer>
  void msgpack_pack(Packer&) const {
    throw std::runtime_error("refuses to be packed");
  }
};

Session sample() {
  return {.user = "ada", .visited = {1, 70'000, 4'000'000'000}, .scores = {{"chess", 0.5}}, .expires_ms = -1};
}

/// A space in memory, and what it holds as bytes and as T.
template <class T>
struct Fixture {
  actable::Store store = actable::Store::open({}).value();
  actable::Space bytes = store.space("sessions").value();
  actable::TypedSpace<T> typed{bytes};

  /// Stores bytes behind the typed space's back.
  actable::Seq plant(std::string_view key, std::string_view value) { return bytes.put(key, value).value(); }

  /// True when a read says `corrupt` and names the key, and the bytes stay.
  bool refuses(std::string_view value) {
    plant("victim", value);
    const auto read = typed.get("victim");
    return !read && read.error().code == ErrorCode::corrupt &&
           read.error().message.find("\"victim\"") != std::string::npos &&
           bytes.get("victim").value() == std::string(value);
  }
};

std::string packed(const Session& session) { return actable::typed::pack(session).value(); }

}  // namespace

TEST_CASE("what is put comes back equal") {
  Fixture<Session> f;
  const actable::Seq seq = f.typed.put("s1", sample()).value();
  REQUIRE(f.typed.get("s1").value() == sample());
  REQUIRE(f.typed.get("s2").value() == std::nullopt);
  REQUIRE(f.typed.size() == 1);
  REQUIRE(f.typed.stats().keys == 1);
  REQUIRE(f.typed.name() == "sessions");
  REQUIRE(f.bytes.get("s1").value() == packed(sample()));

  int calls = 0;
  const auto check = [&](const actable::TypedEntry<Session>& entry) {
    ++calls;
    REQUIRE(entry.key == "s1");
    REQUIRE(entry.value == sample());
    REQUIRE(entry.seq == seq);
  };
  REQUIRE(f.typed.visit("s1", check).value());
  REQUIRE_FALSE(f.typed.visit("s2", check).value());
  REQUIRE(calls == 1);

  REQUIRE(f.typed.erase("s1").value());
  REQUIRE_FALSE(f.typed.erase("s1").value());
  REQUIRE(f.typed.get("s1").value() == std::nullopt);
}

TEST_CASE("types that msgpack knows need no definition") {
  Fixture<std::string> strings;
  for (const std::string& text : {""s, "x"s, std::string(100'000, 'y'), "\0\xff"s}) {
    REQUIRE(strings.typed.put("k", text));
    REQUIRE(strings.typed.get("k").value() == text);
  }
  Fixture<std::vector<std::optional<int>>> lists;
  REQUIRE(lists.typed.put("k", {1, std::nullopt, -3}));
  REQUIRE(lists.typed.get("k").value() == std::vector<std::optional<int>>{1, std::nullopt, -3});
}

template <class Number, class Bits>
void expect_every_bit_back(std::vector<Number> numbers) {
  using Limits = std::numeric_limits<Number>;
  for (const Number n : {Limits::min(), Limits::max(), Limits::denorm_min(), Limits::infinity(), Limits::quiet_NaN()}) {
    numbers.push_back(n);
  }
  for (const Number number : numbers) {
    for (const Number n : {number, -number}) {
      const auto bytes = actable::typed::pack(n).value();
      REQUIRE(bytes.size() == 1 + sizeof(Number));
      REQUIRE(std::bit_cast<Bits>(actable::typed::unpack<Number>(bytes).value()) == std::bit_cast<Bits>(n));
    }
  }
}

TEST_CASE("a floating-point number comes back bit for bit") {
  // Whole ones among them, at the ends of the ranges of integers too.
  expect_every_bit_back<double, std::uint64_t>({0.0, 0.1, 1.0, 0x1p53, 0x1p63, 0x1p64, 0x1p65});
  expect_every_bit_back<float, std::uint32_t>({0.0F, 0.1F, 1.0F, 0x1p24F, 0x1p63F, 0x1p64F, 0x1p65F});
  // Who packs them as integers is understood.
  REQUIRE(actable::typed::unpack<double>("\x07").value() == 7.0);
}

TEST_CASE("fields added at the end are read by both versions") {
  Fixture<Session> f;
  const actable::TypedSpace<SessionNext> next(f.bytes);
  REQUIRE(f.typed.put("old", sample()));
  const SessionNext read = next.get("old").value().value();
  REQUIRE(read.user == "ada");
  REQUIRE(read.expires_ms == -1);
  REQUIRE(read.language == "en");

  SessionNext written = read;
  written.language = "sv";
  REQUIRE(actable::TypedSpace<SessionNext>(f.bytes).put("new", written));
  REQUIRE(f.typed.get("new").value() == sample());
}

TEST_CASE("every truncation is corrupt, and so is a byte too many") {
  Fixture<Session> f;
  const std::string whole = packed(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO("cut to " << size << " of " << whole.size() << " bytes");
    REQUIRE(f.refuses(std::string_view(whole).substr(0, size)));
  }
  for (const char extra : {'\0', '\x7f', '\xc0', '\xc1', '\xff'}) REQUIRE(f.refuses(whole + extra));
  REQUIRE(f.refuses(whole + whole));
}

TEST_CASE("any flipped byte either unpacks or is corrupt") {
  Fixture<Session> f;
  const std::string whole = packed(sample());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(byte);
      f.plant("k", bytes);
      const auto read = f.typed.get("k");
      REQUIRE((read || read.error().code == ErrorCode::corrupt));
    }
  }
}

TEST_CASE("a value of another type is corrupt") {
  Fixture<Session> f;
  REQUIRE(f.refuses("plain text"));
  REQUIRE(f.refuses(actable::typed::pack(17).value()));
  REQUIRE(f.refuses(actable::typed::pack("a string"s).value()));
  REQUIRE(f.refuses(actable::typed::pack(std::vector<std::string>{"ada", "not a list"}).value()));
}

TEST_CASE("a hostile size is refused without taking its memory") {
  Fixture<std::vector<Session>> lists;
  Fixture<std::map<std::string, std::string>> maps;
  Fixture<std::string> strings;
  REQUIRE(lists.refuses("\xdd\xff\xff\xff\xff"s));  // array of 2^32 - 1
  REQUIRE(lists.refuses("\xdd\xff\xff\xff\xff"s + std::string(1000, '\xc0')));
  REQUIRE(lists.refuses("\xdc\xff\xff\xc0"s));             // array of 65,535
  REQUIRE(maps.refuses("\xdf\xff\xff\xff\xff"s));          // map of 2^32 - 1
  REQUIRE(maps.refuses("\xdf\x80\x00\x00\x00\xa0\xa0"s));  // twice its size overflows 32 bits
  REQUIRE(strings.refuses("\xdb\xff\xff\xff\xff"s));       // string of 4 GiB
  REQUIRE(strings.refuses("\xc6\xff\xff\xff\xff"s));       // binary of 4 GiB
  REQUIRE(strings.refuses("\xc9\xff\xff\xff\xff\x01"s));   // extension of 4 GiB
}

TEST_CASE("sizes that are each possible but not together are refused") {
  // Each array claims all of the bytes behind it.
  constexpr std::size_t k_depth = 200;
  std::string bytes;
  for (std::size_t depth = 0; depth < k_depth; ++depth) bytes += "\xdd\x00\x00\x03\x00"s;
  bytes += std::string(1000, '\xc0');
  Fixture<Tree> f;
  REQUIRE(f.refuses(bytes));

  actable::typed::Checker checker(bytes.size());
  std::size_t offset = 0;
  REQUIRE_FALSE(msgpack::parse(bytes.data(), bytes.size(), offset, checker));
  REQUIRE(checker.claims() <= bytes.size());
}

TEST_CASE("nesting has a limit") {
  const auto nested = [](std::size_t arrays) { return std::string(arrays - 1, '\x91') + '\x90'; };
  Fixture<Tree> f;
  f.plant("deep", nested(actable::typed::k_depth_max));
  REQUIRE(f.typed.get("deep"));
  REQUIRE(f.refuses(nested(actable::typed::k_depth_max + 1)));
  REQUIRE(f.refuses(nested(4'000'000)));
}

TEST_CASE("a message shows a binary key readable and short") {
  REQUIRE(actable::typed::printable("a\"b\\c\n\xff") == R"("a\"b\\c\x0a\xff")");
  const std::string shown = actable::typed::printable(std::string(60'000, 'k'));
  REQUIRE(shown.size() < 80);
  REQUIRE(shown.find("60000 bytes") != std::string::npos);

  Fixture<Session> f;
  f.plant("\x01", "?");
  const std::string message = f.typed.get("\x01").error().message;
  REQUIRE(message.find(R"("\x01")") != std::string::npos);
  REQUIRE(message.find("put or erase") != std::string::npos);
}

TEST_CASE("put_if_absent and compare_and_set decide by presence and number") {
  Fixture<Counter> f;
  REQUIRE(f.typed.put_if_absent("c", {1}).value());
  REQUIRE_FALSE(f.typed.put_if_absent("c", {2}).value());
  actable::Seq seq = 0;
  REQUIRE(f.typed.visit("c", [&](const auto& entry) { seq = entry.seq; }).value());
  REQUIRE_FALSE(f.typed.compare_and_set("c", 0, {3}).value());
  REQUIRE(f.typed.compare_and_set("c", seq, {4}).value());
  REQUIRE_FALSE(f.typed.compare_and_set("c", seq, {5}).value());
  REQUIRE(f.typed.compare_and_set("d", 0, {6}).value());
  REQUIRE(f.typed.get("c").value()->value == 4);
  REQUIRE(f.typed.get("d").value()->value == 6);
}

TEST_CASE("compare_and_set repairs a corrupt value") {
  Fixture<Counter> f;
  const actable::Seq seq = f.plant("c", "?");
  REQUIRE(f.typed.compare_and_set("c", seq, {7}).value());
  REQUIRE(f.typed.get("c").value()->value == 7);
}

TEST_CASE("update creates, changes and erases") {
  Fixture<Counter> f;
  const auto increment = [](std::optional<Counter> old) -> std::optional<Counter> {
    return Counter{old ? old->value + 1 : 1};
  };
  REQUIRE(f.typed.update("c", increment).value() > 0);
  REQUIRE(f.typed.update("c", increment).value() > 0);
  REQUIRE(f.typed.get("c").value()->value == 2);
  const auto erase = [](std::optional<Counter>) -> std::optional<Counter> { return std::nullopt; };
  REQUIRE(f.typed.update("c", erase).value() > 0);
  REQUIRE(f.typed.update("c", erase).value() == 0);
  REQUIRE(f.typed.size() == 0);
}

TEST_CASE("updates of several threads are all counted") {
  constexpr int k_threads = 4;
  constexpr int k_updates = 2'000;
  Fixture<Counter> f;
  std::vector<std::jthread> threads;
  for (int t = 0; t < k_threads; ++t) {
    threads.emplace_back([space = f.typed]() mutable {
      for (int i = 0; i < k_updates; ++i) {
        const auto done = space.update("hot", [](std::optional<Counter> old) -> std::optional<Counter> {
          return Counter{old ? old->value + 1 : 1};
        });
        if (!done) return;
      }
    });
  }
  threads.clear();
  REQUIRE(f.typed.get("hot").value()->value == k_threads * k_updates);
}

TEST_CASE("update and take leave a corrupt value as it is") {
  Fixture<Counter> f;
  const actable::Seq seq = f.plant("c", "?");
  bool called = false;
  const auto updated = f.typed.update("c", [&](std::optional<Counter>) -> std::optional<Counter> {
    called = true;
    return std::nullopt;
  });
  REQUIRE(updated.error().code == ErrorCode::corrupt);
  REQUIRE_FALSE(called);
  REQUIRE(f.typed.take("c").error().code == ErrorCode::corrupt);
  const auto unchanged = [seq](const actable::Entry& entry) { REQUIRE((entry.seq == seq && entry.value == "?")); };
  REQUIRE(f.bytes.visit("c", unchanged).value());
  REQUIRE(f.typed.erase("c").value());
}

TEST_CASE("what the function of update throws reaches its caller") {
  Fixture<Counter> f;
  REQUIRE(f.typed.put("c", {1}));
  const auto throws = [](std::optional<Counter>) -> std::optional<Counter> { throw std::runtime_error("mine"); };
  REQUIRE_THROWS_WITH((void)f.typed.update("c", throws), "mine");
  REQUIRE(f.typed.get("c").value()->value == 1);
}

TEST_CASE("take hands the value over once") {
  Fixture<Session> f;
  REQUIRE(f.typed.put("s", sample()));
  REQUIRE(f.typed.take("s").value() == sample());
  REQUIRE(f.typed.take("s").value() == std::nullopt);
}

TEST_CASE("a batch takes typed values") {
  Fixture<Counter> f;
  actable::Batch batch;
  REQUIRE(f.typed.put_in(batch, "a", {1}));
  REQUIRE(f.typed.put_in(batch, "b", {2}));
  REQUIRE(f.store.write(batch));
  REQUIRE((f.typed.get("a").value()->value == 1 && f.typed.get("b").value()->value == 2));
}

TEST_CASE("multi_get fills in order, and touches nothing when one value is corrupt") {
  Fixture<Counter> f;
  REQUIRE(f.typed.put("a", {1}));
  REQUIRE(f.typed.put("c", {3}));
  const std::vector<std::string_view> keys{"a", "b", "c"};
  std::vector<std::optional<Counter>> values(3, Counter{9});
  REQUIRE(f.typed.multi_get(keys, values).value() == 2);
  REQUIRE((values[0]->value == 1 && !values[1] && values[2]->value == 3));

  f.plant("b", "?");
  values.assign(3, Counter{9});
  const auto read = f.typed.multi_get(keys, values);
  REQUIRE(read.error().code == ErrorCode::corrupt);
  REQUIRE(read.error().message.find("\"b\"") != std::string::npos);
  for (const auto& value : values) REQUIRE(value->value == 9);

  values.resize(2);
  REQUIRE(f.typed.multi_get(keys, values).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("a scan gives every key once and goes on behind a corrupt value") {
  constexpr int k_keys = 500;
  Fixture<Counter> f;
  for (int i = 0; i < k_keys; ++i) REQUIRE(f.typed.put("key" + std::to_string(i), {i}));
  f.plant("bad", "?");

  std::map<std::string, int> seen;
  int corrupt = 0;
  actable::TypedCursor<Counter> cursor = f.typed.scan();
  for (;;) {
    const auto more = cursor.next();
    if (!more) {
      REQUIRE(more.error().code == ErrorCode::corrupt);
      REQUIRE(more.error().message.find("\"bad\"") != std::string::npos);
      ++corrupt;
      continue;
    }
    if (!*more) break;
    const auto entry = cursor.entry();
    REQUIRE(entry.seq > 0);
    REQUIRE(seen.emplace(entry.key, entry.value.value).second);
  }
  REQUIRE(corrupt == 1);
  REQUIRE(seen.size() == k_keys);
  for (const auto& [key, value] : seen) REQUIRE(key == "key" + std::to_string(value));
}

TEST_CASE("a type whose packing throws is refused and nothing is written") {
  const auto packed_bytes = actable::typed::pack(Unpackable{});
  REQUIRE(packed_bytes.error().code == ErrorCode::invalid_argument);
  REQUIRE(packed_bytes.error().message.find("refuses to be packed") != std::string::npos);
}

TEST_CASE("failures of the space below come through") {
  Fixture<Counter> f;
  REQUIRE(f.typed.get("").error().code == ErrorCode::invalid_argument);
  REQUIRE(f.typed.put("", {1}).error().code == ErrorCode::invalid_argument);
  REQUIRE(f.typed.put(std::string(actable::k_key_bytes_max + 1, 'k'), {1}).error().code == ErrorCode::too_large);
  Fixture<std::string> large;
  REQUIRE(large.typed.put("k", std::string(actable::k_value_bytes_max, 'v')).error().code == ErrorCode::too_large);
  REQUIRE(f.store.close());
  REQUIRE(f.typed.get("c").error().code == ErrorCode::closed);
  REQUIRE(f.typed.take("c").error().code == ErrorCode::closed);
}
