// The command that makes a new store of a damaged one.

#include "shell/command.h"
#include "shell/repair.h"
#include "shell/text.h"
#include "shell/words.h"

#include <algorithm>

namespace shell {
namespace {

using actable::debug::Bytes;
using actable::debug::Document;
using Map = Document::Map;

// Of keys whose values may be stale, so many are listed for people.
constexpr std::size_t k_listed_max = 20;

[[nodiscard]] Document document_of(const Damage& damage) {
  Map map{{"file", damage.file},
          {"offset", damage.offset},
          {"bytes", damage.bytes},
          {"what", damage.what},
          {"lost", damage.lost}};
  if (damage.records) map.push_back({"records", *damage.records});
  if (damage.from != 0 || damage.to != 0) {
    map.push_back({"from", damage.from});
    if (damage.to != 0) map.push_back({"to", damage.to});
  }
  return map;
}

[[nodiscard]] std::string text_of(const Damage& damage) {
  std::string text = damage.file.empty() ? "" : damage.file + ": ";
  if (damage.bytes != 0) {
    text += "offset " + std::to_string(damage.offset) + ", " + count_text(damage.bytes) + " bytes: ";
  }
  text += damage.what;
  if (damage.records) text += "; " + count_text(*damage.records) + " records at most";
  if (damage.from != 0 || damage.to != 0) {
    text += "; writes numbered from " + std::to_string(damage.from);
    text += damage.to == 0 ? " on" : ", below " + std::to_string(damage.to);
  }
  return text;
}

void tell_as_json(Screen& screen, const Repair& done, const Document& summary) {
  for (const Damage& damage : done.damages()) screen.line(json_text(Map{{"damage", document_of(damage)}}));
  for (const Repair::Stale& stale : done.stale()) {
    screen.line(json_text(Map{{"stale", Map{{"space", stale.space}, {"key", Bytes{stale.key}}, {"seq", stale.seq}}}}));
  }
  screen.line(json_text(Map{{"repaired", summary}}));
}

void tell(Screen& screen, const Repair& done) {
  for (const Damage& damage : done.damages()) {
    screen.line(
        {{damage.lost ? "lost" : "damaged, nothing lost", damage.lost ? Screen::Style::bad : Screen::Style::good},
         ": " + text_of(damage)});
  }
  if (done.discarded() != 0) {
    screen.line(count_text(done.discarded()) +
                " records beyond the cut, of which nobody was told that they are on "
                "disk, are left out, as opening leaves them out");
  }
  if (!done.stale().empty()) {
    screen.line({{"may be stale", Screen::Style::warning},
                 ": a later write or erasure of these may have been lost (" + count_text(done.stale().size()) + ")"});
    for (std::size_t i = 0; i < std::min(k_listed_max, done.stale().size()); ++i) {
      const Repair::Stale& stale = done.stale()[i];
      screen.line("  " + as_word(stale.space) + "  " + key_text(stale.key, stale.key.size()) + "  number " +
                  std::to_string(stale.seq));
    }
    if (done.stale().size() > k_listed_max) {
      screen.line("  and " + count_text(done.stale().size() - k_listed_max) + " more: --json lists them all");
    }
  }
  for (const auto& [id, space] : done.spaces()) {
    screen.line("space " + as_word(space.name) + ": " + count_text(space.keys) + " keys" +
                (space.named ? "" : "; the catalog's entry is lost, and the name a guess") +
                (space.stale && space.named ? "; that it was dropped may have been lost" : ""));
  }
}

Got<void> repair(Context& context, const Words& arguments) {
  Screen& screen = context.screen();
  Repair work(context.files(), arguments[0]);
  auto done = work.run();
  screen.progress("");
  if (!done) return done;
  std::uint64_t keys = 0;
  Document::List spaces;
  for (const auto& [id, space] : work.spaces()) {
    keys += space.keys;
    spaces.emplace_back(
        Map{{"name", space.name}, {"id", id}, {"keys", space.keys}, {"named", space.named}, {"stale", space.stale}});
  }
  if (screen.json()) {
    tell_as_json(screen, work,
                 Map{{"directory", arguments[0]},
                     {"lost", work.lost()},
                     {"keys", keys},
                     {"spaces", std::move(spaces)},
                     {"stale", work.stale().size()},
                     {"discarded", work.discarded()},
                     {"cut", work.cut()}});
  } else {
    tell(screen, work);
  }
  const std::string there =
      count_text(keys) + " keys in " + count_text(work.spaces().size()) + " spaces are in " + arguments[0];
  if (work.lost()) return failed("repair: something was lost, or may have been; " + there, k_status_lost);
  if (!screen.json()) screen.line({{"nothing was lost", Screen::Style::good}, ": " + there});
  return {};
}

constexpr Command k_commands[] = {
    {.name = "repair",
     .arguments = "NEWDIR",
     .what = "Makes a new store of all that can be read, and lists what is lost",
     .example = "repair /var/lib/service/store.repaired",
     .more =
         "NEWDIR is not there yet, or empty, and not inside the damaged store, which is not changed. The new store is\n"
         "there when the command is done, whole, or not at all. Exit status 0: nothing was lost; 3: something was,\n"
         "or may have been: the list says in which file, where, how much, and the numbers of the writes where they\n"
         "are known; and which values may be stale, because a later write of the key may have been in what is lost.\n"
         "With --json a line for each of these, {\"damage\": ...} and {\"stale\": ...}, and {\"repaired\": ...}.\n"
         "For each key the highest number counts that can be read and is below the log's cut; what nobody was told\n"
         "to be on disk is left out. A space whose name is lost is called space-N.\n"
         "Reads the log three times; keeps all keys in memory, beside the new store. docs/repair.md has the rules.",
     .arguments_min = 1,
     .arguments_max = 1,
     .where = Command::Where::offline,
     .of_any_files = true,
     .run = repair},
};

}  // namespace

std::span<const Command> repair_commands() { return k_commands; }

}  // namespace shell
