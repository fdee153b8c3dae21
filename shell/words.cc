#include "shell/words.h"

#include "base/utf8.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace shell {
namespace {

constexpr std::string_view k_digits = "0123456789abcdef";

[[nodiscard]] bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

[[nodiscard]] std::optional<unsigned> hex_digit(char c) noexcept {
  if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  const std::size_t at = k_digits.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(at);
}

/// Takes one escape off, whose backslash has been taken.
[[nodiscard]] std::optional<char> take_escape(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const char c = rest.front();
  rest.remove_prefix(1);
  if (c == 'n') return '\n';
  if (c == 't') return '\t';
  if (c == '\\' || c == '"') return c;
  if (c != 'x' || rest.size() < 2) return std::nullopt;
  const auto high = hex_digit(rest[0]), low = hex_digit(rest[1]);
  if (!high || !low) return std::nullopt;
  rest.remove_prefix(2);
  return static_cast<char>(*high << 4 | *low);
}

/// Takes what is in quotes off, whose first quote has been taken.
[[nodiscard]] Got<std::string> take_quoted(std::string_view& rest, char quote) {
  std::string word;
  while (!rest.empty()) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == quote) return word;
    if (quote == '"' && c == '\\') {
      const auto escaped = take_escape(rest);
      if (!escaped) {
        return failed(R"(between double quotes a backslash stands before n, t, \, " or xNN; single quotes know none)",
                      k_status_not_asked);
      }
      word += *escaped;
    } else {
      word += c;
    }
  }
  return failed(std::string("a quote is open: close it with ") + quote, k_status_not_asked);
}

/// Changes of one letter, and swaps of two neighbours, that make one word of the
/// other (Damerau-Levenshtein, in its form where no letter is changed twice).
[[nodiscard]] std::size_t distance(std::string_view a, std::string_view b) {
  // Rows of the table: for the letters of `a` up to this one, for one less, for two less.
  std::vector<std::size_t> before(b.size() + 1), earlier(b.size() + 1), row(b.size() + 1);
  std::iota(before.begin(), before.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({before[j] + (a[i] == b[j] ? 0 : 1), before[j + 1] + 1, row[j] + 1});
      const bool swapped = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
      if (swapped) row[j + 1] = std::min(row[j + 1], earlier[j - 1] + 1);
    }
    earlier = std::exchange(before, row);
  }
  return before[b.size()];
}

}  // namespace

Got<Words> split(std::string_view line) {
  Words words;
  while (true) {
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    if (line.empty()) return words;
    std::string word;
    while (!line.empty() && !is_blank(line.front())) {
      const char c = line.front();
      line.remove_prefix(1);
      if (c != '\'' && c != '"') {
        word += c;
        continue;
      }
      Got<std::string> part = take_quoted(line, c);
      if (!part) return std::unexpected(std::move(part.error()));
      word += *part;
    }
    words.push_back(std::move(word));
  }
}

std::string as_word(std::string_view bytes) {
  const bool text = actable::base::is_plain_text(bytes);
  if (text && !bytes.empty() && bytes.find_first_of(" \t'\"\\") == std::string_view::npos) return std::string(bytes);
  std::string word = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      word += {'\\', c};
    } else if (text || (byte >= 0x20 && byte < 0x7f)) {
      word += c;
    } else {
      word += {'\\', 'x', k_digits[byte >> 4], k_digits[byte & 0xf]};
    }
  }
  return word + '"';
}

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  std::string best;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t wrong = name.starts_with(word) && word.size() >= 2 ? 0 : distance(word, name);
    if (wrong >= least) continue;
    least = wrong;
    best = name;
  }
  return best;
}

}  // namespace shell
