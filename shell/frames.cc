#include "shell/frames.h"

#include "shell/store_files.h"
#include "shell/text.h"
#include "shell/words.h"

#include <span>

namespace shell {

namespace wal = actable::wal;
using actable::debug::Bytes;
using actable::debug::Document;

const char* name_of(wal::HeaderState state) noexcept {
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

namespace {

constexpr std::size_t k_listed_bytes = 120;

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

}  // namespace

Got<void> dump_frames(Context& context) {
  StoreFiles& files = context.files();
  Screen& screen = context.screen();
  // Names are nice to have: a log that is damaged is dumped with numbers.
  const auto known = files.space_name(0);
  const std::string& chosen = context.chosen_space();
  if (!chosen.empty()) {
    if (!known) {
      return failed("dump: which records are of the space " + as_word(chosen) + " cannot be told: " +
                        known.error().message + "; `dump` in a shell without a chosen space shows all of them",
                    known.error().status);
    }
    if (auto there = files.space_id(chosen); !there) return std::unexpected(there.error());
  }
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
          if (!chosen.empty() && files.space_name(record->space) != chosen) continue;
          if (!dump_record(context, *record)) return false;
        }
        return true;
      });
}

}  // namespace shell
