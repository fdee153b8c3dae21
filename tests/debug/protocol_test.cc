// The debug protocol's bytes: what is encoded comes back, and nothing else is taken.

#include "debug/protocol.h"
#include "debug/printable.h"
#include "tests/support/catch.h"
#include "tests/support/results.h"
#include "tests/support/seed.h"

#include <string>
#include <vector>

using namespace actable;
using namespace actable::debug;
using namespace actable::test;

namespace {

constexpr DocumentLimits k_limits{.depth_max = 4, .elements_max = 64, .fields_max = 8};

std::string valid_request() {
  return encode(Request{7, "get", Document::Map{{"space", "s"}, {"key", Bytes{std::string("\0\xff", 2)}}}});
}

Document random_document(Random& random, unsigned depth) {
  switch (random.below(depth == 0 ? 7 : 9)) {
    case 0:
      return {};
    case 1:
      return random.one_in(2);
    case 2:
      return random();
    case 3:
      return -static_cast<std::int64_t>(random() >> 1) - 1;
    case 4:
      return static_cast<double>(random.below(1'000)) + 0.5;
    case 5:
      return "text " + std::to_string(random.below(100)) + " \xc3\xa9";
    case 6:
      return Bytes{std::string(random.below(300), static_cast<char>(random.below(256)))};
    case 7: {
      Document::List list;
      for (std::uint64_t i = random.below(5); i > 0; --i) list.push_back(random_document(random, depth - 1));
      return list;
    }
    default: {
      Document::Map map;
      for (std::uint64_t i = random.below(5); i > 0; --i) {
        map.push_back({"field" + std::to_string(i), random_document(random, depth - 1)});
      }
      return map;
    }
  }
}

}  // namespace

TEST_CASE("any document comes back as it was", "[protocol]") {
  Random random(seed());
  for (int i = 0; i < 2'000; ++i) {
    const Document document = random_document(random, 4);
    const auto again = unpack(pack(document), {.depth_max = 8, .elements_max = 10'000, .fields_max = 64});
    REQUIRE(again.has_value());
    REQUIRE(*again == document);
  }
}

TEST_CASE("text that is not UTF-8 is packed with its bytes escaped, so that it can be read", "[protocol]") {
  const Document document =
      Document::Map{{"reason", "cannot write /srv/bad\xff: \xc3\xa9"}, {"\xfe", Document::List{"\xed"}}};
  const Document expected =
      Document::Map{{"reason", "cannot write /srv/bad\\xff: \xc3\xa9"}, {"\\xfe", Document::List{"\\xed"}}};
  CHECK(must(unpack(pack(document), k_limits)) == expected);
  const auto reply = must(decode_reply(encode(Reply{1, fail(ErrorCode::io_error, "/srv/bad\xff")})));
  CHECK(message(reply.result) == "/srv/bad\\xff");
}

TEST_CASE("text is cut between two characters, and bytes that are none anywhere", "[protocol]") {
  CHECK(cut("gr\xc3\xbc\xc3\x9f\x65", 3) == "gr");
  CHECK(cut("gr\xc3\xbc\xc3\x9f\x65", 4) == "gr\xc3\xbc");
  CHECK(cut("short", 5) == "short");
  CHECK(cut(std::string(10, '\x80'), 5) == std::string(5, '\x80'));
  CHECK(cut(std::string(10, '\x80'), 2) == std::string(2, '\x80'));
}

TEST_CASE("each message comes back as it was", "[protocol]") {
  const auto hello = must(decode_hello(encode(Hello{true, "actable-shell"})));
  CHECK(hello.writes);
  CHECK(hello.client == "actable-shell");

  const auto welcome = must(decode_welcome(encode(Welcome{true, 42, "/a/b\xff"})));
  CHECK(welcome.writes);
  CHECK(welcome.process == 42);
  CHECK(welcome.directory == "/a/b\xff");

  const auto request = must(decode_request(valid_request()));
  CHECK(request.id == 7);
  CHECK(request.command == "get");
  CHECK(request.arguments["key"].bytes() == std::string_view("\0\xff", 2));

  const auto reply = must(decode_reply(encode(Reply{7, Document::List{1U, "two", -3}})));
  CHECK(reply.id == 7);
  CHECK(reply.result.value().list().size() == 3);

  const auto failed = must(decode_reply(encode(Reply{8, std::unexpected(Error{ErrorCode::no_memory, "none"})})));
  REQUIRE_FALSE(failed.result);
  CHECK(failed.result.error().code == ErrorCode::no_memory);
  CHECK(failed.result.error().message == "none");
}

TEST_CASE("a refusal of the greeting is the client's error", "[protocol]") {
  const auto refused = decode_welcome(encode(Welcome{}, Error{ErrorCode::overloaded, "8 clients"}));
  CHECK(outcome(refused) == "overloaded");
  CHECK(message(refused) == "8 clients");
}

TEST_CASE("another version is told from rubbish, whatever else it says", "[protocol]") {
  const auto later = [](std::uint64_t version) {
    return pack(Document::Map{{"protocol", "actable-debug"}, {"version", version}, {"something", "new"}});
  };
  CHECK(outcome(decode_hello(later(2))) == "unsupported");
  CHECK_THAT(message(decode_hello(later(2))), ContainsSubstring("speaks version 2"));
  CHECK(outcome(decode_welcome(later(0))) == "unsupported");
  // Ours, with what it does not have.
  CHECK(outcome(decode_hello(later(1))) == "corrupt");
  CHECK(outcome(decode_hello(pack(Document::Map{{"protocol", "other"}, {"version", 1U}}))) == "corrupt");
  CHECK(outcome(decode_hello(pack(Document::Map{{"protocol", "actable-debug"}}))) == "corrupt");
}

TEST_CASE("a message that lacks something, or has more or another kind of it, is refused", "[protocol]") {
  using Map = Document::Map;
  const std::vector<Document> requests{
      Map{{"id", 1U}, {"command", "get"}},
      Map{{"id", 1U}, {"command", "get"}, {"arguments", Map{}}, {"more", true}},
      Map{{"id", "1"}, {"command", "get"}, {"arguments", Map{}}},
      Map{{"id", -1}, {"command", "get"}, {"arguments", Map{}}},
      Map{{"id", 1U}, {"command", ""}, {"arguments", Map{}}},
      Map{{"id", 1U}, {"command", "Get"}, {"arguments", Map{}}},
      Map{{"id", 1U}, {"command", std::string(65, 'a')}, {"arguments", Map{}}},
      Map{{"id", 1U}, {"command", "get"}, {"arguments", Document::List{}}},
      Document::List{},
      Document(),
  };
  for (const Document& request : requests) CHECK(outcome(decode_request(pack(request))) == "corrupt");
  CHECK(outcome(decode_reply(pack(Map{{"id", 1U}}))) == "corrupt");
  CHECK(outcome(decode_reply(pack(Map{{"id", 1U}, {"result", 1U}, {"error", Map{}}}))) == "corrupt");
  CHECK(outcome(decode_reply(pack(Map{{"id", 1U}, {"error", Map{{"code", "later"}, {"message", ""}}}}))) == "corrupt");
}

TEST_CASE("bytes behind a message, a part of one, and another format are refused", "[protocol]") {
  const std::string whole = valid_request();
  CHECK(outcome(decode_request(whole + '\xc0')) == "corrupt");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK(outcome(decode_request(whole.substr(0, bytes))) == "corrupt");
  }
  CHECK(outcome(decode_request("GET / HTTP/1.1\r\n")) == "corrupt");
}

TEST_CASE("what msgpack has and the protocol has not is refused", "[protocol]") {
  const auto code = [](std::string_view bytes) { return outcome(unpack(bytes, k_limits)); };
  CHECK(code("\xd4\x01\x02") == "corrupt");            // an extension
  CHECK(code("\xa1\xff") == "corrupt");                // a str that is not UTF-8
  CHECK(code("\x81\x01\x01") == "corrupt");            // a number as a key
  CHECK(code("\x81\x90\x01") == "corrupt");            // a list as a key
  CHECK(code("\x82\xa1k\x01\xa1k\x02") == "corrupt");  // a field twice
  CHECK(code("\xc1") == "corrupt");                    // never used
  CHECK(code("\x81\xa1k\x01") == "ok");
}

TEST_CASE("what claims or holds more than the limits is refused before memory is taken for it", "[protocol]") {
  const auto code = [](std::string_view bytes) { return outcome(unpack(bytes, k_limits)); };
  CHECK(code("\x91\x91\x91\x90") == "ok");
  CHECK(code("\x91\x91\x91\x91\x90") == "too_large");
  CHECK(code("\xdd\xff\xff\xff\xff\x01") == "too_large");
  CHECK(code("\xdf\xff\xff\xff\xff\x01") == "too_large");
  // Few claimed, many in all.
  std::string many = "\x9f";
  for (int i = 0; i < 15; ++i) many += std::string("\x9f") + std::string(15, '\x01');
  CHECK(code(many) == "too_large");
  CHECK(outcome(decode_request(std::string(k_request_bytes_max + 1, '\xc0'))) == "too_large");
  CHECK(outcome(decode_reply(std::string(k_reply_bytes_max + 1, '\xc0'))) == "too_large");
}

TEST_CASE("a reply beyond the limits becomes an error that says so", "[protocol]") {
  const auto told = [](Document result) {
    const auto reply = decode_reply(encode(Reply{7, std::move(result)}));
    REQUIRE(reply.has_value());
    CHECK(reply->id == 7);
    return outcome(reply->result) + ' ' + message(reply->result);
  };
  const std::size_t most = k_reply_limits.elements_max;
  CHECK(told(Document::List(most - 5)) == "ok ");
  CHECK_THAT(told(Document::List(most)), ContainsSubstring("too_large the answer is too large") &&
                                             ContainsSubstring("elements, and may hold 262144; ask for less"));
  Document::Map map;
  for (std::size_t i = 0; i <= k_reply_limits.fields_max; ++i) map.push_back({std::to_string(i), i});
  CHECK_THAT(told(std::move(map)), ContainsSubstring("too_large") && ContainsSubstring("fields"));
  Document deep;
  for (std::size_t i = 0; i < k_reply_limits.depth_max; ++i) deep = Document::List{std::move(deep)};
  CHECK_THAT(told(std::move(deep)), ContainsSubstring("too_large") && ContainsSubstring("nested"));
  CHECK_THAT(told(Bytes{std::string(k_reply_bytes_max, 'x')}),
             ContainsSubstring("too_large") && ContainsSubstring("bytes long"));
}

TEST_CASE("what is checked against limits is refused exactly where unpacking refuses it", "[protocol]") {
  Random random(seed());
  constexpr DocumentLimits k_tight{.depth_max = 2, .elements_max = 12, .fields_max = 3};
  for (int i = 0; i < 2'000; ++i) {
    const Document document = random_document(random, 4);
    CHECK(outcome(check(document, k_tight)) == outcome(unpack(pack(document), k_tight)));
  }
}

TEST_CASE("frames come whole however they are cut", "[protocol]") {
  Random random(seed());
  std::string stream;
  for (int i = 1; i <= 20; ++i) stream += frame(std::string(static_cast<std::size_t>(i * i), static_cast<char>(i)));
  FrameBuffer buffer(1'000);
  int next = 1;
  for (std::string_view rest = stream; !rest.empty();) {
    const std::size_t piece = 1 + random.below(std::min<std::size_t>(rest.size(), 50));
    buffer.append(rest.substr(0, piece));
    rest.remove_prefix(piece);
    while (auto message = must(buffer.take())) {
      REQUIRE(*message == std::string(static_cast<std::size_t>(next * next), static_cast<char>(next)));
      ++next;
    }
  }
  CHECK(next == 21);
  CHECK_FALSE(buffer.partial());
}

TEST_CASE("a frame that is empty or too long is refused by its length alone", "[protocol]") {
  FrameBuffer empty(100);
  empty.append(std::string(4, '\0'));
  CHECK(outcome(empty.take()) == "corrupt");
  FrameBuffer longer(100);
  longer.append(frame(std::string(101, 'x')).substr(0, 4));
  CHECK(outcome(longer.take()) == "too_large");
}
