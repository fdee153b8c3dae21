// Commands that look at what a store holds, and change it.

#include "shell/command.h"
#include "shell/text.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace shell {
namespace {

using actable::debug::Bytes;
using actable::debug::Document;

constexpr std::uint64_t k_scan_default = 20;
constexpr std::uint64_t k_big_sample = 200'000;
constexpr std::uint64_t k_big_default = 10;
// Of a value: in one line of a list, and where it is asked for itself.
constexpr std::size_t k_listed_bytes = 120;
constexpr std::size_t k_shown_bytes = std::size_t{64} << 10;

[[nodiscard]] Got<std::uint64_t> number(std::string_view command, const std::string& text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= most) return value;
  return failed(std::string(command) + ": " + as_word(text) + " is no number from 1 to " + std::to_string(most),
                k_status_not_asked);
}

/// `arguments` and the space they are about.
[[nodiscard]] Got<Document::Map> in_space(Context& context, Document::Map arguments) {
  Got<std::string> space = context.space();
  if (!space) return std::unexpected(std::move(space.error()));
  arguments.insert(arguments.begin(), Document::Field{"space", *std::move(space)});
  return arguments;
}

[[nodiscard]] Got<Document> ask_in_space(Context& context, const std::string& command, Document::Map arguments) {
  auto all = in_space(context, std::move(arguments));
  if (!all) return std::unexpected(std::move(all.error()));
  return context.ask(command, *std::move(all));
}

[[nodiscard]] std::unexpected<Failure> absent(const std::string& key) {
  return failed("there is no key " + as_word(key));
}

[[nodiscard]] Got<ValueView> view_of(const Words& arguments) {
  if (arguments.size() < 2) return ValueView::automatic;
  if (arguments[1] == "text") return ValueView::text;
  if (arguments[1] == "hex") return ValueView::hex;
  if (arguments[1] == "json") return ValueView::json;
  return failed(
      "get: a value is shown as text, hex or json, not " + as_word(arguments[1]) + ", for example: get ada hex",
      k_status_not_asked);
}

Got<void> get(Context& context, const Words& arguments) {
  const Got<ValueView> view = view_of(arguments);
  if (!view) return std::unexpected(view.error());
  const Got<Document> found = ask_in_space(context, "get", {{"key", Bytes{arguments[0]}}});
  if (!found) return std::unexpected(found.error());
  if (found->null()) return absent(arguments[0]);
  Screen& screen = context.screen();
  screen.lines(screen.json() ? json_text(*found) : value_text((*found)["value"].bytes(), *view, k_shown_bytes));
  return {};
}

Got<void> history(Context& context, const Words& arguments) {
  const Got<Document> found = ask_in_space(context, "get", {{"key", Bytes{arguments[0]}}});
  if (!found) return std::unexpected(found.error());
  if (found->null()) return absent(arguments[0]);
  const Document &seq = (*found)["seq"], &durable = (*found)["durable"];
  Screen& screen = context.screen();
  if (screen.json()) {
    screen.line(json_text(Document::List{Document::Map{{"seq", seq}, {"durable", durable}}}));
    return {};
  }
  const std::string on_disk = durable.null() ? "in memory only" : durable.truth() ? "on disk" : "not yet on disk";
  screen.table({{"NUMBER", true}, {"BYTES", true}, {""}},
               {{std::to_string(seq.number()), count_text((*found)["value"].bytes().size()), "current, " + on_disk}});
  return {};
}

/// One entry a line, as the walk brings them.
Got<void> scan(Context& context, const Words& arguments) {
  std::uint64_t limit = k_scan_default;
  if (arguments.size() > 1) {
    const auto given = number("scan", arguments[1], std::uint64_t{1} << 40);
    if (!given) return std::unexpected(given.error());
    limit = *given;
  }
  const std::string prefix = arguments.empty() ? std::string() : arguments[0];
  auto all = in_space(context, {{"prefix", Bytes{prefix}}, {"limit", limit}});
  if (!all) return std::unexpected(all.error());
  Screen& screen = context.screen();
  std::uint64_t found = 0;
  const auto show = [&](const Document& step) {
    for (const Document& entry : step["entries"].list()) {
      if (entry.list().size() != 3) return false;
      ++found;
      const Document &key = entry.list()[0], &seq = entry.list()[1], &value = entry.list()[2];
      const bool wanted = screen.json()
                              ? screen.line(json_text(Document::Map{{"key", key}, {"seq", seq}, {"value", value}}))
                              : screen.line(as_word(key.bytes()) + "  " +
                                            value_text(value.bytes(), ValueView::automatic, k_listed_bytes));
      if (!wanted) return false;
    }
    return true;
  };
  if (auto walked = context.walk("scan", *std::move(all), show); !walked) return walked;
  if (!screen.json() && arguments.size() < 2 && found == limit) {
    screen.line(
        {"the first " + std::to_string(limit) + "; more with a number behind, as in: scan " + as_word(prefix) + " 1000",
         Screen::Style::dim});
  }
  return {};
}

