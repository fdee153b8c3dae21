// Words of command lines, and how figures and bytes are written.

#include "shell/words.h"
#include "shell/text.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

using namespace shell;
using actable::debug::Bytes;
using actable::debug::Document;
using actable::test::Random;

TEST_CASE("a line is parted into words, and quotes hold them together", "[words]") {
  CHECK(split("").value().empty());
  CHECK(split("  \t ").value().empty());
  CHECK(split("get ada").value() == Words{"get", "ada"});
  CHECK(split("  put  'a b'  \"c d\"\t").value() == Words{"put", "a b", "c d"});
  CHECK(split("a'b'\"c\"d").value() == Words{"abcd"});
  CHECK(split("''").value() == Words{""});
  CHECK(split(R"('a\n"')").value() == Words{R"(a\n")"});
  CHECK(split(R"("a\n\t\\\"\x00\xfF")").value() == Words{std::string("a\n\t\\\"\0\xff", 7)});
}

TEST_CASE("an open quote and an escape that is none are refused with the remedy", "[words]") {
  for (const char* const line : {"get 'ada", "get \"ada", "get \"ada\\\"", R"("\q")", R"("\x1")", R"("\xg0")"}) {
    CAPTURE(line);
    const auto words = split(line);
    REQUIRE_FALSE(words);
    CHECK(words.error().status == k_status_not_asked);
    CHECK(words.error().message.find('\n') == std::string::npos);
  }
}

TEST_CASE("any bytes can be written as a word and come back", "[words]") {
  CHECK(as_word("ada") == "ada");
  CHECK(as_word("user:1") == "user:1");
  CHECK(as_word("") == "\"\"");
  CHECK(as_word("a b") == "\"a b\"");
  CHECK(as_word("gr\xc3\xbc\xc3\x9f\x65") == "gr\xc3\xbc\xc3\x9f\x65");
  CHECK(as_word(std::string_view("\0\xff", 2)) == "\"\\x00\\xff\"");
  Random random(actable::test::seed());
  for (int i = 0; i < 5'000; ++i) {
    std::string bytes(random.below(20), '\0');
    for (char& c : bytes) c = static_cast<char>(random.one_in(2) ? random.below(256) : 0x20 + random.below(0x5f));
    const auto words = split("x " + as_word(bytes));
    REQUIRE(words);
    REQUIRE(*words == Words{"x", bytes});
  }
}

TEST_CASE("the nearest name is one with few letters wrong, or the one that was begun", "[words]") {
  const std::vector<std::string> names{"get", "scan", "spaces", "actors", "latency doctor"};
  CHECK(nearest("gt", names) == "get");
  CHECK(nearest("spaecs", names) == "spaces");
  CHECK(nearest("acto", names) == "actors");
  CHECK(nearest("latency", names) == "latency doctor");
  CHECK(nearest("frobnicate", names).empty());
  CHECK(nearest("gte", {"get", "set"}) == "get");
  CHECK(nearest("soet", {"store", "set", "sets"}) == "set");
  CHECK(nearest("foo", {"top", "log", "hot"}).empty());
}

TEST_CASE("figures are as people read them", "[text]") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1'000) == "1,000");
  CHECK(count_text(1'234'567) == "1,234,567");
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1'536) == "1.5 KiB");
  CHECK(bytes_text(64.0 * 1024 * 1024) == "64.0 MiB");
  CHECK(time_text(0) == "0 us");
  CHECK(time_text(0.085) == "85 ns");
  CHECK(time_text(12) == "12 us");
  CHECK(time_text(3'400) == "3.4 ms");
  CHECK(time_text(2e6) == "2.0 s");
  CHECK(time_text(600e6) == "10 min");
  CHECK(rate_text(0.5) == "0.5 /s");
  CHECK(rate_text(12'300) == "12.3 k/s");
  CHECK(percent_text(0.123) == "12.3 %");
}

TEST_CASE("a value is shown as text, as JSON where it is msgpack, or in hexadecimal", "[text]") {
  constexpr auto k_auto = ValueView::automatic;
  CHECK(value_text("plain text", k_auto, 100) == "plain text");
  CHECK(value_text("two\nlines", k_auto, 100) == "two\nlines");
  CHECK(value_text("\x82\xa1k\x01\xa1l\x92\xc0\xc3", k_auto, 100) == R"({"k": 1, "l": [null, true]})");
  CHECK(value_text(std::string_view("\0\xff", 2), k_auto, 100) == "00ff");
  CHECK(value_text("\xcf", k_auto, 100) == "cf");
  CHECK(value_text("text", ValueView::hex, 100) == "74657874");
  CHECK(value_text("\x07", ValueView::json, 100) == "7");
  CHECK(value_text("\x1b[31m", ValueView::text, 100) == "\\x1b[31m");
  CHECK(value_text("\xc2\x9b\x33\x31m\t\n\x7f\xff", ValueView::text, 100) == "\\xc2\\x9b31m\t\n\\x7f\\xff");
  CHECK(value_text(std::string(2'000, 'x'), k_auto, 5) == "xxxxx... (2,000 bytes)");
  CHECK(value_text("gr\xc3\xbc\xc3\x9f\x65", k_auto, 3) == "gr... (7 bytes)");
}

TEST_CASE("documents are JSON", "[text]") {
  const Document document = Document::Map{{"null", Document()},
                                          {"true", true},
                                          {"numbers", Document::List{0U, -1, 1.5}},
                                          {"text", "quote \" backslash \\ newline \n"},
                                          {"bytes", Bytes{"utf-8"}},
                                          {"binary", Bytes{std::string("\0\xff", 2)}}};
  CHECK(json_text(Document("\x1b \x7f \xc2\x9b \xc3\xa9 \xff")) == R"("\u001b \u007f \u009b )"
                                                                   "\xc3\xa9"
                                                                   R"( \\xff")");
  CHECK(json_text(document) ==
        R"({"null": null, "true": true, "numbers": [0, -1, 1.5], "text": "quote \" backslash \\ newline \u000a", )"
        R"("bytes": "utf-8", "binary": {"hex": "00ff"}})");
}
