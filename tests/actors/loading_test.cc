// Many keys, and values that no request has room for, through the debug actor.

#include "debug/protocol.h"
#include "tests/actors/inspector_scene.h"
#include "tests/support/catch.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/wait.h"

#include <chrono>

using namespace actable;
using namespace actable::test;
using debug::Bytes;
using debug::Document;
using List = Document::List;
using Map = Document::Map;

namespace {

Map entries(List list, const char* space = "s") { return {{"space", space}, {"entries", std::move(list)}}; }

Map part(const char* key, std::size_t offset, std::string value, bool last) {
  return {{"space", "s"}, {"key", Bytes{key}}, {"offset", offset}, {"value", Bytes{std::move(value)}}, {"last", last}};
}

std::string last_line(const Scene& scene) {
  return scene.lines.empty() ? "" : scene.lines.back().substr(scene.lines.back().find("): ") + 3);
}

}  // namespace

TEST_CASE("many entries are put in their order, each for itself", "[loading]") {
  Scene scene;
  const Document answer =
      scene.must_ask("put_many", entries({Bytes{"a"}, Bytes{"1"}, Bytes{"\xff"}, Bytes{""}, Bytes{"a"}, Bytes{"2"}}));
  CHECK(answer["stored"].number() == 3);
  CHECK(answer["seq"].number() > 0);
  CHECK(must(scene.space.get("a")) == "2");
  CHECK(must(scene.space.get("\xff")) == "");
  CHECK(scene.must_ask("put_many", entries({})) == Document(Map{{"stored", 0U}, {"seq", 0U}}));
}

TEST_CASE("what is refused ends the request, and how far it came is told", "[loading]") {
  Scene scene;
  const Document answer =
      scene.must_ask("put_many", entries({Bytes{"a"}, Bytes{"1"}, Bytes{""}, Bytes{"2"}, Bytes{"b"}, Bytes{"3"}}));
  CHECK(answer["stored"].number() == 1);
  CHECK(must(scene.space.get("a")) == "1");
  CHECK_FALSE(must(scene.space.get("b")));
  // Sent again from there on, the reason comes.
  const auto refused = scene.ask("put_many", entries({Bytes{""}, Bytes{"2"}, Bytes{"b"}, Bytes{"3"}}));
  CHECK(outcome(refused) == "invalid_argument");
  CHECK_THAT(message(refused), ContainsSubstring("the key is empty"));
  CHECK_FALSE(must(scene.space.get("b")));
}

TEST_CASE("entries that are no pairs of bytes, or too many, are refused as a whole", "[loading]") {
  Scene scene;
  CHECK(outcome(scene.ask("put_many", entries({Bytes{"a"}}))) == "invalid_argument");
  CHECK(outcome(scene.ask("put_many", entries({Bytes{"a"}, Bytes{"1"}, "b", Bytes{"2"}}))) == "invalid_argument");
  CHECK(outcome(scene.ask("put_many", entries({Bytes{"a"}, 1U}))) == "invalid_argument");
  CHECK(outcome(scene.ask("put_many", {{"space", "s"}, {"entries", Bytes{"a"}}})) == "invalid_argument");
  CHECK(outcome(scene.ask("put_many", {{"space", "s"}})) == "invalid_argument");
  CHECK(outcome(scene.ask("put_many", entries(List(2 * debug::k_put_many_max + 2, Bytes{"k"})))) == "invalid_argument");
  CHECK(outcome(scene.ask("put_many", entries({}, "none"))) == "not_found");
  CHECK(outcome(scene.ask("put_many", entries({}), 1, false)) == "unsupported");
  CHECK(scene.space.size() == 0);
}

TEST_CASE("as many entries as there may be fit into a request", "[loading]") {
  Scene scene;
  const List most(2 * debug::k_put_many_max, Bytes{"k"});
  const auto request = debug::decode_request(debug::encode(debug::Request{7, "put_many", Document(entries(most))}));
  REQUIRE(request);
  CHECK(scene.must_ask("put_many", *request->arguments.as<Map>())["stored"].number() == debug::k_put_many_max);
}

TEST_CASE("a value comes in parts, and is put when the last one has come", "[loading]") {
  Scene scene;
  const std::string half(k_value_bytes_max / 2, 'x');
  CHECK(scene.must_ask("put_part", part("k", 0, half, false)) == Document(Map{{"stored", 0U}, {"seq", 0U}}));
  CHECK_FALSE(must(scene.space.get("k")));
  CHECK(scene.must_ask("put_part", part("k", half.size(), half, true))["stored"].number() == 1);
  CHECK(must(scene.space.get("k")) == half + half);
  // One part may be all.
  scene.must_ask("put_part", part("k", 0, "v", true));
  CHECK(must(scene.space.get("k")) == "v");
}

