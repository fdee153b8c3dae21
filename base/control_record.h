#pragma once

#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>
#include <vector>

/// Control records: what the store keeps on disk about itself, each a msgpack
/// array to which later versions may append fields. Those that have a file of
/// their own lie in it behind a head: a magic number, the length of what
/// follows and its checksum, 8 bytes each.
///
/// Thread safety: pure functions.
namespace actable::base {

inline constexpr std::size_t k_control_head_bytes = 24;

/// The file's bytes of a record.
[[nodiscard]] std::vector<std::byte> seal_control_record(std::uint64_t magic, std::span<const char> fields);

/// What is wrong with a file's bytes, and where.
struct ControlDamage {
  std::string_view what;
  std::size_t offset;
};

/// The record in a file's bytes. Takes any bytes.
[[nodiscard]] std::expected<std::span<const std::byte>, ControlDamage> open_control_record(
    std::uint64_t magic, std::span<const std::byte> bytes);

/// More than later versions will append.
inline constexpr std::size_t k_control_fields_max = 64;

/// Unpacks a control record. Throws a msgpack exception where the bytes are
/// none. However large the arrays, maps and strings that the bytes claim to
/// hold, the memory asked for is in proportion to the bytes that are there.
/// No array may have more than `fields_max` elements.
[[nodiscard]] inline msgpack::object_handle unpack_fields(std::span<const std::byte> bytes,
                                                          std::size_t fields_max = k_control_fields_max) {
  // Deeper than later versions will nest.
  constexpr std::size_t k_depth_max = 4;
  const msgpack::unpack_limit limit(fields_max, fields_max, bytes.size(), bytes.size(), bytes.size(), k_depth_max);
  return msgpack::unpack(reinterpret_cast<const char*>(bytes.data()), bytes.size(), nullptr, nullptr, limit);
}

}  // namespace actable::base
