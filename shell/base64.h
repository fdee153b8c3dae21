#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Base64 as RFC 4648 has it in its section 4: with `+` and `/`, and padded.
namespace shell {

[[nodiscard]] std::string base64(std::string_view bytes);

/// None where the text is not what `base64` makes of some bytes: each bytes have
/// one text, so that what was mangled on its way is not taken for something else.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace shell