Got<void> count(Context& context, const Words& arguments) {
  const std::string prefix = arguments.empty() ? std::string() : arguments[0];
  auto all = in_space(context, {{"prefix", Bytes{prefix}}});
  if (!all) return std::unexpected(all.error());
  Document last;
  const auto follow = [&](const Document& step) {
    last = step;
    context.screen().progress(count_text(step["looked_at"].number()) + " keys looked at, " +
                              count_text(step["count"].number()) + " counted");
    return true;
  };
  if (auto walked = context.walk("count", *std::move(all), follow); !walked) return walked;
  context.screen().progress("");
  context.screen().line(context.screen().json() ? json_text(Document::Map{{"count", last["count"]}})
                                                : count_text(last["count"].number()));
  return {};
}

Got<void> big(Context& context, const Words& arguments) {
  std::uint64_t top = k_big_default;
  if (!arguments.empty()) {
    const auto given = number("big", arguments[0], 1'000);
    if (!given) return std::unexpected(given.error());
    top = *given;
  }
  auto all = in_space(context, {{"sample", k_big_sample}, {"top", top}});
  if (!all) return std::unexpected(all.error());
  Document last;
  const auto follow = [&](const Document& step) {
    last = step;
    context.screen().progress(count_text(step["looked_at"].number()) + " keys looked at");
    return true;
  };
  if (auto walked = context.walk("big", *std::move(all), follow); !walked) return walked;
  Screen& screen = context.screen();
  screen.progress("");
  if (screen.json()) {
    screen.line(json_text(Document::Map{{"looked_at", last["looked_at"]}, {"entries", last["entries"]}}));
    return {};
  }
  std::vector<Screen::Row> rows;
  for (const Document& entry : last["entries"].list()) {
    if (entry.list().size() != 3) continue;
    rows.push_back({bytes_text(entry.list()[1].real()), key_text(entry.list()[0].bytes(), entry.list()[2].number())});
  }
  screen.table({{"VALUE", true}, {"KEY"}}, rows);
  screen.line({"of " + count_text(last["looked_at"].number()) + " keys looked at, " +
                   (last["looked_at"].number() < k_big_sample ? "which are all" : "a fair sample"),
               Screen::Style::dim});
  return {};
}

/// Says what was done, or gives the answer as JSON.
void tell(Screen& screen, const Document& answer, const std::string& done) {
  screen.line(screen.json() ? json_text(answer) : done);
}

Got<void> put(Context& context, const Words& arguments) {
  const auto seq = ask_in_space(context, "put", {{"key", Bytes{arguments[0]}}, {"value", Bytes{arguments[1]}}});
  if (!seq) return std::unexpected(seq.error());
  tell(context.screen(), *seq, "stored, number " + std::to_string(seq->number()));
  return {};
}

Got<void> erase(Context& context, const Words& arguments) {
  const auto erased = ask_in_space(context, "erase", {{"key", Bytes{arguments[0]}}});
  if (!erased) return std::unexpected(erased.error());
  if (!erased->truth()) return absent(arguments[0]);
  tell(context.screen(), *erased, "erased");
  return {};
}

Got<void> add(Context& context, const Words& arguments) {
  std::int64_t delta = 0;
  const std::string text = arguments[1].starts_with('+') ? arguments[1].substr(1) : arguments[1];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), delta);
  if (error != std::errc() || end != text.data() + text.size()) {
    return failed("add: " + as_word(arguments[1]) + " is no integer, for example: add visits -1", k_status_not_asked);
  }
  const auto sum = ask_in_space(context, "add", {{"key", Bytes{arguments[0]}}, {"delta", delta}});
  if (!sum) return std::unexpected(sum.error());
  tell(context.screen(), *sum, json_text(*sum));
  return {};
}

using Where = Command::Where;

constexpr Command k_commands[] = {
    {.name = "get",
     .arguments = "KEY [text|hex|json]",
     .what = "The value of a key",
     .example = "get ada json",
     .arguments_min = 1,
     .arguments_max = 2,
     .run = get},
    {.name = "history",
     .arguments = "KEY",
     .what = "The number of a key's record, and whether it is on disk",
     .example = "history ada",
     .arguments_min = 1,
     .arguments_max = 1,
     .run = history},
    {.name = "scan",
     .arguments = "[PREFIX [LIMIT]]",
     .what = "Keys that begin so, and their values; 20 if no limit is given",
     .example = "scan user: 100",
     .arguments_max = 2,
     .run = scan},
    {.name = "count",
     .arguments = "[PREFIX]",
     .what = "How many keys there are, or begin so",
     .example = "count user:",
     .arguments_max = 1,
     .run = count},
    {.name = "big",
     .arguments = "[NUMBER]",
     .what = "The largest values, in a sample of 200,000 keys",
     .example = "big 5",
     .arguments_max = 1,
     .run = big},
    {.name = "put",
     .arguments = "KEY VALUE",
     .what = "Stores a value",
     .example = "put ada \"first \\x00 byte\"",
     .arguments_min = 2,
     .arguments_max = 2,
     .writes = true,
     .where = Where::live,
     .run = put},
    {.name = "erase",
     .arguments = "KEY",
     .what = "Erases a key",
     .example = "erase ada",
     .arguments_min = 1,
     .arguments_max = 1,
     .writes = true,
     .where = Where::live,
     .run = erase},
    {.name = "add",
     .arguments = "KEY NUMBER",
     .what = "Adds to a counter of 8 bytes, and tells the sum",
     .example = "add visits 1",
     .arguments_min = 2,
     .arguments_max = 2,
     .writes = true,
     .where = Where::live,
     .run = add},
};

}  // namespace

std::span<const Command> data_commands() { return k_commands; }

}  // namespace shell
