#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// The values that writers store: "update 17\n" and the package's stanza.
namespace packages {

/// Number of a value that is the stanza as it was loaded.
inline constexpr std::uint64_t k_update_none = 0;

/// Makes `value` the text of the update, reusing its memory.
void make_update(std::uint64_t number, std::string_view stanza, std::string& value);

/// Which update of this stanza the value is, `k_update_none` if it is the
/// stanza itself. Empty when it is neither: these bytes were never written.
[[nodiscard]] std::optional<std::uint64_t> update_number(std::string_view value, std::string_view stanza);

}  // namespace packages
