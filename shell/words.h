#pragma once

#include "shell/failure.h"

#include <string>
#include <string_view>
#include <vector>

namespace shell {

using Words = std::vector<std::string>;

/// The words of a command line. Words are parted by blanks; 'single quotes' hold
/// anything as it is; "double quotes" know \n, \t, \\, \" and \xNN, for bytes
/// that no keyboard has. Fails where a quote is not closed or an escape is none.
[[nodiscard]] Got<Words> split(std::string_view line);

/// The bytes as they could be typed for one word: as they are where that is
/// plain, else in quotes.
[[nodiscard]] std::string as_word(std::string_view bytes);

/// The one of the names that is written most like `word`; empty where none is
/// near. Near is a third of its letters wrong at most; two that are swapped are
/// one that is wrong.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace shell
