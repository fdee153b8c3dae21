#include "shell/top.h"

#include "shell/interrupt.h"
#include "shell/text.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <functional>

namespace shell {
namespace {

using actable::debug::Document;

/// What the figures are differences of.
struct Sample {
  std::chrono::steady_clock::time_point at;
  Document stats, actors, spaces;
};

struct BusyActor {
  std::string name;
  double requests_per_s, busy_share;
  std::uint64_t waiting, refused;
};

[[nodiscard]] Got<Sample> sample(Context& context) {
  Sample now{};
  using Part = std::pair<const char*, Document*>;
  for (const auto& [command, into] :
       {Part{"stats", &now.stats}, Part{"actors", &now.actors}, Part{"spaces", &now.spaces}}) {
    Got<Document> answer = context.ask(command);
    if (!answer) return std::unexpected(std::move(answer.error()));
    *into = *std::move(answer);
  }
  now.at = std::chrono::steady_clock::now();
  return now;
}

[[nodiscard]] double grown(const Document& before, const Document& after, std::string_view field) {
  // A process that was started again counts from 0.
  return std::max(0.0, after[field].real() - before[field].real());
}

[[nodiscard]] const Document& named(const Document& list, std::string_view name) {
  static const Document k_none;
  for (const Document& one : list.list()) {
    if (one["name"].text() == name) return one;
  }
  return k_none;
}

[[nodiscard]] std::vector<BusyActor> busiest(const Sample& before, const Sample& after, double seconds,
                                             std::size_t count) {
  std::vector<BusyActor> all;
  for (const Document& actor : after.actors.list()) {
    const Document& was = named(before.actors, actor["name"].text());
    all.push_back({std::string(actor["name"].text()), grown(was, actor, "processed") / seconds,
                   grown(was, actor, "busy_us") / (seconds * 1e6), actor["waiting"].number(),
                   static_cast<std::uint64_t>(grown(was, actor, "refused"))});
  }
  const auto rank = [](const BusyActor& actor) { return std::pair(actor.busy_share, actor.requests_per_s); };
  std::ranges::sort(all, std::greater<>(), rank);
  if (all.size() > count) all.resize(count);
  return all;
}

/// How many spaces and actors are shown.
struct Shown {
  std::size_t spaces = 8;
  std::size_t actors = 10;
};

/// As many as the terminal has lines for, beside those that are always there.
[[nodiscard]] Shown fitting(std::size_t lines, std::size_t spaces) {
  // The title, two lines of figures, and two tables with a blank line and a heading each.
  constexpr std::size_t k_others = 3 + 2 * 2;
  const std::size_t left = lines > k_others ? lines - k_others : 0;
  Shown shown;
  shown.spaces = std::min({shown.spaces, spaces, left / 2});
  shown.actors = std::min(shown.actors, left - shown.spaces);
  return shown;
}

[[nodiscard]] Document as_document(const Sample& before, const Sample& after, double seconds) {
  const auto rate = [&](const char* field) { return grown(before.stats["log"], after.stats["log"], field) / seconds; };
  Document::List actors;
  for (const BusyActor& actor : busiest(before, after, seconds, Shown().actors)) {
    actors.emplace_back(Document::Map{{"name", actor.name},
                                      {"requests_per_s", actor.requests_per_s},
                                      {"busy_share", actor.busy_share},
                                      {"waiting", actor.waiting},
                                      {"refused", actor.refused}});
  }
  return Document::Map{{"seconds", seconds},
                       {"log_bytes_per_s", rate("written_bytes")},
                       {"rounds_per_s", rate("rounds")},
                       {"syncs_per_s", rate("syncs")},
                       {"waits_per_s", rate("waits")},
                       {"actors", std::move(actors)}};
}

void show_figures(Screen& screen, const Sample& before, const Sample& after, double seconds) {
  const Document &log = after.stats["log"], &log_before = before.stats["log"], &store = after.stats["store"];
  const auto rate = [&](const char* field) { return rate_text(grown(log_before, log, field) / seconds); };
  screen.line("log " + bytes_text(grown(log_before, log, "written_bytes") / seconds) + "/s, rounds " + rate("rounds") +
              ", syncs " + rate("syncs") + ", writers held up " + rate("waits"));
  screen.line("durable lag " + time_text(store["durable_lag_us"].real()) + ", memory " +
              bytes_text(after.stats["process"]["resident_bytes"].real()) + ", threads " +
              count_text(store["threads"].number()));
}

void show_spaces(Screen& screen, const Sample& before, const Sample& after, double seconds, std::size_t count) {
  std::vector<Screen::Row> rows;
  for (const Document& space : after.spaces.list()) {
    if (rows.size() == count) break;
    const double change = space["keys"].real() - named(before.spaces, space["name"].text())["keys"].real();
    rows.push_back({as_word(space["name"].text()), count_text(space["keys"].number()),
                    (change < 0 ? "-" : "+") + rate_text(std::abs(change) / seconds)});
  }
  screen.table({{"SPACE"}, {"KEYS", true}, {"CHANGE", true}}, rows);
}

void show(Screen& screen, const Sample& before, const Sample& after, double seconds) {
  if (screen.json()) {
    screen.line(json_text(as_document(before, after, seconds)));
    return;
  }
  const Shown shown = screen.terminal() ? fitting(Screen::size().lines, after.spaces.list().size()) : Shown();
  show_figures(screen, before, after, seconds);
  screen.line("");
  show_spaces(screen, before, after, seconds, shown.spaces);
  screen.line("");
  std::vector<Screen::Row> rows;
  for (const BusyActor& actor : busiest(before, after, seconds, shown.actors)) {
    rows.push_back({actor.name, rate_text(actor.requests_per_s), percent_text(actor.busy_share),
                    count_text(actor.waiting), count_text(actor.refused)});
  }
  screen.table({{"ACTOR"}, {"REQUESTS", true}, {"BUSY", true}, {"MAILBOX", true}, {"REFUSED", true}}, rows);
}

}  // namespace

Got<void> top(Context& context, const Words& arguments) {
  double window_s = 1;
  if (!arguments.empty()) {
    const std::string& text = arguments[0];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), window_s);
    if (error != std::errc() || end != text.data() + text.size() || !(window_s >= 0.1 && window_s <= 3'600)) {
      return failed("top: the window is 0.1 to 3600 seconds, not " + as_word(text) + ", for example: top 2",
                    k_status_not_asked);
    }
  }
  Screen& screen = context.screen();
  const bool again = screen.terminal() && !screen.json();
  Got<Sample> before = sample(context);
  if (!before) return std::unexpected(std::move(before.error()));
  screen.progress("the first figures come in " + time_text(window_s * 1e6));
  do {
    if (!wait_for(std::chrono::milliseconds(static_cast<std::int64_t>(window_s * 1e3)), context.descriptor()) &&
        interrupted) {
      return {};
    }
    Got<Sample> after = sample(context);
    if (!after) return std::unexpected(std::move(after.error()));
    screen.progress("");
    if (again) {
      screen.begin_frame();
      screen.line({"every " + time_text(window_s * 1e6) + ", until Ctrl-C", Screen::Style::dim});
    }
    const std::chrono::duration<double> passed = after->at - before->at;
    show(screen, *before, *after, passed.count());
    before = std::move(after);
  } while (again && !interrupted && screen.wanted());
  return {};
}

}  // namespace shell
