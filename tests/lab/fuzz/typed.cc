// Typed values: any bytes unpack to a type or are refused, in memory in
// proportion to them. The first byte of the input says to which type.

#include "tests/lab/fuzz/expect.h"
#include "tests/lab/fuzz/memory_meter.h"

#include <actable/typed.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actable::lab::fuzz {
namespace {

struct Session {
  std::string user;
  std::vector<std::uint32_t> visited;
  std::map<std::string, double> scores;
  std::int64_t expires_ms = 0;
  MSGPACK_DEFINE(user, visited, scores, expires_ms)
};

struct Tree {
  std::vector<Tree> children;
  MSGPACK_DEFINE(children)
};

// An element takes a byte of input at least, and of memory an object of msgpack
// (24 bytes), the largest of the types' own elements (a node of a map, a
// Session: under 200), and again as much while a vector grows.
constexpr std::size_t k_memory_factor = 512;
constexpr std::size_t k_memory_bytes = 128 << 10;

/// What was unpacked packs, and comes back as the same bytes.
template <class T>
void check(std::string_view bytes) {
  const MemoryMeter meter;
  const auto value = typed::unpack<T>(bytes);
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (!value) {
    expect(value.error().code == ErrorCode::corrupt, "neither unpacked nor corrupt: " + value.error().message);
    return;
  }
  const auto packed = typed::pack(*value);
  expect(packed.has_value(), "what was unpacked does not pack");
  const auto again = typed::unpack<T>(*packed);
  expect(again.has_value(), "what was packed does not unpack");
  expect(typed::pack(*again).value() == *packed, "packed twice, the bytes differ");
}

}  // namespace
}  // namespace actable::lab::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actable::lab::fuzz;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      check<Session>(bytes);
      break;
    case 1:
      check<Tree>(bytes);
      break;
    case 2:
      check<std::vector<std::optional<int>>>(bytes);
      break;
    case 3:
      check<std::map<std::string, std::vector<Session>>>(bytes);
      break;
    case 4:
      check<std::string>(bytes);
      break;
    default:
      check<std::vector<std::vector<std::string>>>(bytes);
      break;
  }
  (void)actable::typed::printable(bytes);
  return 0;
}
