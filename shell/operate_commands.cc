// Commands that have a running store do something.

#include "shell/command.h"
#include "shell/interrupt.h"
#include "shell/text.h"

#include <charconv>
#include <chrono>

namespace shell {
namespace {

using actable::debug::Document;

[[nodiscard]] Got<void> done(Context& context, const Got<Document>& answer, const std::string& what) {
  if (!answer) return std::unexpected(answer.error());
  context.screen().line(context.screen().json() ? json_text(*answer) : what);
  return {};
}

Got<void> sync(Context& context, const Words&) {
  const auto answer = context.ask("sync");
  return done(context, answer,
              answer ? "on disk up to number " + std::to_string((*answer)["durable"].number()) : std::string());
}

Got<void> checkpoint(Context& context, const Words&) {
  const auto answer = context.ask("checkpoint");
  return done(context, answer,
              answer ? "a checkpoint is written: " + count_text((*answer)["records"].number()) + " records, " +
                           bytes_text((*answer)["bytes"].real())
                     : std::string());
}

Got<void> heal(Context& context, const Words&) {
  const auto answer = context.ask("heal");
  if (!answer || !(*answer)["began_anew"].truth()) {
    return done(context, answer, "the log has not failed: there is nothing to heal");
  }
  return done(context, answer,
              "the store takes writes again, with a new log; all up to number " +
                  std::to_string((*answer)["durable"].number()) + " is on disk, those from " +
                  std::to_string((*answer)["open_from"].number()) + " on, of which that was open, among them");
}

Got<void> restart(Context& context, const Words& arguments) {
  return done(context, context.ask("restart", {{"actor", arguments[0]}}),
              "the actor " + arguments[0] + " starts again");
}

Got<void> crash(Context& context, const Words& arguments) {
  return done(context, context.ask("crash", {{"actor", arguments[0]}}),
              "the actor " + arguments[0] + " was crashed; its supervisor starts it again");
}

Got<void> set(Context& context, const Words& arguments) {
  return done(context, context.ask("set", {{"option", arguments[0]}, {"value", arguments[1]}}),
              arguments[0] + " is " + arguments[1] + " now, until the store is opened again");
}

Got<void> trace(Context& context, const Words& arguments) {
  std::uint64_t messages = 10;
  if (arguments.size() > 1) {
    const std::string& text = arguments[1];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), messages);
    if (error != std::errc() || end != text.data() + text.size() || messages < 1 || messages > 10'000) {
      return failed("trace: " + as_word(text) + " is no number from 1 to 10000", k_status_not_asked);
    }
  }
  Screen& screen = context.screen();
  std::uint64_t dropped = 0;
  const auto show = [&](const Document& step) {
    for (const Document& message : step["messages"].list()) {
      if (!screen.line(screen.json() ? json_text(message) : std::string(message.text()))) return false;
    }
    dropped = step["dropped"].number();
    // Asked again a few times a second; the process keeps what comes meanwhile.
    // Asking tells why a connection was closed.
    if (step["more"].truth()) (void)wait_for(std::chrono::milliseconds(100), context.descriptor());
    return !interrupted;
  };
  if (auto traced = context.walk("trace", {{"actor", arguments[0]}, {"count", messages}}, show); !traced) return traced;
  if (dropped > 0 && !screen.json()) screen.line(count_text(dropped) + " more came too fast and were left out");
  return {};
}

using Where = Command::Where;
using Offers = Command::Offers;

constexpr Command k_commands[] = {
    {.name = "trace",
     .arguments = "ACTOR [NUMBER]",
     .what = "The next requests that come to an actor; ends after a minute",
     .example = "trace store 10",
     .arguments_min = 1,
     .arguments_max = 2,
     .where = Where::live,
     .offers = Offers::actors,
     .run = trace},
    {.name = "sync",
     .what = "Returns when all that was written is on disk",
     .example = "sync",
     .writes = true,
     .where = Where::live,
     .run = sync},
    {.name = "checkpoint now",
     .what = "Writes a checkpoint, and returns when it is on disk",
     .example = "checkpoint now",
     .writes = true,
     .where = Where::live,
     .run = checkpoint},
    {.name = "heal",
     .what = "Has a store whose log has failed take writes again: a new checkpoint, a new log",
     .example = "heal",
     .writes = true,
     .where = Where::live,
     .run = heal},
    {.name = "set",
     .arguments = "OPTION VALUE",
     .what = "Changes an option until the store is opened again",
     .example = "set sync_interval 50ms",
     .arguments_min = 2,
     .arguments_max = 2,
     .writes = true,
     .where = Where::live,
     .offers = Offers::options,
     .run = set},
    {.name = "restart",
     .arguments = "ACTOR",
     .what = "Has an actor end after its waiting requests, and start again",
     .example = "restart log",
     .arguments_min = 1,
     .arguments_max = 1,
     .writes = true,
     .where = Where::live,
     .offers = Offers::actors,
     .run = restart},
    {.name = "crash",
     .arguments = "ACTOR",
     .what = "A drill: ends an actor as a crash would",
     .example = "crash log",
     .arguments_min = 1,
     .arguments_max = 1,
     .writes = true,
     .where = Where::live,
     .offers = Offers::actors,
     .run = crash},
};

}  // namespace

std::span<const Command> operate_commands() { return k_commands; }

}  // namespace shell
