#include "base/control_record.h"

#include "tests/support/catch.h"

#include <string>
#include <string_view>
#include <vector>

namespace actable::base {
namespace {

[[nodiscard]] bool unpacks(std::string_view bytes) {
  try {
    (void)unpack_fields(std::as_bytes(std::span(bytes)));
    return true;
  } catch (const msgpack::unpack_error&) {
    return false;
  }
}

[[nodiscard]] std::string repeated(std::string_view part, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += part;
  return text;
}

TEST_CASE("a control record's claims are believed as far as its bytes go") {
  CHECK(unpacks("\x91\x07"));
  // Sixty-four fields, and one more, with all their bytes.
  CHECK(unpacks(std::string("\xdc\x00\x40", 3) + std::string(64, '\x01')));
  CHECK_FALSE(unpacks(std::string("\xdc\x00\x41", 3) + std::string(65, '\x01')));
  CHECK(unpacks(std::string("\xde\x00\x40", 3) + std::string(128, '\x01')));
  CHECK_FALSE(unpacks(std::string("\xde\x00\x41", 3) + std::string(130, '\x01')));
  // Claims without the bytes.
  CHECK_FALSE(unpacks("\xdd\xff\xff\xff\xff"));
  CHECK_FALSE(unpacks("\xdf\xff\xff\xff\xff"));
  CHECK_FALSE(unpacks("\x91\xdb\xff\xff\xff\xff"));
  CHECK_FALSE(unpacks("\x91\xc6\xff\xff\xff\xff"));
  CHECK_FALSE(unpacks("\x91\xc9\xff\xff\xff\xff\x01"));
  // One inside the other: to a depth, and beyond.
  CHECK(unpacks(repeated("\x91", 4) + "\x01"));
  CHECK_FALSE(unpacks(repeated("\x91", 6) + "\x01"));
  CHECK_FALSE(unpacks(repeated("\x8f", 100)));
}

}  // namespace
}  // namespace actable::base
