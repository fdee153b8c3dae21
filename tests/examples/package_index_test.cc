#include "examples/packages/package_index.h"

#include <actable/options.h>

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.h"

using actable::ErrorCode;
using packages::PackageIndex;

namespace {

PackageIndex parsed(std::string text) { return PackageIndex::parse(std::move(text), "avail").value(); }

std::vector<std::string> keys(const PackageIndex& index) {
  std::vector<std::string> found;
  for (const auto& package : index.packages()) found.push_back(package.key);
  return found;
}

std::string message(std::string text) { return PackageIndex::parse(std::move(text), "avail").error().message; }

}  // namespace

TEST_CASE("an empty file lists no packages") {
  for (const char* text : {"", "\n", "\n\n\n", "\r\n"}) {
    const PackageIndex index = parsed(text);
    REQUIRE(index.packages().empty());
    REQUIRE(index.payload_bytes() == 0);
  }
}

TEST_CASE("a stanza is kept whole, without the blank line behind it") {
  const std::string hello = "Package: hello\nVersion: 1\nTag: a,\n b\n";
  const std::string zlib = "Version: 2\nPackage: zlib\n";
  const PackageIndex index = parsed(hello + "\n" + zlib + "\n");
  REQUIRE(keys(index) == std::vector<std::string>{"hello", "zlib"});
  REQUIRE(index.packages()[0].stanza == hello);
  REQUIRE(index.packages()[0].line == 1);
  REQUIRE(index.packages()[1].stanza == zlib);
  REQUIRE(index.packages()[1].line == 6);
  REQUIRE(index.shared_names() == 0);
  REQUIRE(index.payload_bytes() == hello.size() + zlib.size() + 9);
}

TEST_CASE("the last line needs no end") {
  const PackageIndex index = parsed("Package: hello\nVersion: 1");
  REQUIRE(keys(index) == std::vector<std::string>{"hello"});
  REQUIRE(index.packages()[0].stanza == "Package: hello\nVersion: 1");
}

TEST_CASE("several blank lines separate like one") {
  const PackageIndex index = parsed("\n\nPackage: a\n\n\n\nPackage: b\n");
  REQUIRE(keys(index) == std::vector<std::string>{"a", "b"});
  REQUIRE(index.packages()[0].line == 3);
  REQUIRE(index.packages()[1].line == 7);
}

TEST_CASE("lines may end in CR LF") {
  const PackageIndex index = parsed("Package: a\r\nVersion: 1\r\n\r\nPackage: b\r\n");
  REQUIRE(keys(index) == std::vector<std::string>{"a", "b"});
  REQUIRE(index.packages()[0].stanza == "Package: a\r\nVersion: 1\r\n");
}

TEST_CASE("a stanza without a name is refused, naming its line") {
  REQUIRE(PackageIndex::parse("Version: 1\n", "avail").error().code == ErrorCode::invalid_argument);
  REQUIRE(message("Version: 1\n").starts_with("avail:1: "));
  REQUIRE(message("Package: a\n\nVersion: 1\n\nPackage: b\n").starts_with("avail:3: "));
  REQUIRE(message("Package: \n").starts_with("avail:1: "));
  REQUIRE(message(" Package: continued\n").starts_with("avail:1: "));
  REQUIRE(message("no index at all").find("apt-cache dumpavail") != std::string::npos);
}

TEST_CASE("a name or a stanza that no store takes is refused, naming its line") {
  const std::string long_name(actable::k_key_bytes_max + 1, 'n');
  REQUIRE(PackageIndex::parse("Package: " + long_name, "avail").error().code == ErrorCode::too_large);
  const std::string long_line(actable::k_value_bytes_max, 'd');
  REQUIRE(message("Package: a\n\nPackage: b\nDescription: " + long_line).starts_with("avail:3: "));
}

TEST_CASE("records that share a name get keys of their own, and none is lost") {
  const PackageIndex index = parsed(
      "Package: a\nVersion: 1\nArchitecture: amd64\n\n"
      "Package: b\nVersion: 1\nArchitecture: all\n\n"
      "Package: a\nVersion: 1\nArchitecture: i386\n\n"
      "Package: a\nVersion: 2\nArchitecture: amd64\n\n"
      "Package: a\nVersion: 2\nArchitecture: amd64\n\n"
      "Package: c\n\n"
      "Package: c\n");
  REQUIRE(keys(index) ==
          std::vector<std::string>{"a:amd64=1", "b", "a:i386=1", "a:amd64=2", "a:amd64=2#2", "c:=", "c:=#2"});
  REQUIRE(index.shared_names() == 6);
}

TEST_CASE("a name that looks like a made key takes nothing away") {
  const PackageIndex index = parsed("Package: a:=\n\nPackage: a\n\nPackage: a\n");
  const std::vector<std::string> found = keys(index);
  REQUIRE(std::set(found.begin(), found.end()).size() == 3);
  REQUIRE(found[0] == "a:=");
}

TEST_CASE("the views hold when the index is moved") {
  PackageIndex index = parsed("Package: a\n");
  const PackageIndex moved = std::move(index);
  REQUIRE(moved.packages()[0].stanza == "Package: a\n");
}

TEST_CASE("a file that is not there is named") {
  const auto index = PackageIndex::read("/nonexistent/avail");
  REQUIRE(index.error().code == ErrorCode::io_error);
  REQUIRE(index.error().message.find("/nonexistent/avail") != std::string::npos);
}
