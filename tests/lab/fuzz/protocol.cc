// The debug protocol: any bytes are a message or refused, in memory in proportion
// to them, and what was taken comes back when it is encoded. The first byte of
// the input says which message; for frames the second says where they are cut.

#include "debug/protocol.h"
#include "tests/lab/fuzz/expect.h"
#include "tests/lab/fuzz/memory_meter.h"
#include "tests/support/seed.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace actable::lab::fuzz {
namespace {

// An element takes a byte of input at least, and of memory a document (48 bytes),
// a name where it is a field (32), and as much again while a vector grows and
// where a part of a message is copied out of it.
constexpr std::size_t k_memory_factor = 512;
constexpr std::size_t k_memory_bytes = 64 << 10;

void expect_refusal(const Error& error) {
  expect(error.code == ErrorCode::corrupt || error.code == ErrorCode::too_large || error.code == ErrorCode::unsupported,
         "refused as " + std::string(to_string(error.code)));
  expect(!error.message.empty(), "refused without a word");
}

/// A message that was taken is the same when it is encoded and decoded again.
template <class Decode>
void check(std::string_view bytes, Decode decode) {
  const MemoryMeter meter;
  const auto message = decode(bytes);
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (!message) return expect_refusal(message.error());
  const std::string once = debug::encode(*message);
  const auto again = decode(once);
  expect(again.has_value(), "what was encoded is refused");
  expect(debug::encode(*again) == once, "encoded twice, the bytes differ");
}

/// As the other messages; but it fails also with the error that it brings.
void check_welcome(std::string_view bytes) {
  const auto message = debug::decode_welcome(bytes);
  if (!message) return;
  const std::string once = debug::encode(*message);
  const auto again = debug::decode_welcome(once);
  expect(again.has_value() && debug::encode(*again) == once, "a welcome does not come back");
}

void check_document(std::string_view bytes) {
  constexpr debug::DocumentLimits k_limits{.depth_max = 64, .elements_max = 1 << 16, .fields_max = 64};
  const MemoryMeter meter;
  const auto document = debug::unpack(bytes, k_limits);
  meter.expect_within(bytes.size(), k_memory_factor, k_memory_bytes);
  if (!document) return expect_refusal(document.error());
  const std::string once = debug::pack(*document);
  const auto again = debug::unpack(once, k_limits);
  expect(again.has_value() && debug::pack(*again) == once, "a document does not come back");
}

std::vector<std::string> messages(std::string_view bytes, std::uint64_t cuts) {
  test::Random random(cuts);
  debug::FrameBuffer buffer(debug::k_request_bytes_max);
  std::vector<std::string> found;
  while (!bytes.empty()) {
    const std::size_t piece = cuts == 0 ? bytes.size() : 1 + random.below(bytes.size());
    buffer.append(bytes.substr(0, piece));
    bytes.remove_prefix(piece);
    while (true) {
      auto message = buffer.take();
      if (!message) {
        expect_refusal(message.error());
        found.emplace_back("refused");
        return found;
      }
      if (!*message) break;
      found.push_back(**std::move(message));
    }
  }
  return found;
}

}  // namespace
}  // namespace actable::lab::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace actable::lab::fuzz;
  namespace debug = actable::debug;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      check(bytes, debug::decode_hello);
      break;
    case 1:
      check_welcome(bytes);
      break;
    case 2:
      check(bytes, debug::decode_request);
      break;
    case 3:
      check(bytes, debug::decode_reply);
      break;
    case 4:
      check_document(bytes);
      break;
    default:
      expect(messages(bytes.substr(1), 0) == messages(bytes.substr(1), data[1]), "cut in another way, frames differ");
      break;
  }
  return 0;
}