TEST_CASE("a part that does not follow what has come is refused", "[loading]") {
  Scene scene;
  const auto asked = [&](const char* key, std::size_t offset, bool last, std::uint64_t client = 1) {
    return outcome(scene.ask("put_part", part(key, offset, "part", last), client));
  };
  CHECK(asked("k", 4, true) == "invalid_argument");
  CHECK(asked("k", 0, false) == "ok");
  CHECK(asked("k", 3, true) == "invalid_argument");
  CHECK(asked("k", 8, true) == "invalid_argument");
  CHECK(asked("other", 4, true) == "invalid_argument");
  CHECK(asked("k", 4, true, 2) == "invalid_argument");
  // It is still there, until another begins.
  CHECK(asked("k", 4, true) == "ok");
  CHECK(must(scene.space.get("k")) == "partpart");
  CHECK(asked("k", 0, false) == "ok");
  CHECK(asked("k", 0, false) == "ok");
  CHECK(asked("k", 4, true) == "ok");
  CHECK(asked("", 0, true) == "invalid_argument");
  // Once more, and it is gone: the value was put.
  CHECK(asked("k", 8, true) == "invalid_argument");
}

TEST_CASE("parts are of one space, and go with what else the session begins, and with the session", "[loading]") {
  Scene scene;
  (void)must(scene.stage.store().space("t"));
  const auto goes_on = [&] { return outcome(scene.ask("put_part", part("k", 1, "b", true))); };
  scene.must_ask("put_part", part("k", 0, "a", false));
  scene.must_ask("put_many", entries({}, "t"));
  CHECK(goes_on() == "invalid_argument");
  scene.must_ask("put_part", part("k", 0, "a", false));
  scene.inspector.forget(1);
  CHECK(goes_on() == "invalid_argument");
  scene.must_ask("put_part", part("k", 0, "a", false));
  scene.must_ask("count", {{"space", "s"}, {"prefix", Bytes{""}}});
  CHECK(goes_on() == "invalid_argument");
}

TEST_CASE("parts are not kept beyond what a value may have", "[loading]") {
  Scene scene;
  scene.must_ask("put_part", part("k", 0, std::string(k_value_bytes_max - 1, 'x'), false));
  const auto refused = scene.ask("put_part", part("k", k_value_bytes_max - 1, "xx", false));
  CHECK(outcome(refused) == "too_large");
  CHECK(outcome(scene.ask("put_part", part("k", k_value_bytes_max - 1, "x", true))) == "invalid_argument");
  CHECK(outcome(scene.ask("put_part", part("k", k_value_bytes_max + 1, "x", true))) == "invalid_argument");
  // It begins anew.
  CHECK(scene.must_ask("put_part", part("k", 0, "v", true))["stored"].number() == 1);
  CHECK(must(scene.space.get("k")) == "v");
}

TEST_CASE("what a slow disk has no room for is refused, and taken when it is sent again", "[loading]") {
  const TemporaryDirectory directory;
  FaultyFileSystem files;
  Options options = lazy_store(directory / "store");
  options.staging_bytes = std::size_t{1} << 20;
  Scene scene(options, files);
  must(scene.stage.store().sync());
  files.delay(Call::write, std::chrono::seconds(60));
  const std::string value(20'000, 'v');
  std::uint64_t stored = 0;
  std::string refused;
  for (int i = 0; i < 100 && refused.empty(); ++i) {
    List seven;
    for (int j = 0; j < 7; ++j) {
      seven.emplace_back(Bytes{std::to_string(i * 7 + j)});
      seven.emplace_back(Bytes{value});
    }
    const auto answer = scene.ask("put_many", entries(std::move(seven)));
    const std::uint64_t these = answer ? (*answer)["stored"].number() : 0;
    stored += these;
    if (these < 7) refused = answer ? "in its midst" : outcome(answer);
  }
  CHECK((refused == "in its midst" || refused == "overloaded"));
  CHECK(scene.space.size() == stored);
  CHECK(must(scene.space.get(std::to_string(stored - 1))) == value);
  CHECK(outcome(scene.ask("put_many", entries({Bytes{"k"}, Bytes{value}}))) == "overloaded");

  scene.must_ask("put_part", part("parts", 0, value, false));
  const auto last = [&] { return scene.ask("put_part", part("parts", value.size(), value, true)); };
  CHECK(outcome(last()) == "overloaded");
  CHECK_FALSE(must(scene.space.get("parts")));
  files.heal();
  until("there is room", [&] { return last().has_value(); });
  CHECK(must(scene.space.get("parts")) == value + value);
}

TEST_CASE("a load leaves two lines in the host's log, however many requests it takes", "[loading]") {
  Scene scene;
  const std::size_t before = scene.lines.size();
  for (int i = 0; i < 5; ++i) scene.must_ask("put_many", entries({Bytes{std::to_string(i)}, Bytes{"v"}}));
  scene.must_ask("put_part", part("k", 0, "1234", false));
  scene.must_ask("put_part", part("k", 4, "5678", true));
  REQUIRE(scene.lines.size() == before + 1);
  CHECK_THAT(scene.lines.back(),
             ContainsSubstring("debug shell (user 7, process 8, \"a\\x1b[1m\"): begins to load keys "
                               "into the space \"s\""));
  scene.must_ask("sync");
  REQUIRE(scene.lines.size() == before + 3);
  CHECK_THAT(scene.lines[before + 1], ContainsSubstring("loaded 6 keys, 19 bytes, into the space \"s\""));
  // A client that goes without it.
  scene.must_ask("put_many", entries({Bytes{"k"}, Bytes{"v"}}));
  scene.inspector.forget(1);
  CHECK(scene.lines.size() == before + 5);
  CHECK(last_line(scene) == "loaded 1 keys, 2 bytes, into the space \"s\"");
}
