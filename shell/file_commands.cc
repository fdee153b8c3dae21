// Commands for closed files.

#include "shell/command.h"
#include "shell/store_files.h"
#include "shell/text.h"
#include "wal/format.h"

#include <span>

namespace shell {
namespace {

namespace wal = actable::wal;
using actable::debug::Bytes;
using actable::debug::Document;

constexpr std::size_t k_listed_bytes = 120;

[[nodiscard]] const char* name_of(wal::HeaderState state) noexcept {
  switch (state) {
    case wal::HeaderState::whole:
      return "whole";
    case wal::HeaderState::foreign:
      return "of another store";
    case wal::HeaderState::newer:
      return "of a newer version";
    case wal::HeaderState::broken:
      return "broken";
  }
  return "";
}

/// What a segment holds, whatever recovery makes of it.
struct Tally {
  StoreFiles::Segment segment;
  std::uint64_t frames = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
};

[[nodiscard]] Got<std::vector<Tally>> tally(StoreFiles& files) {
  std::vector<Tally> tallies;
  auto walked = files.walk_frames(
      [&](const StoreFiles::Segment& segment) {
        tallies.push_back({.segment = segment});
        return true;
      },
      [&](std::uint64_t, const wal::FrameHeader& header, std::span<const std::byte>) {
        ++tallies.back().frames;
        tallies.back().records += header.records;
        tallies.back().bytes += wal::frame_bytes(header.payload_bytes);
        return true;
      });
  if (!walked) return std::unexpected(std::move(walked.error()));
  return tallies;
}

void show_tallies(Screen& screen, const std::vector<Tally>& tallies) {
  std::vector<Screen::Row> rows;
  for (const Tally& one : tallies) {
    rows.push_back({one.segment.name, name_of(one.segment.state), std::to_string(one.segment.header.generation),
                    std::to_string(one.segment.header.era), count_text(one.frames), count_text(one.records),
                    bytes_text(static_cast<double>(one.bytes))});
  }
  screen.table({{"SEGMENT"},
                {"HEADER"},
                {"GENERATION", true},
                {"ERA", true},
                {"FRAMES", true},
                {"RECORDS", true},
                {"BYTES", true}},
               rows);
}

Got<void> verify(Context& context, const Words&) {
  StoreFiles& files = context.files();
  Screen& screen = context.screen();
  const auto tallies = tally(files);
  if (!tallies) return std::unexpected(tallies.error());
  if (!screen.json()) show_tallies(screen, *tallies);
  // Last: what it says is what counts, and is the program's status.
  const auto end = files.verify();
  if (!end) return std::unexpected(end.error());
  std::uint64_t frames = 0;
  for (const Tally& one : *tallies) frames += one.frames;
  if (screen.json()) {
    screen.line(json_text(Document::Map{{"whole", true},
                                        {"frames", frames},
                                        {"records_applied", end->records_applied},
                                        {"records_discarded", end->records_discarded},
                                        {"log_bytes", end->bytes},
                                        {"cut", end->cut},
                                        {"clean", end->clean}}));
    return {};
  }
  screen.line("");
  screen.line({{"whole", Screen::Style::good},
               ": " + count_text(end->records_applied) + " records up to number " +
                   std::to_string(end->cut == 0 ? 0 : end->cut - 1) + " are there, " +
                   (end->clean ? "and the store was closed"
                               : "the process had ended without closing; " + count_text(end->records_discarded) +
                                     " records beyond the cut will be discarded")});
  return {};
}

[[nodiscard]] std::string flags_text(const wal::FrameHeader& header) {
  std::string text;
  if ((header.flags & wal::FrameHeader::k_recovery) != 0) text += ", recovery";
  if ((header.flags & wal::FrameHeader::k_clean) != 0) text += ", clean close";
  return text;
}

[[nodiscard]] Document frame_document(const StoreFiles::Segment& segment, std::uint64_t offset,
                                      const wal::FrameHeader& header) {
  return Document::Map{{"segment", segment.name},
                       {"offset", offset},
                       {"frame", header.number},
                       {"era", header.era},
                       {"cut", header.cut},
                       {"durable", header.durable},
                       {"recovery", (header.flags & wal::FrameHeader::k_recovery) != 0},
                       {"clean", (header.flags & wal::FrameHeader::k_clean) != 0},
                       {"records", header.records}};
}

[[nodiscard]] bool dump_frame(Context& context, const StoreFiles::Segment& segment, std::uint64_t offset,
                              const wal::FrameHeader& header) {
  Screen& screen = context.screen();
  if (screen.json()) return screen.line(json_text(frame_document(segment, offset, header)));
  return screen.line({{"frame " + std::to_string(header.number), Screen::Style::heading},
                      " at " + std::to_string(offset) + ", era " + std::to_string(header.era) +
                          (header.cut == 0 ? "" : ", all below " + std::to_string(header.cut) + " is here") +
                          ", on disk below " + std::to_string(header.durable) + flags_text(header) + ", " +
                          count_text(header.records) + " records"});
}

[[nodiscard]] bool dump_record(Context& context, const wal::LogRecord& record) {
  Screen& screen = context.screen();
  const auto name = context.files().space_name(record.space);
  const std::string space = record.space == 0        ? "the catalog"
                            : name && !name->empty() ? as_word(*name)
                                                     : "dropped space " + std::to_string(record.space);
  if (screen.json()) {
    Document::Map map{{"seq", record.seq}, {"space", record.space}, {"key", Bytes{std::string(record.key)}}};
    if (!record.tombstone) map.push_back({"value", Bytes{std::string(record.value)}});
    return screen.line(json_text(map));
  }
  return screen.line("  " + std::to_string(record.seq) + "  " + space + (record.tombstone ? "  erase " : "  put ") +
                     as_word(record.key) +
                     (record.tombstone ? "" : " " + value_text(record.value, ValueView::automatic, k_listed_bytes)));
}

Got<void> dump(Context& context, const Words&) {
  StoreFiles& files = context.files();
  Screen& screen = context.screen();
  // Names are nice to have: a log that is damaged is dumped with numbers.
  (void)files.space_name(0);
  StoreFiles::Segment at{};
  return files.walk_frames(
      [&](const StoreFiles::Segment& segment) {
        at = segment;
        if (screen.json()) return true;
        return screen.line(
            {{"segment " + segment.name, Screen::Style::heading},
             ", generation " + std::to_string(segment.header.generation) + ", header " + name_of(segment.state)});
      },
      [&](std::uint64_t offset, const wal::FrameHeader& header, std::span<const std::byte> payload) {
        if (!dump_frame(context, at, offset, header)) return false;
        while (!payload.empty()) {
          const auto record = wal::take_record(payload);
          if (!record) return screen.line("  what follows in this frame makes no sense");
          if (!dump_record(context, *record)) return false;
        }
        return true;
      });
}

using Where = Command::Where;

constexpr Command k_commands[] = {
    {.name = "verify",
     .what = "Reads every frame, and tells whether the log is whole",
     .example = "verify",
     .where = Where::offline,
     .run = verify},
    {.name = "dump",
     .what = "Every frame and record, in readable form",
     .example = "dump",
     .where = Where::offline,
     .run = dump},
};

}  // namespace

std::span<const Command> file_commands() { return k_commands; }

}  // namespace shell
