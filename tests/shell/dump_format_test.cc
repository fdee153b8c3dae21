// What `dump` writes and `load` reads: any bytes come back, and nothing else is taken.

#include "shell/dump_format.h"
#include "shell/base64.h"
#include "tests/support/catch.h"
#include "tests/support/seed.h"

#include <actable/options.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace shell;
using actable::test::ContainsSubstring;
using actable::test::Random;
using namespace std::string_literals;

namespace {

/// All entries, when the bytes come in pieces of that size; what is wrong comes
/// last, as the value of an entry without a key.
std::vector<KeyValue> read_in(std::size_t piece, DumpFormat format, std::string_view bytes) {
  const auto reader = DumpReader::make(format);
  std::vector<KeyValue> entries;
  const auto take_all = [&] {
    while (true) {
      auto entry = reader->take();
      if (!entry) {
        CHECK(entry.error().status == k_status_failed);
        entries.push_back({"", entry.error().message});
        return false;
      }
      if (!*entry) return true;
      entries.push_back(**std::move(entry));
    }
  };
  while (!bytes.empty()) {
    reader->append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    if (!take_all()) return entries;
  }
  reader->end();
  (void)take_all();
  return entries;
}

std::vector<KeyValue> read(DumpFormat format, std::string_view bytes) { return read_in(1 << 16, format, bytes); }

std::string written(DumpFormat format, const std::vector<KeyValue>& entries) {
  std::string bytes = dump_header(format);
  DumpSum sum;
  for (const KeyValue& entry : entries) {
    const std::string one = dump_entry(format, entry.key, entry.value);
    sum.add(one);
    bytes += one;
  }
  return bytes + dump_end(format, sum);
}

/// A dump of one entry that breaks off behind it.
std::string begun_with(std::string_view key, std::string_view value) {
  return dump_header(DumpFormat::msgpack) + dump_entry(DumpFormat::msgpack, key, value);
}

/// How many entries there were, and what was wrong then.
std::string outcome(DumpFormat format, std::string_view bytes) {
  auto entries = read(format, bytes);
  std::string wrong;
  if (!entries.empty() && entries.back().key.empty()) {
    wrong = " " + entries.back().value;
    entries.pop_back();
  }
  return std::to_string(entries.size()) + wrong;
}
std::string of_json(std::string_view bytes) { return outcome(DumpFormat::json, bytes); }
std::string of_msgpack(std::string_view bytes) { return outcome(DumpFormat::msgpack, bytes); }

const std::vector<KeyValue> k_hard{
    {"plain", "text"},
    {"empty", ""},
    {std::string(1, '\0'), "\0"s},
    {"\xff\xfe", "\x80"},
    {"new\nline\r\n", "quote \" backslash \\ \x1b[31m \x7f \xc2\x9b"},
    {"aGVsbG8=", "aGVsbG8="},
    {"key_base64", R"({"key": "a", "value": "b"})"},
    {"gr\xc3\xbc\xc3\x9f\x65 \xf0\x9f\x98\x80 \xef\xbf\xbf \xe2\x80\xa8", "\xed\xa0\x80 a surrogate"},
    {"\xc0\x80", "overlong"},
    {"\xef\xbb\xbf", "a byte order mark"},
    {std::string(actable::k_key_bytes_max, '\x01'), std::string(300, '\xfe')},
};

}  // namespace

TEST_CASE("base64 is that of its standard, and has one text for any bytes", "[dump]") {
  const std::vector<std::pair<std::string, std::string>> known{{"", ""},
                                                               {"f", "Zg=="},
                                                               {"fo", "Zm8="},
                                                               {"foo", "Zm9v"},
                                                               {"foob", "Zm9vYg=="},
                                                               {"fooba", "Zm9vYmE="},
                                                               {"foobar", "Zm9vYmFy"},
                                                               {"\xfb\xff\xfe", "+//+"}};
  for (const auto& [bytes, text] : known) {
    CHECK(base64(bytes) == text);
    CHECK(from_base64(text) == bytes);
  }
  for (const char* const text : {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "Zm9v=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==",
                                 " Zg==", "Zm\n9v", "Zm9-", "Zm9_", "Zm9\xff"}) {
    CAPTURE(text);
    CHECK_FALSE(from_base64(text));
  }
}

