// Commands that look at samples of the operations.

#include "shell/command.h"
#include "shell/doctor.h"
#include "shell/interrupt.h"
#include "shell/text.h"

#include <charconv>
#include <chrono>

namespace shell {
namespace {

using actable::debug::Document;
using Where = Command::Where;

constexpr std::uint64_t k_lines = 10;
constexpr std::uint64_t k_lines_max = 10'000;

/// The number of lines that was asked for.
[[nodiscard]] Got<std::uint64_t> lines(std::string_view command, const Words& arguments, std::uint64_t usual) {
  if (arguments.empty()) return usual;
  const std::string& text = arguments[0];
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= k_lines_max) return number;
  return failed(std::string(command) + ": " + as_word(text) + " is no number from 1 to " + std::to_string(k_lines_max),
                k_status_not_asked);
}

[[nodiscard]] std::string time(const Document& of, std::string_view field) { return time_text(of[field].real() / 1e3); }

[[nodiscard]] std::string key_text(const Document& key) {
  return shell::key_text(key["key"].bytes(), key["bytes"].number());
}

/// Has `shown` called with the analytics, unless JSON was asked for or there is nothing.
template <class Show>
[[nodiscard]] Got<void> show(Context& context, Show&& shown) {
  const Got<Document> analytics = context.ask("analytics");
  if (!analytics) return std::unexpected(analytics.error());
  Screen& screen = context.screen();
  const std::uint64_t samples = (*analytics)["samples"].number(), every = (*analytics)["sample_every"].number();
  if (screen.json()) {
    screen.line(json_text(*analytics));
    return {};
  }
  if (samples != 0) {
    shown(*analytics);
    const std::string share = every == 0 ? std::string() : ", one of " + count_text(every) + " operations";
    screen.line(
        {"from " + count_text(samples) + " samples in " + time(*analytics, "period_ns") + share, Screen::Style::dim});
  }
  if (every == 0) {
    screen.line("operations are not sampled now: `set sample_every 64` has one of 64 looked at");
  } else if (samples == 0) {
    screen.line("no operation has been sampled lately");
  }
  return {};
}

Got<void> hot(Context& context, const Words& arguments) {
  const Got<std::uint64_t> count = lines("hot", arguments, k_lines);
  if (!count) return std::unexpected(count.error());
  return show(context, [&](const Document& analytics) {
    double all = 0;
    for (const Document& operation : analytics["operations"].list()) all += operation["count"].real();
    std::vector<Screen::Row> rows;
    for (const Document& hot : analytics["hot_keys"].list()) {
      if (rows.size() == *count) break;
      rows.push_back({as_word(hot["key"]["space"].text()), key_text(hot["key"]), count_text(hot["count"].number()),
                      count_text(hot["error"].number()), percent_text(all > 0 ? hot["count"].real() / all : 0)});
    }
    context.screen().table({{"SPACE"}, {"KEY"}, {"OPERATIONS", true}, {"TOO HIGH BY AT MOST", true}, {"SHARE", true}},
                           rows);
  });
}

/// What of a write's way takes place behind its call, or has it wait.
void show_stages(Screen& screen, const Document& stats) {
  const Document& log = stats["log"];
  if (log["io"].text().empty()) return;
  const auto within = [&log](double share) { return time_text(sync_quantile_us(log["sync_durations"], share)); };
  screen.line("");
  screen.table(
      {{"STAGE"}, {"P50 UNDER", true}, {"P90 UNDER", true}, {"P99 UNDER", true}, {"MAX", true}},
      {{"sync of the log", within(0.5), within(0.9), within(0.99), time_text(log["sync_duration_max_us"].real())}});
  screen.line("the oldest write that is not on disk has waited for " +
              time_text(stats["store"]["durable_lag_us"].real()) + "; " + count_text(log["waits"].number()) +
              " writes ever had to wait for room in the log's buffers");
}

void show_operations(Screen& screen, const Document& analytics) {
  std::vector<Screen::Row> rows;
  for (const Document& operation : analytics["operations"].list()) {
    const Document& of = operation["latency"];
    rows.push_back({std::string(operation["operation"].text()), rate_text(operation["per_second"].real()),
                    time(of, "p50_ns"), time(of, "p90_ns"), time(of, "p99_ns"), time(of, "p999_ns"),
                    time(of, "max_ns")});
  }
  screen.table(
      {{"OPERATION"}, {"RATE", true}, {"P50", true}, {"P90", true}, {"P99", true}, {"P99.9", true}, {"MAX", true}},
      rows);
}

/// The analytics, and the log's figures that `show_stages` has, in one.
[[nodiscard]] Got<void> show_latency_json(Context& context, const Document& stats) {
  Got<Document> analytics = context.ask("analytics");
  if (!analytics) return std::unexpected(analytics.error());
  const Document& log = stats["log"];
  auto* const fields = analytics->as<Document::Map>();
  if (fields == nullptr) return failed("the process answered with no analytics");
  fields->push_back({"stages", Document::Map{{"sync_durations", log["sync_durations"]},
                                             {"sync_duration_max_us", log["sync_duration_max_us"]},
                                             {"durable_lag_us", stats["store"]["durable_lag_us"]},
                                             {"waits", log["waits"]}}});
  context.screen().line(json_text(*analytics));
  return {};
}

Got<void> latency(Context& context, const Words&) {
  const Got<Document> stats = context.ask("stats");
  if (!stats) return std::unexpected(stats.error());
  if (context.screen().json()) return show_latency_json(context, *stats);
  if (auto shown = show(context, [&](const Document& of) { show_operations(context.screen(), of); }); !shown) {
    return shown;
  }
  show_stages(context.screen(), *stats);
  return {};
}

Got<void> slowlog(Context& context, const Words& arguments) {
  const Got<std::uint64_t> count = lines("slowlog", arguments, k_lines);
  if (!count) return std::unexpected(count.error());
  return show(context, [&](const Document& analytics) {
    std::vector<Screen::Row> rows;
    for (const Document& slow : analytics["slowest"].list()) {
      if (rows.size() == *count) break;
      rows.push_back({time(slow, "latency_ns"), time(slow, "ago_ns") + " ago", std::string(slow["operation"].text()),
                      as_word(slow["key"]["space"].text()), key_text(slow["key"])});
    }
    context.screen().table({{"TOOK", true}, {"WHEN", true}, {"OPERATION"}, {"SPACE"}, {"KEY"}}, rows);
  });
}

Got<void> monitor(Context& context, const Words& arguments) {
  const Got<std::uint64_t> count = lines("monitor", arguments, k_lines_max);
  if (!count) return std::unexpected(count.error());
  Screen& screen = context.screen();
  std::uint64_t dropped = 0;
  const auto show_step = [&](const Document& step) {
    for (const Document& operation : step["operations"].list()) {
      const std::string line = std::string(operation["operation"].text()) + ' ' + as_word(operation["space"].text()) +
                               ' ' + as_word(operation["key"].bytes()) + ' ' +
                               bytes_text(operation["value_bytes"].real()) + ' ' + time(operation, "latency_ns") +
                               (operation["successful"].truth() ? "" : " in vain");
      if (!screen.line(screen.json() ? json_text(operation) : line)) return false;
    }
    dropped = step["dropped"].number();
    // Asked again a few times a second; the process keeps what comes meanwhile.
    // Asking tells why a connection was closed.
    if (step["more"].truth()) (void)wait_for(std::chrono::milliseconds(100), context.descriptor());
    return !interrupted;
  };
  if (auto watched = context.walk("monitor", {{"count", *count}}, show_step); !watched) return watched;
  if (dropped > 0 && !screen.json()) screen.line(count_text(dropped) + " more came too fast and were left out");
  return {};
}

constexpr Command k_commands[] = {
    {.name = "latency",
     .what = "How long operations took, and syncs of the log",
     .example = "latency",
     .where = Where::live,
     .run = latency},
    {.name = "hot",
     .arguments = "[NUMBER]",
     .what = "The keys that are used most",
     .example = "hot 20",
     .arguments_max = 1,
     .where = Where::live,
     .run = hot},
    {.name = "slowlog",
     .arguments = "[NUMBER]",
     .what = "The slowest of the sampled operations",
     .example = "slowlog 20",
     .arguments_max = 1,
     .where = Where::live,
     .run = slowlog},
    {.name = "monitor",
     .arguments = "[NUMBER]",
     .what = "Sampled operations as they come, until Ctrl-C or for a minute",
     .example = "monitor 100",
     .arguments_max = 1,
     .where = Where::live,
     .run = monitor},
};

}  // namespace

std::span<const Command> analytics_commands() { return k_commands; }

}  // namespace shell
