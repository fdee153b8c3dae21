#include "base/bytes.h"
#include "tests/support/catch.h"

#include <string>

namespace actable::base {
namespace {

// Beyond the lengths that have a way of their own.
constexpr std::size_t k_bytes_max = 70;

std::string some_bytes(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i + 1);
  return text;
}

}  // namespace

TEST_CASE("bytes are equal when each of them is") {
  for (std::size_t bytes = 0; bytes <= k_bytes_max; ++bytes) {
    const std::string text = some_bytes(bytes);
    CHECK(equal_bytes(text.data(), std::string(text).data(), bytes));
    for (std::size_t at = 0; at < bytes; ++at) {
      std::string other = text;
      other[at] = static_cast<char>(other[at] ^ 0x80);
      INFO("byte " << at << " of " << bytes);
      CHECK_FALSE(equal_bytes(text.data(), other.data(), bytes));
    }
  }
}

TEST_CASE("what lies behind the bytes makes no difference") {
  for (std::size_t bytes = 0; bytes <= k_bytes_max; ++bytes) {
    CHECK(equal_bytes((some_bytes(bytes) + "a").data(), (some_bytes(bytes) + "b").data(), bytes));
  }
}

TEST_CASE("all bytes are copied and none beside them") {
  for (std::size_t bytes = 0; bytes <= k_bytes_max; ++bytes) {
    const std::string text = some_bytes(bytes);
    std::string to(bytes + 2, '#');
    copy_bytes(to.data() + 1, text.data(), bytes);
    CHECK(to == "#" + text + "#");
  }
}

TEST_CASE("a string is assigned whatever it held and had room for") {
  for (const std::size_t before : {0, 1, 15, 16, 17, 100}) {
    for (std::size_t bytes = 0; bytes <= k_bytes_max; ++bytes) {
      std::string to(before, '#');
      assign_bytes(to, some_bytes(bytes));
      CHECK(to == some_bytes(bytes));
    }
  }
}

}  // namespace actable::base
