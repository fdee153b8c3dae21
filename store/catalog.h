#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What the catalog keeps of a space: a msgpack array, to which later versions
/// may append.
namespace actable::store {

inline constexpr std::uint32_t k_catalog_id = 0;
/// Numbers are given once in a store's life.
inline constexpr std::uint32_t k_space_id_max = ~std::uint32_t{0} - 1;

[[nodiscard]] std::string encode_space(std::uint32_t id);

/// The space's number; empty when the bytes are no catalog value. Takes any bytes.
[[nodiscard]] std::optional<std::uint32_t> decode_space(std::string_view bytes);

}  // namespace actable::store
