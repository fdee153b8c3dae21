// Commands that look at how a running store does.

#include "shell/command.h"
#include "shell/doctor.h"
#include "shell/interrupt.h"
#include "shell/text.h"
#include "shell/top.h"

#include <string.h>

#include <algorithm>
#include <chrono>

namespace shell {
namespace {

using actable::debug::Document;
using Pairs = std::vector<std::pair<std::string, Screen::Span>>;
using Style = Screen::Style;

[[nodiscard]] double real(const Document& of, std::string_view field) { return of[field].real(); }
[[nodiscard]] std::string count(const Document& of, std::string_view field) { return count_text(of[field].number()); }
[[nodiscard]] std::string bytes(const Document& of, std::string_view field) { return bytes_text(real(of, field)); }
[[nodiscard]] std::string yes(const Document& of, std::string_view field) { return of[field].truth() ? "yes" : "no"; }

/// Prints the answer as JSON where that was asked for, else has it shown.
template <class Show>
[[nodiscard]] Got<void> show(Context& context, const std::string& command, Document::Map arguments, Show&& shown) {
  const Got<Document> answer = context.ask(command, std::move(arguments));
  if (!answer) return std::unexpected(answer.error());
  if (context.screen().json()) {
    context.screen().line(json_text(*answer));
  } else {
    shown(*answer);
  }
  return {};
}

Got<void> info(Context& context, const Words&) {
  return show(context, "stats", {}, [&](const Document& stats) {
    const Document &store = stats["store"], &recovery = stats["recovery"];
    Pairs pairs{{"directory", context.settings().directory.string()}};
    if (context.live()) {
      pairs.push_back({"process", std::to_string(stats["process"]["id"].number()) + ", which has it open for " +
                                      time_text(real(stats["process"], "store_open_ms") * 1e3)});
    } else {
      pairs.push_back({"process", "none: these are closed files"});
      pairs.push_back({"format", "version " + count(store, "format_version")});
    }
    pairs.push_back({"spaces", count(store, "spaces")});
    pairs.push_back({"last number", std::to_string(store["last_seq"].number())});
    if (context.live()) {
      pairs.push_back({"on disk up to", std::to_string(store["durable_seq"].number()) + ", " +
                                            time_text(real(store, "durable_lag_us")) + " behind"});
      const Screen::Span no("no: " + std::string(store["read_only_reason"].text()), Style::bad);
      pairs.push_back({"writable", store["read_only"].truth() ? no : "yes"});
      pairs.push_back({"threads", count(store, "threads")});
    }
    if (recovery["log_bytes"].number() == 0) {
      pairs.push_back({"opened from", "nothing: it was new"});
    } else {
      const std::string checkpoint = recovery["checkpoint_bytes"].number() == 0
                                         ? ""
                                         : bytes(recovery, "checkpoint_bytes") + " of checkpoint, " +
                                               count(recovery, "checkpoint_records") + " records; ";
      pairs.push_back({"opened from", checkpoint + bytes(recovery, "log_bytes") + " of log, " +
                                          count(recovery, "records_applied") + " records, " +
                                          count(recovery, "records_discarded") + " beyond the cut discarded, in " +
                                          time_text(real(recovery, "duration_us"))});
      pairs.push_back({"closed before", recovery["clean"].truth() ? "cleanly" : "not: the process had just ended"});
    }
    context.screen().pairs(pairs);
  });
}

Got<void> spaces(Context& context, const Words&) {
  return show(context, "spaces", {}, [&](const Document& list) {
    std::vector<Screen::Row> rows;
    for (const Document& space : list.list()) {
      const double keys = std::max(1.0, real(space, "keys"));
      const double overhead = real(space, "record_bytes") + real(space, "table_bytes") - real(space, "payload_bytes");
      rows.push_back({as_word(space["name"].text()), count(space, "keys"), bytes(space, "payload_bytes"),
                      bytes(space, "record_bytes"), bytes(space, "table_bytes"),
                      context.live() ? bytes_text(overhead / keys) : "-",
                      context.live() ? count(space, "tombstones") : "-",
                      space["logged"].truth() ? "logged" : "memory"});
    }
    context.screen().table({{"SPACE"},
                            {"KEYS", true},
                            {"PAYLOAD", true},
                            {"RECORDS", true},
                            {"TABLE", true},
                            {"OVERHEAD/KEY", true},
                            {"TOMBSTONES", true},
                            {"KIND"}},
                           rows);
  });
}

/// How evenly the keys of a space lie on its shards, in words.
[[nodiscard]] std::string balance_text(const Document& spaces, std::string_view name) {
  for (const Document& space : spaces.list()) {
    if (space["name"].text() != name) continue;
    return "entropy " + percent_text(real(space, "shard_entropy")) + " of what equal shares have; the fullest has " +
           percent_text(real(space, "shard_max_over_mean")) + " of the mean";
  }
  return {};
}

Got<void> shards(Context& context, const Words& arguments) {
  const Got<std::string> space = arguments.empty() ? context.space() : Got<std::string>(arguments[0]);
  if (!space) return std::unexpected(space.error());
  const Got<Document> spaces_now = context.ask("spaces");
  if (!spaces_now) return std::unexpected(spaces_now.error());
  return show(context, "shards", {{"space", *space}}, [&](const Document& list) {
    double most = 0;
    for (const Document& shard : list.list()) most = std::max(most, real(shard, "keys"));
    std::vector<Screen::Row> rows;
    for (std::size_t i = 0; i < list.list().size(); ++i) {
      const Document& shard = list.list()[i];
      constexpr double k_bar = 40;
      const auto bar = static_cast<std::size_t>(most == 0 ? 0 : real(shard, "keys") / most * k_bar + 0.5);
      rows.push_back({std::to_string(i), count(shard, "keys"), bytes(shard, "payload_bytes"), std::string(bar, '#')});
    }
    context.screen().table({{"SHARD", true}, {"KEYS", true}, {"PAYLOAD", true}, {""}}, rows);
    context.screen().line(balance_text(*spaces_now, *space));
  });
}

[[nodiscard]] Style style_of(std::string_view state) {
  if (state == "running") return Style::good;
  return state == "restarting" ? Style::warning : Style::bad;
}

Got<void> actors(Context& context, const Words&) {
  return show(context, "actors", {}, [&](const Document& answer) {
    Screen& screen = context.screen();
    Document::List list = answer.list();
    // shard 2 before shard 10.
    std::ranges::sort(list, [](const Document& a, const Document& b) {
      return strverscmp(std::string(a["name"].text()).c_str(), std::string(b["name"].text()).c_str()) < 0;
    });
    std::vector<Screen::Row> rows;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Document& actor = list[i];
      const std::string branch = i + 1 == list.size() ? "`- " : "|- ";
      rows.push_back({branch + std::string(actor["name"].text()),
                      {actor["state"].text(), style_of(actor["state"].text())},
                      count(actor, "waiting"),
                      count(actor, "processed"),
                      count(actor, "refused"),
                      count(actor, "restarts"),
                      time_text(real(actor, "busy_us")),
                      std::string(actor["last_crash"].text())});
    }
    if (!screen.line("supervisor")) return;
    screen.table({{"ACTOR"},
                  {"STATE"},
                  {"MAILBOX", true},
                  {"PROCESSED", true},
                  {"REFUSED", true},
                  {"RESTARTS", true},
                  {"BUSY", true},
                  {"LAST CRASH"}},
                 rows);
  });
}

/// One line for each length that syncs had, with a bar.
void show_syncs(Screen& screen, const Document& durations) {
  double most = 0;
  for (const Document& number : durations.list()) most = std::max(most, number.real());
  if (most == 0) return;
  screen.line("");
  screen.line({"syncs by how long they took", Style::heading});
  double limit_us = 1;
  for (const Document& number : durations.list()) {
    constexpr double k_bar = 40;
    if (number.number() != 0) {
      const auto bar = std::max<std::size_t>(1, static_cast<std::size_t>(number.real() / most * k_bar));
      std::string line = "  under " + time_text(limit_us);
      line.resize(std::max<std::size_t>(line.size(), 20), ' ');
      std::string counted = count_text(number.number());
      counted.insert(0, counted.size() < 12 ? 12 - counted.size() : 0, ' ');
      if (!screen.line(line + counted + "  " + std::string(bar, '#'))) return;
    }
    limit_us *= 2;
  }
}

Got<void> log(Context& context, const Words&) {
  return show(context, "stats", {}, [&](const Document& stats) {
    const Document &of = stats["log"], &store = stats["store"];
    Screen& screen = context.screen();
    if (of["io"].text().empty()) {
      screen.line("this store is pure memory: it has no log");
      return;
    }
    const double syncs = std::max(1.0, real(of, "syncs"));
    screen.pairs({
        {"durable lag", time_text(real(store, "durable_lag_us"))},
        {"written", bytes(of, "written_bytes") + " in " + count(of, "frames") + " frames"},
        {"rounds", count(of, "rounds")},
        {"syncs", count(of, "syncs") + ", the last took " + time_text(real(of, "sync_duration_last_us")) +
                      ", the longest " + time_text(real(of, "sync_duration_max_us"))},
        {"bytes a sync", bytes_text(real(of, "written_bytes") / syncs)},
        {"segments", count(of, "segments") + ", and " + count(of, "segments_spare") + " spare"},
        {"buffers", bytes(of, "staging_bytes") + " for writes on their way"},
        {"writers held up", count(of, "waits") + ", of which " + count(of, "overloads") + " were refused"},
        {"written with", std::string(of["io"].text()) + ", direct: " + yes(of, "direct_io") +
                             ", registered buffers: " + yes(of, "registered_buffers")},
    });
    show_syncs(screen, of["sync_durations"]);
  });
}

Got<void> memory(Context& context, const Words&) {
  const Got<Document> spaces_now = context.ask("spaces");
  if (!spaces_now) return std::unexpected(spaces_now.error());
  return show(context, "stats", {}, [&](const Document& stats) {
    double records = 0, tables = 0, payload = 0, keys = 0;
    for (const Document& space : spaces_now->list()) {
      records += real(space, "record_bytes");
      tables += real(space, "table_bytes");
      payload += real(space, "payload_bytes");
      keys += real(space, "keys");
    }
    const Document& of = stats["memory"];
    const double carved = real(of, "carved_bytes"), used = records + tables;
    context.screen().pairs({
        {"process", bytes(stats["process"], "resident_bytes") + " resident"},
        {"reserved", bytes(of, "reserved_bytes") + " for records and tables"},
        {"touched", bytes_text(carved) + " of it"},
        {"records", bytes_text(records) + ", of which " + bytes_text(payload) + " are keys and values"},
        {"tables", bytes_text(tables)},
        {"retired", bytes(of, "retired_bytes") + " that a reader might still see"},
        {"given back", bytes(of, "returned_bytes") + " to the system, in " + count(of, "compactions") +
                           (of["compacting"].truth() ? " compactions and the one under way" : " compactions")},
        {"free", bytes_text(std::max(0.0, carved - used - real(of, "retired_bytes"))) + " in free lists"},
        {"log buffers", bytes(stats["log"], "staging_bytes")},
        {"a key", bytes_text((used - payload) / std::max(1.0, keys)) + " beyond key and value, for " +
                      count_text(static_cast<std::uint64_t>(keys)) + " keys"},
    });
  });
}

Got<void> config(Context& context, const Words&) {
  return show(context, "config", {}, [&](const Document& list) {
    std::vector<Screen::Row> rows;
    for (const Document& option : list.list()) {
      const Document& value = option["value"];
      std::string text(value.bytes());
      if (value.as<std::uint64_t>() != nullptr) text = std::to_string(value.number());
      if (value.as<bool>() != nullptr) text = value.truth() ? "true" : "false";
      rows.push_back({std::string(option["option"].text()), text, option["live"].truth() ? "can be set" : ""});
    }
    context.screen().table({{"OPTION"}, {"VALUE"}, {""}}, rows);
  });
}

[[nodiscard]] Got<Moment> moment(Context& context) {
  Moment now;
  using Part = std::pair<const char*, Document*>;
  for (const auto& [command, into] :
       {Part{"stats", &now.stats}, Part{"actors", &now.actors}, Part{"config", &now.config}}) {
    Got<Document> answer = context.ask(command);
    if (!answer) return std::unexpected(std::move(answer.error()));
    *into = *std::move(answer);
  }
  return now;
}

[[nodiscard]] std::string_view name_of(Finding::Weight weight) {
  switch (weight) {
    case Finding::Weight::remark:
      return "remark";
    case Finding::Weight::slow:
      return "slow";
    case Finding::Weight::bad:
      return "bad";
  }
  return "";
}

void show_findings(Context& context, const std::vector<Finding>& findings) {
  Screen& screen = context.screen();
  if (screen.json()) {
    Document::List list;
    for (const Finding& finding : findings) {
      list.emplace_back(
          Document::Map{{"weight", name_of(finding.weight)}, {"what", finding.what}, {"advice", finding.advice}});
    }
    screen.line(json_text(list));
    return;
  }
  if (findings.empty()) screen.line({"Nothing is slow.", Style::good});
  for (const Finding& finding : findings) {
    const Style style = finding.weight == Finding::Weight::bad    ? Style::bad
                        : finding.weight == Finding::Weight::slow ? Style::warning
                                                                  : Style::dim;
    if (!screen.line({{name_of(finding.weight), style}, ": " + finding.what + "."})) return;
    if (!screen.line("      What to do: " + finding.advice + ".")) return;
  }
}

Got<void> doctor(Context& context, const Words&) {
  const auto began = std::chrono::steady_clock::now();
  const Got<Moment> before = moment(context);
  if (!before) return std::unexpected(before.error());
  context.screen().progress("looking for a second");
  if (!wait_for(std::chrono::seconds(1), context.descriptor()) && interrupted) return {};
  const Got<Moment> after = moment(context);
  if (!after) return std::unexpected(after.error());
  context.screen().progress("");
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  show_findings(context, diagnose(*before, *after, passed.count()));
  return {};
}

using Where = Command::Where;
using Offers = Command::Offers;

constexpr Command k_commands[] = {
    {.name = "info", .what = "What store this is, and how it was opened", .example = "info", .run = info},
    {.name = "spaces", .what = "The spaces, their keys and their memory", .example = "spaces", .run = spaces},
    {.name = "shards",
     .arguments = "[SPACE]",
     .what = "How a space's keys are spread",
     .example = "shards users",
     .arguments_max = 1,
     .where = Where::live,
     .offers = Offers::spaces,
     .run = shards},
    {.name = "actors",
     .what = "The actors: state, mailbox, requests, restarts, busy time",
     .example = "actors",
     .where = Where::live,
     .run = actors},
    {.name = "top",
     .arguments = "[SECONDS]",
     .what = "Rates, and the busiest actors, again and again until Ctrl-C",
     .example = "top 2",
     .arguments_max = 1,
     .where = Where::live,
     .run = top},
    {.name = "log",
     .what = "The log: rounds, syncs and how long they took, segments, buffers",
     .example = "log",
     .where = Where::live,
     .run = log},
    {.name = "latency doctor",
     .what = "What is slow, in plain words, and what to do about it",
     .example = "latency doctor",
     .where = Where::live,
     .run = doctor},
    {.name = "memory", .what = "Where the memory is", .example = "memory", .where = Where::live, .run = memory},
    {.name = "config",
     .what = "The options, and which of them can be set now",
     .example = "config",
     .where = Where::live,
     .run = config},
};

}  // namespace

std::span<const Command> look_commands() { return k_commands; }

}  // namespace shell