TEST_CASE("entries come back byte for byte, however the file is cut", "[dump]") {
  for (const DumpFormat format : {DumpFormat::json, DumpFormat::msgpack}) {
    const std::string bytes = written(format, k_hard);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1'000}, bytes.size()}) {
      CAPTURE(piece);
      CHECK(read_in(piece, format, bytes) == k_hard);
    }
  }
}

TEST_CASE("random entries come back, and make the same file again", "[dump]") {
  Random random(actable::test::seed());
  std::vector<KeyValue> entries;
  for (int i = 0; i < 3'000; ++i) {
    const auto bytes = [&random](std::size_t least) {
      std::string of(least + random.below(40), '\0');
      // Of text, of any bytes, and of those that mean something.
      for (char& c : of) {
        c = static_cast<char>(random.one_in(3) ? 0x20 + random.below(0x5f)
                              : random.one_in(2)
                                  ? random.below(256)
                                  : static_cast<unsigned char>("\"\\\n\0\xc3\xa9\xff{"[random.below(8)]));
      }
      return of;
    };
    entries.push_back({bytes(1), bytes(0)});
  }
  for (const DumpFormat format : {DumpFormat::json, DumpFormat::msgpack}) {
    const std::string file = written(format, entries);
    const auto again = read_in(1 + random.below(5'000), format, file);
    REQUIRE(again == entries);
    CHECK(written(format, again) == file);
  }
}

TEST_CASE("the largest entries come back, also where each byte is written as six", "[dump]") {
  for (const char byte : {'x', '\0', '\xff'}) {
    const std::vector<KeyValue> entries{
        {std::string(actable::k_key_bytes_max, byte), std::string(actable::k_value_bytes_max, byte)}, {"k", "v"}};
    for (const DumpFormat format : {DumpFormat::json, DumpFormat::msgpack}) {
      CHECK(read(format, written(format, entries)) == entries);
    }
  }
}

TEST_CASE("text is a string, other bytes are base64 in a field that says so", "[dump]") {
  CHECK(dump_entry(DumpFormat::json, "k", "") == "{\"key\": \"k\", \"value\": \"\"}\n");
  CHECK(dump_entry(DumpFormat::json, "\n\x7f", "\xc3\xa9") ==
        "{\"key\": \"\\u000a\\u007f\", \"value\": \"\xc3\xa9\"}\n");
  CHECK(dump_entry(DumpFormat::json, "\xff", "\xfe\xff") == "{\"key_base64\": \"/w==\", \"value_base64\": \"/v8=\"}\n");
  CHECK(dump_entry(DumpFormat::json, "k", "\xff") == "{\"key\": \"k\", \"value_base64\": \"/w==\"}\n");
}

TEST_CASE("msgpack begins with the format's name and version, then has arrays of two bin", "[dump]") {
  CHECK(dump_header(DumpFormat::msgpack) ==
        "\x82\xa6"
        "format\xac"
        "actable-dump\xa7"
        "version\x01");
  CHECK(dump_entry(DumpFormat::msgpack, "k", "\xff") == "\x92\xc4\x01k\xc4\x01\xff");
  CHECK(dump_entry(DumpFormat::msgpack, "k", "") == "\x92\xc4\x01k\xc4\x00"s);
}

TEST_CASE("what others may write as JSON is read: order, blanks, escapes, CR LF, no end of the last line", "[dump]") {
  const std::vector<KeyValue> expected{{"k", "v\xc3\xa9\xf0\x9f\x98\x80"}, {"\xff", ""}};
  CHECK(read(DumpFormat::json,
             " { \"value\" : \"v\\u00e9\\ud83d\\ude00\" ,\t\"key\":\"\\u006b\" } \r\n"
             "{\"key_base64\":\"/w==\",\"value_base64\":\"\"}") == expected);
  CHECK(read(DumpFormat::json, "{\"key_base64\": \"aw==\", \"value\": \"\"}\n") == std::vector<KeyValue>{{"k", ""}});
  CHECK(of_json("") == "0");
}

TEST_CASE("a line that is wrong is named, with what is wrong; those before it are read", "[dump]") {
  const std::string good = "{\"key\": \"k\", \"value\": \"v\"}\n";
  const std::vector<std::pair<std::string, std::string>> lines{
      {"", "line 3: it is empty"},
      {"  \r", "line 3: it is empty"},
      {"text", "line 3: byte 2: syntax error"},
      {"{\"key\": \"k\", \"value\": \"v\"", "line 3: byte 26: syntax error"},
      {"{\"key\": \"k\", \"value\": \"v\"} x", "line 3: byte 28: syntax error"},
      {"{\"key\": \"k\", \"value\": \"v\"}{}", "line 3: byte 27: syntax error"},
      {"{\"key\": \"k\", \"value\": \"v\"}\0x"s, "line 3: it has a byte 0"},
      {"{\"key\": \"k\", \"value\": \"\\ud800\"}", "surrogate"},
      {"{\"key\": \"k\", \"value\": \"\xff\"}", "UTF-8"},
      {"{\"key\": \"k\", \"value\": \"\x01\"}", "control character"},
      {"{\"key\": \"k\"}", "line 3: it has no value"},
      {"{\"value\": \"v\"}", "line 3: it has no key"},
      {"{}", "line 3: it has no key"},
      {"{\"key\": \"k\", \"value\": 1}", "line 3: what is in value is no string"},
      {"{\"key\": null, \"value\": \"\"}", "line 3: what is in key is no string"},
      {"{\"key\": [\"k\"], \"value\": \"\"}", "line 3: what is in key is no string"},
      {"{\"key\": {\"k\": 1}, \"value\": \"\"}", "line 3: what is in key is no string"},
      {"[\"k\", \"v\"]", "line 3: it is no entry"},
      {"\"k\"", "line 3: it is no entry"},
      {"7", "line 3: it is no entry"},
      {"{\"key\": \"k\", \"key\": \"l\", \"value\": \"\"}", "line 3: it has two keys"},
      {"{\"key\": \"k\", \"value\": \"\", \"value_base64\": \"\"}", "line 3: it has two values"},
      {"{\"key\": \"k\", \"value\": \"\", \"seq\": 1}", "line 3: an entry has no field seq"},
      {"{\"key\": \"k\", \"value_base64\": \"Zg\"}", "line 3: what is in value_base64 is no base64"},
      {"{\"key\": \"\", \"value\": \"\"}", "line 3: the key is empty"},
      {"{\"key\": \"" + std::string(65'536, 'k') + "\", \"value\": \"\"}", "line 3: the key is 65536 bytes long"},
      {"{\"key\": \"k\", \"value\": \"" + std::string(actable::k_value_bytes_max + 1, 'v') + "\"}",
       "line 3: the value is 4194305 bytes long"},
  };
  for (const auto& [line, wrong] : lines) {
    CAPTURE(line.substr(0, 100));
    // With an end and one more behind it, and as the last without.
    const std::string said = of_json(good + good + line + "\n" + good);
    CHECK_THAT(said, ContainsSubstring("2 line 3: ") && ContainsSubstring(wrong));
    if (!line.empty()) CHECK(of_json(good + good + line) == said);
    // However much there is of it: it is for one line of a terminal.
    CHECK(said.size() < 400);
  }
}

TEST_CASE("a line that does not end is given up, and not kept", "[dump]") {
  const auto reader = DumpReader::make(DumpFormat::json);
  reader->append("{\"key\": \"k\", \"value\": \"");
  const std::string piece(1 << 20, ' ');
  std::string wrong;
  for (int i = 0; i < 40 && wrong.empty(); ++i) {
    reader->append(piece);
    if (const auto entry = reader->take(); !entry) wrong = entry.error().message;
  }
  CHECK(wrong == "line 1: it is longer than any entry");
}

TEST_CASE("what is no dump in msgpack is told by its beginning", "[dump]") {
  const std::string header = dump_header(DumpFormat::msgpack);
  for (const std::string& bytes :
       {""s, "{\"key\": \"k\"}"s, header.substr(0, header.size() - 1),
        "\x81\xa6"
        "format\xa1x"s,
        "\xc1"s, "\xdd\xff\xff\xff\xff"s, std::string(5'000, '\x91'), dump_entry(DumpFormat::msgpack, "k", "v")}) {
    CAPTURE(bytes);
    CHECK_THAT(of_msgpack(bytes), ContainsSubstring("0 byte 0: there is no header"));
  }
  std::string later = header;
  later.back() = '\x02';
  CHECK_THAT(of_msgpack(later), ContainsSubstring("0 the dump is of version 2, and this is for version 1"));
  CHECK_THAT(of_msgpack("\x83" + header.substr(1) + "\xa4more\xc3"),
             ContainsSubstring("0 byte 0: the header has fields"));
  CHECK_THAT(of_msgpack(header), ContainsSubstring("0 byte 30: the dump breaks off here, behind 0 whole entries"));
  CHECK(of_msgpack(header + dump_end(DumpFormat::msgpack, {})) == "0");
}

TEST_CASE("a dump in msgpack that was cut short anywhere is refused, one in lines is not between two", "[dump]") {
  const std::string whole = written(DumpFormat::msgpack, k_hard);
  REQUIRE(of_msgpack(whole) == std::to_string(k_hard.size()));
  Random random(actable::test::seed());
  for (int i = 0; i < 300; ++i) {
    const std::string cut = whole.substr(0, random.below(whole.size()));
    CAPTURE(cut.size());
    CHECK_THAT(of_msgpack(cut), ContainsSubstring(" byte "));
  }
  const std::string begun = begun_with("k", "v");
  CHECK_THAT(of_msgpack(begun), ContainsSubstring("1 byte " + std::to_string(begun.size()) +
                                                  ": the dump breaks off here, behind 1 whole entries"));
  const std::string line = dump_entry(DumpFormat::json, "k", "v");
  CHECK(of_json(line) == "1");
  CHECK(dump_end(DumpFormat::json, {.entries = 1, .checksum = 1}).empty());
}

TEST_CASE("the end of a dump in msgpack names the entries and their checksum", "[dump]") {
  const std::string entry = dump_entry(DumpFormat::msgpack, "k", "v"), begun = begun_with("k", "v");
  DumpSum sum;
  sum.add(entry);
  CHECK(dump_end(DumpFormat::msgpack, {.entries = 3, .checksum = 0}) ==
        "\x82\xa7"
        "entries\x03\xa8"
        "checksum\x00"s);
  CHECK(of_msgpack(begun + dump_end(DumpFormat::msgpack, sum)) == "1");
  const auto with = [&begun](const DumpSum& other) { return of_msgpack(begun + dump_end(DumpFormat::msgpack, other)); };
  CHECK_THAT(with({.entries = 2, .checksum = sum.checksum}), ContainsSubstring("it has 2 entries, and there are 1"));
  CHECK_THAT(with({.entries = 1, .checksum = sum.checksum + 1}), ContainsSubstring("their checksum differs"));
  // Entries in another order are other entries.
  DumpSum other, again;
  other.add(entry);
  other.add(dump_entry(DumpFormat::msgpack, "l", "v"));
  again.add(dump_entry(DumpFormat::msgpack, "l", "v"));
  again.add(entry);
  CHECK(other.checksum != again.checksum);
  CHECK_THAT(of_msgpack(begun + dump_end(DumpFormat::msgpack, sum) + "\xc0"),
             ContainsSubstring("there is more behind the dump's end"));
  CHECK_THAT(of_msgpack(begun + "\x82\xa7" + "entries\x01\xa5" + "other\x00"s),
             ContainsSubstring("nor the dump's end"));
}

TEST_CASE("a byte order mark is at the beginning of the file or nowhere", "[dump]") {
  const std::string mark = "\xef\xbb\xbf", line = "{\"key\": \"k\", \"value\": \"v\"}\n";
  CHECK(of_json(mark + line + line) == "2");
  CHECK_THAT(of_json(line + mark + line), ContainsSubstring("1 line 2: it begins with a byte order mark"));
}

TEST_CASE("an object that is wrong is named by where it begins; those before it are read", "[dump]") {
  const std::string begun = begun_with("k", "v");
  const std::string at = "1 byte " + std::to_string(begun.size()) + ": ";
  const std::string entry = dump_entry(DumpFormat::msgpack, "key", "value");
  for (std::size_t bytes = 1; bytes < entry.size(); ++bytes) {
    CHECK(of_msgpack(begun + entry.substr(0, bytes)) == at + "it is cut short");
  }
  for (const std::string& other :
       {"\xc0"s, "\xc3"s, "\x01"s, "\xff"s, "\xca\x00\x00\x00\x00"s, "\xcb" + std::string(8, '\0'), "\xa1k"s,
        "\xc4\x01k"s, "\xd4\x01\x02"s, "\x80"s, "\x90"s, "\x91\xc4\x01k"s, "\x93\xc4\x01k\xc4\x01v\xc0"s,
        "\x92\xa1k\xc4\x01v"s, "\x92\xc4\x01k\xa1v"s, "\x92\x92\xc4\x01k\xc4\x01v\xc4\x01v"s, "\x92\xc4\x01k\xc0"s,
        "\xdf\xff\xff\xff\xff"s}) {
    CAPTURE(other);
    CHECK_THAT(of_msgpack(begun + other + entry), ContainsSubstring(at + "it is no entry"));
  }
  CHECK(of_msgpack(begun + "\xc1" + entry) == at + "it is no msgpack");
  CHECK_THAT(of_msgpack(begun + dump_entry(DumpFormat::msgpack, "", "v")), ContainsSubstring(at + "the key is empty"));
  CHECK_THAT(of_msgpack(begun + dump_entry(DumpFormat::msgpack, std::string(65'536, 'k'), "v")),
             ContainsSubstring(at + "the key is 65536 bytes long"));
  CHECK_THAT(of_msgpack(begun + dump_entry(DumpFormat::msgpack, "k", std::string(actable::k_value_bytes_max + 1, 'v'))),
             ContainsSubstring(at + "the value is 4194305 bytes long"));
}

TEST_CASE("an object that claims more than an entry has is given up before that has come", "[dump]") {
  const auto reader = DumpReader::make(DumpFormat::msgpack);
  reader->append(dump_header(DumpFormat::msgpack) + "\x92\xc4\x01k\xc6\xff\xff\xff\xff");
  const std::string piece(1 << 20, 'v');
  std::string wrong;
  int pieces = 0;
  for (; pieces < 40 && wrong.empty(); ++pieces) {
    reader->append(piece);
    if (const auto entry = reader->take(); !entry) wrong = entry.error().message;
  }
  CHECK_THAT(wrong, ContainsSubstring("it is longer than any entry"));
  CHECK(pieces == 5);
}

TEST_CASE("any bytes are entries or refused", "[dump]") {
  Random random(actable::test::seed() + 1);
  for (int i = 0; i < 3'000; ++i) {
    for (const DumpFormat format : {DumpFormat::json, DumpFormat::msgpack}) {
      std::string file = written(format, {{"key", "value"}, {"\xff", "\xfe\x01"}, {"other", std::string(40, 'x')}});
      for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
        const std::size_t at = random.below(file.size());
        if (random.one_in(3)) {
          file.erase(at, 1 + random.below(4));
        } else {
          file[at] = static_cast<char>(random.below(256));
        }
        if (file.empty()) break;
      }
      const auto entries = read(format, file);
      // Who refuses says why, and an entry that was taken is one that can be stored.
      for (const KeyValue& entry : entries) CHECK((!entry.key.empty() || &entry == &entries.back()));
      if (!entries.empty() && entries.back().key.empty()) CHECK(!entries.back().value.empty());
      CHECK(entries.size() <= 4);
    }
  }
}
