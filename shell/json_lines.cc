// Entries as JSON, one in each line.

#include "base/utf8.h"
#include "shell/base64.h"
#include "shell/dump_format.h"
#include "shell/text.h"
#include "shell/words.h"

#include <actable/options.h>

#include <nlohmann/json.hpp>

#include <utility>

namespace shell {
namespace {

using nlohmann::json;

// A character may be written as six, \u0000; and blanks, in reason.
constexpr std::size_t k_line_bytes_max = 6 * (actable::k_key_bytes_max + actable::k_value_bytes_max) + 1'024;

constexpr std::string_view k_byte_order_mark = "\xef\xbb\xbf";

[[nodiscard]] std::string field(std::string_view name, std::string_view bytes) {
  if (actable::base::is_utf8(bytes)) return json_string(name) + ": " + json_string(bytes);
  return json_string(std::string(name) + "_base64") + ": \"" + base64(bytes) + '"';
}

/// Takes an entry from what the library reads: one map of two strings.
///
/// Thread safety: *confined*.
class EntrySax : public json::json_sax_t {
 public:
  bool null() override { return no_string(); }
  bool boolean(bool) override { return no_string(); }
  bool number_integer(json::number_integer_t) override { return no_string(); }
  bool number_unsigned(json::number_unsigned_t) override { return no_string(); }
  bool number_float(json::number_float_t, const std::string&) override { return no_string(); }
  bool binary(json::binary_t&) override { return no_string(); }
  bool start_array(std::size_t) override { return no_string(); }
  bool end_array() override { return true; }

  bool start_object(std::size_t) override { return !std::exchange(begun_, true) || no_string(); }
  bool end_object() override {
    if (!key_) return refuse("it has no key");
    return value_.has_value() || refuse("it has no value");
  }
  bool key(std::string& name) override {
    field_ = std::move(name);
    const bool is_key = field_ == "key" || field_ == "key_base64";
    if (!is_key && field_ != "value" && field_ != "value_base64") {
      return refuse("an entry has no field " + as_word(start_of(field_)) +
                    ": it has key or key_base64, and value or value_base64");
    }
    target_ = is_key ? &key_ : &value_;
    return !target_->has_value() || refuse(std::string("it has two ") + (is_key ? "keys" : "values"));
  }
  bool string(std::string& text) override {
    if (!begun_) return no_string();
    if (!field_.ends_with("_base64")) {
      *target_ = std::move(text);
      return true;
    }
    *target_ = from_base64(text);
    return target_->has_value() || refuse("what is in " + field_ + " is no base64, with padding and without blanks");
  }

  bool parse_error(std::size_t byte, const std::string&, const json::exception& error) override {
    // The library's message goes on with what it read last, however long that is.
    std::string_view said = error.what();
    const std::size_t begin = said.find("syntax error"), end = said.find("; last read");
    said = begin == std::string_view::npos ? "it is no JSON"
                                           : said.substr(begin, end == std::string_view::npos ? end : end - begin);
    return refuse("byte " + std::to_string(byte) + ": " + std::string(said.substr(0, k_said_bytes_max)));
  }

  [[nodiscard]] const std::string& wrong() const noexcept { return wrong_; }
  [[nodiscard]] KeyValue entry() { return {*std::move(key_), *std::move(value_)}; }

 private:
  static constexpr std::size_t k_said_bytes_max = 200;

  [[nodiscard]] static std::string_view start_of(std::string_view text) { return text.substr(0, 40); }
  bool refuse(std::string what) {
    wrong_ = std::move(what);
    return false;
  }
  bool no_string() {
    if (!begun_) return refuse(R"(it is no entry, which is written as {"key": "...", "value": "..."})");
    return refuse("what is in " + field_ + " is no string");
  }

  bool begun_ = false;
  std::string field_;
  std::optional<std::string>* target_ = nullptr;
  std::optional<std::string> key_;
  std::optional<std::string> value_;
  std::string wrong_;
};

/// Thread safety: *confined*.
class JsonLines final : public DumpReader {
 public:
  Got<std::optional<KeyValue>> take() override {
    const std::size_t end = rest().find('\n', searched_);
    const std::size_t bytes = std::min(end, rest().size());
    if (bytes > k_line_bytes_max) return bad("it is longer than any entry");
    if (end == std::string_view::npos) {
      searched_ = bytes;
      // The last one may do without its end.
      if (!ended() || bytes == 0) return std::nullopt;
    }
    ++line_;
    auto entry = read(rest().substr(0, bytes));
    if (!entry) return std::unexpected(std::move(entry.error()));
    drop(end == std::string_view::npos ? bytes : bytes + 1);
    searched_ = 0;
    return entry;
  }

 private:
  [[nodiscard]] Got<std::optional<KeyValue>> read(std::string_view line) const {
    // The library takes it for the end, and would not look at what is behind.
    if (line.find('\0') != std::string_view::npos) return wrong("it has a byte 0, which JSON writes as \\u0000");
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return wrong("it is empty");
    // The library passes over it wherever it begins to read.
    if (line_ > 1 && line.starts_with(k_byte_order_mark)) {
      return wrong("it begins with a byte order mark, which may be at the beginning of the file only");
    }
    EntrySax sax;
    if (!json::sax_parse(line.begin(), line.end(), &sax)) return wrong(sax.wrong());
    KeyValue entry = sax.entry();
    if (const std::string what = wrong_with(entry); !what.empty()) return wrong(what);
    return entry;
  }
  [[nodiscard]] std::unexpected<Failure> wrong(const std::string& what) const {
    return failed("line " + std::to_string(line_) + ": " + what);
  }
  [[nodiscard]] std::unexpected<Failure> bad(const std::string& what) {
    ++line_;
    return wrong(what);
  }

  std::uint64_t line_ = 0;
  // Of the rest, what has no end of a line in it.
  std::size_t searched_ = 0;
};

}  // namespace

std::string json_line(std::string_view key, std::string_view value) {
  return "{" + field("key", key) + ", " + field("value", value) + "}\n";
}

std::unique_ptr<DumpReader> json_lines_reader() { return std::make_unique<JsonLines>(); }

}  // namespace shell
