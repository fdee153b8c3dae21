#pragma once

#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

#include <cstddef>
#include <span>

/// Control records: what the store keeps on disk about itself, each a msgpack
/// array to which later versions may append fields.
namespace actable::wal {

/// Unpacks a control record. Throws a msgpack exception where the bytes are
/// none. However large the arrays, maps and strings that the bytes claim to
/// hold, the memory asked for is in proportion to the bytes that are there.
[[nodiscard]] inline msgpack::object_handle unpack_fields(std::span<const std::byte> bytes) {
  // More than later versions will append, and deeper than they will nest.
  constexpr std::size_t k_fields_max = 64;
  constexpr std::size_t k_depth_max = 4;
  const msgpack::unpack_limit limit(k_fields_max, k_fields_max, bytes.size(), bytes.size(), bytes.size(), k_depth_max);
  return msgpack::unpack(reinterpret_cast<const char*>(bytes.data()), bytes.size(), nullptr, nullptr, limit);
}

}  // namespace actable::wal
