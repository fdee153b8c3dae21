#pragma once

#include "debug/document.h"

#include <actable/result.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

/// The messages of the debug protocol; docs/debug-protocol.md is the reference.
/// Decoders take any bytes, and fail with
///   corrupt      they are no such message
///   too_large    they are beyond the limits
///   unsupported  they are of another version of the protocol
///
/// Thread safety: pure functions, and values *confined* to whoever holds them.
namespace actable::debug {

inline constexpr std::uint64_t k_protocol_version = 1;

inline constexpr std::size_t k_request_bytes_max = std::size_t{1} << 20;
/// A key and a value of the greatest length, and what stands around them.
inline constexpr std::size_t k_reply_bytes_max = std::size_t{5} << 20;
inline constexpr std::size_t k_command_bytes_max = 64;
inline constexpr std::size_t k_client_bytes_max = 48;
/// Entries of one `put_many`: as many as the limits of a request have room for.
inline constexpr std::size_t k_put_many_max = 120;
/// Of each key in the answer to `big`, which has a thousand at most.
inline constexpr std::size_t k_listed_key_bytes_max = 256;

inline constexpr DocumentLimits k_request_limits{.depth_max = 4, .elements_max = 256, .fields_max = 32};
inline constexpr DocumentLimits k_reply_limits{.depth_max = 8, .elements_max = 1 << 18, .fields_max = 256};

/// The first message of a client.
struct Hello {
  /// The session may change what the store holds and how it runs.
  bool writes = false;
  /// Who it is, for the host's log, which has the first `k_client_bytes_max` bytes of it.
  std::string client{};
};

/// The answer to it.
struct Welcome {
  bool writes = false;
  std::uint64_t process = 0;
  std::string directory{};
};

struct Request {
  /// Chosen by the client; the reply has the same.
  std::uint64_t id = 0;
  std::string command{};
  Document arguments{Document::Map()};
};

struct Reply {
  std::uint64_t id = 0;
  std::expected<Document, Error> result{};
};

[[nodiscard]] std::string encode(const Hello& hello);
/// Instead of a welcome where `refused` is given.
[[nodiscard]] std::string encode(const Welcome& welcome, const std::optional<Error>& refused = std::nullopt);
[[nodiscard]] std::string encode(const Request& request);
/// A reply that is beyond the limits becomes one that says so, with `too_large`.
[[nodiscard]] std::string encode(const Reply& reply);

[[nodiscard]] Result<Hello> decode_hello(std::string_view bytes);
/// Fails also with the error that the server refused the client with.
[[nodiscard]] Result<Welcome> decode_welcome(std::string_view bytes);
[[nodiscard]] Result<Request> decode_request(std::string_view bytes);
[[nodiscard]] Result<Reply> decode_reply(std::string_view bytes);

/// Puts the length in front, which makes a frame of a message.
[[nodiscard]] std::string frame(std::string_view message);

/// Makes messages of the bytes that a connection delivers.
///
/// Thread safety: *confined*.
class FrameBuffer {
 public:
  explicit FrameBuffer(std::size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  void append(std::string_view bytes) { bytes_.append(bytes); }
  /// Bytes have come of which no message was made.
  [[nodiscard]] bool partial() const noexcept { return !bytes_.empty(); }
  /// The first message, if it is there whole. Fails with corrupt (an empty one)
  /// and too_large, after which nothing more can be read.
  [[nodiscard]] Result<std::optional<std::string>> take();

 private:
  const std::size_t message_bytes_max_;
  std::string bytes_;
};

}  // namespace actable::debug
