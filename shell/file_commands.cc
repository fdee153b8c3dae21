// Commands for closed files.

#include "checkpoint/format.h"
#include "checkpoint/manifest.h"
#include "shell/command.h"
#include "shell/frames.h"
#include "shell/store_files.h"
#include "shell/text.h"
#include "wal/format.h"

#include <span>

namespace shell {
namespace {

namespace checkpoint = actable::checkpoint;
namespace wal = actable::wal;
using actable::debug::Document;

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

void show_checkpoint(Screen& screen, const checkpoint::Manifest& manifest) {
  if (manifest.files.empty()) return;
  std::vector<Screen::Row> rows;
  for (const checkpoint::FileEntry& file : manifest.files) {
    rows.push_back({checkpoint::file_name(file.number), count_text(file.blocks), count_text(file.records),
                    bytes_text(static_cast<double>(file.bytes))});
  }
  screen.line("");
  screen.table({{"CHECKPOINT"}, {"BLOCKS", true}, {"RECORDS", true}, {"BYTES", true}}, rows);
}

[[nodiscard]] std::string records_text(const checkpoint::Manifest& manifest, std::uint64_t of_log) {
  if (manifest.files.empty()) return count_text(of_log) + " records";
  return count_text(manifest.records()) + " records of the checkpoint and " + count_text(of_log) +
         " of the log behind it,";
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
  const checkpoint::Manifest& manifest = files.checkpoint();
  if (screen.json()) {
    screen.line(json_text(Document::Map{{"whole", true},
                                        {"frames", frames},
                                        {"checkpoint_records", manifest.records()},
                                        {"checkpoint_bytes", manifest.bytes()},
                                        {"records_applied", end->records_applied},
                                        {"records_discarded", end->records_discarded},
                                        {"log_bytes", end->bytes},
                                        {"cut", end->cut},
                                        {"clean", end->clean}}));
    return {};
  }
  show_checkpoint(screen, manifest);
  screen.line("");
  screen.line({{"whole", Screen::Style::good},
               ": " + records_text(manifest, end->records_applied) + " up to number " +
                   std::to_string(end->cut == 0 ? 0 : end->cut - 1) + " are there, " +
                   (end->clean ? "and the store was closed"
                               : "the process had ended without closing; " + count_text(end->records_discarded) +
                                     " records beyond the cut will be discarded")});
  return {};
}

using Where = Command::Where;

constexpr Command k_commands[] = {
    {.name = "verify",
     .what = "Reads every frame and block, and tells whether log and checkpoint are whole",
     .example = "verify",
     .where = Where::offline,
     .run = verify},
};

}  // namespace

std::span<const Command> file_commands() { return k_commands; }

}  // namespace shell
