#include "tests/lab/failures/source_calls.h"

#include "tests/lab/failures/sites.h"
#include "tests/lab/leg.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace actable::lab {
namespace {

/// One line that calls the seam.
struct SourceCall {
  std::string_view file;
  /// What stands in that line of the file, and in no other that calls the seam.
  std::string_view text;
  /// A site that the line alone comes to, or that it comes to on another call
  /// than the others: each call of a run fails in turn.
  std::string_view site;
};

constexpr auto k_source_calls = std::to_array<SourceCall>({
    {"checkpoint/file_copy.cc", "files.remove(to)", "backing up: remove part"},
    {"checkpoint/file_reader.cc", "files_.open(path_", "recovering: open part"},
    {"checkpoint/file_reader.cc", "file_->read(offset, window_)", "recovering: read part"},
    {"checkpoint/file_reader.cc", "file_->size()", "recovering: size of part"},
    {"checkpoint/file_writer.cc", "files.open(directory / file_name", "running: create part"},
    {"checkpoint/file_writer.cc", "file_->write(entry_.bytes", "running: write part"},
    {"checkpoint/file_writer.cc", "file_->sync()", "running: sync part"},
    {"checkpoint/file_writer.cc", "files_.sync_directory(", "running: sync directory of part"},
    {"checkpoint/manifest.cc", "files.remove(aside)", "running: remove CHECKPOINT.new"},
    {"checkpoint/manifest.cc", "files.open(aside", "running: create CHECKPOINT.new"},
    {"checkpoint/manifest.cc", "(*file)->write(0, bytes)", "running: write CHECKPOINT.new"},
    {"checkpoint/manifest.cc", "(*file)->sync()", "running: sync CHECKPOINT.new"},
    {"checkpoint/manifest.cc", "files.rename(aside, path)", "running: rename CHECKPOINT"},
    {"checkpoint/manifest.cc", "files.sync_directory(directory)", "running: sync directory of CHECKPOINT"},
    {"checkpoint/manifest.cc", "files.open(path, {})", "recovering: open CHECKPOINT"},
    {"checkpoint/manifest.cc", "(*file)->size()", "recovering: size of CHECKPOINT"},
    {"checkpoint/manifest.cc", "(*file)->read(0, bytes)", "recovering: read CHECKPOINT"},
    {"store/backup.cc", "files_.prepare_directory(", "backing up: prepare"},
    {"store/backup.cc", "files_.lock(", "backing up: lock"},
    {"store/backup.cc", "found = files_.list(to_)", "backing up: list"},
    {"store/backup.cc", "names = files_.list(to_)", "backing up: list"},
    {"store/backup.cc", "files_.open(to_", "backing up: open part"},
    {"store/backup.cc", "(*file)->size()", "backing up: size of part"},
    {"store/backup.cc", "files_.remove(to_ / name)", "backing up: remove segment"},
    {"store/backup_record.cc", "files.remove(aside)", "backing up: remove BACKUP.new"},
    {"store/backup_record.cc", "files.open(aside", "backing up: create BACKUP.new"},
    {"store/backup_record.cc", "(*file)->write(0, bytes)", "backing up: write BACKUP.new"},
    {"store/backup_record.cc", "(*file)->sync()", "backing up: sync BACKUP.new"},
    {"store/backup_record.cc", "files.rename(aside, path)", "backing up: rename BACKUP"},
    {"store/backup_record.cc", "return files.sync_directory(directory)", "backing up: sync directory of BACKUP"},
    {"store/backup_record.cc", "? files.sync_directory(directory)", "recovering: sync directory of"},
    {"store/backup_record.cc", "files.open(path, {})", "recovering: open BACKUP"},
    {"store/backup_record.cc", "(*file)->size()", "recovering: size of BACKUP"},
    {"store/backup_record.cc", "(*file)->read(0, bytes)", "recovering: read BACKUP"},
    {"store/backup_record.cc", "files.remove(directory / k_backup_file)", "recovering: remove BACKUP"},
    {"store/checkpoint_files.cc", "files_.remove(store_", "running: remove part"},
    {"store/checkpointer.cc", "files_.remove(path)", "running: remove part"},
    {"store/healing.cc", "files_.remove(store_", "healing: remove part"},
    {"store/restore.cc", "files_.list(", "recovering: list"},
    {"store/restore.cc", "files_.open(path", "recovering: open part"},
    {"store/restore.cc", "(*file)->read(0, head)", "recovering: read part"},
    {"store/restore.cc", "files_.remove(path)", "recovering: remove part"},
    {"store/recovery.cc", "files_.prepare_directory(", "creating: prepare"},
    {"store/recovery.cc", "files_.lock(", "creating: lock"},
    {"wal/beginning.cc", "place->file->write(", "healing: write segment's content"},
    {"wal/beginning.cc", "file->sync()", "healing: sync segment"},
    {"wal/frame_reader.cc", "file_.read(offset, *window_)", "recovering: read segment's content"},
    {"wal/frame_writer.cc", "queue_->submit_write(", "running: queue write segment"},
    {"wal/frame_writer.cc", "queue_->submit_sync(", "running: queue sync segment"},
    {"wal/identity.cc", "files.remove(aside)", "creating: remove STORE.new"},
    {"wal/identity.cc", "files.open(aside", "creating: create STORE.new"},
    {"wal/identity.cc", "(*file)->write(0, bytes)", "creating: write STORE.new"},
    {"wal/identity.cc", "(*file)->sync()", "creating: sync STORE.new"},
    {"wal/identity.cc", "files.rename(aside, path)", "creating: rename STORE"},
    {"wal/identity.cc", "files.sync_directory(directory)", "creating: sync directory of STORE"},
    {"wal/identity.cc", "files.open(path, {})", "recovering: open STORE"},
    {"wal/identity.cc", "(*file)->read(0, bytes)", "recovering: read STORE"},
    {"wal/log.cc", "files_.list(options_.directory)", "creating: list"},
    {"wal/log.cc", "files_.open(options_.directory / first", "creating: open segment"},
    {"wal/log.cc", "(*file)->size()", "creating: size of segment"},
    {"wal/log.cc", "(*file)->sync()", "recovering: sync segment"},
    {"wal/log.cc", "files_.sync_directory(", "recovering: sync directory of"},
    {"wal/log.cc", "files.list(directory)", "recovering: look into"},
    {"wal/log.cc", "files_.remove(**leftover)", "creating: remove segment"},
    {"wal/log.cc", "files_.make_queue(", "creating: make queue"},
    {"wal/log_copy.cc", "files_.list(from_)", "backing up: list"},
    {"wal/log_copy.cc", "files_.open(source.path", "backing up: open segment"},
    {"wal/log_copy.cc", "(*file)->read(0, head)", "backing up: read segment's header"},
    {"wal/log_copy.cc", "files_.open(sources_[source].path", "backing up: open segment"},
    {"wal/log_copy.cc", "file_->size()", "backing up: size of segment"},
    {"wal/log_copy.cc", "(*file)->size()", "backing up: size of segment"},
    {"wal/log_copy.cc", "files_.open(to_", "backing up: open segment"},
    {"wal/log_copy.cc", "files_.remove(path)", "backing up: remove segment"},
    {"wal/segments.cc", "files.list(directory)", "recovering: list"},
    {"wal/segments.cc", "files_.list(directory_)", "healing: list"},
    {"wal/segments.cc", "files_.remove(segment.path)", "healing: remove segment"},
    {"wal/segments.cc", "(*file)->read(0, block.bytes)", "recovering: read segment's header"},
    {"wal/segments.cc", "(*file)->size()", "recovering: size of segment"},
    {"wal/segments.cc", "files->open(path", "recovering: open segment"},
    {"wal/segments.cc", "files_.open(segment.path", "running: create segment"},
    {"wal/segments.cc", "(*file)->allocate(bytes)", "running: allocate segment"},
    {"wal/segments.cc", "files_.sync_directory(directory_)", "running: sync directory of segment"},
    {"wal/segments.cc", "segment.file->write(0, block.bytes)", "running: write segment's header"},
    {"wal/segments.cc", "segment.file->write(prewritten_", "running: write segment's content"},
    {"wal/segments.cc", "files_.remove(smallest", "running: remove segment"},
    {"wal/writer.cc", "place->file->write(", "creating: write segment's content"},
    {"wal/writer.cc", "file->sync()", "creating: sync segment"},
});

// What has methods of the same names and is not the seam's; a weak pointer's `lock`
// is without arguments.
constexpr std::array<std::string_view, 6> k_others{"core_->",  "catalog_->", "space->",
                                                   "space().", ".lock()",    "reader.read("};

struct Line {
  std::string file;
  std::string text;
};

/// The lines of a file that look like calls of the seam.
void add_calls(const std::filesystem::path& root, const std::filesystem::path& path, std::vector<Line>& lines) {
  static const std::regex call(
      R"((\.|->)(open|list|rename|remove|sync_directory|prepare_directory|lock|make_queue|read|write|sync|allocate)"
      R"(|submit_write|submit_sync)\(|(\*file\)|file_)->size\()");
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    const auto stands_in = [&text](std::string_view other) { return text.find(other) != std::string::npos; };
    if (!std::regex_search(text, call) || std::ranges::any_of(k_others, stands_in)) continue;
    lines.push_back({std::filesystem::relative(path, root).generic_string(), text});
  }
}

std::vector<Line> calls_below(const std::filesystem::path& root) {
  std::vector<Line> lines;
  for (const char* const floor : {"checkpoint", "store", "wal"}) {
    for (const auto& entry : std::filesystem::directory_iterator(root / floor)) {
      const auto extension = entry.path().extension();
      if (extension == ".cc" || extension == ".h") add_calls(root, entry.path(), lines);
    }
  }
  return lines;
}

bool is(const SourceCall& call, const Line& line) {
  return call.file == line.file && line.text.find(call.text) != std::string::npos;
}

}  // namespace

std::size_t check_source_calls(const std::filesystem::path& root) {
  const std::vector<Line> lines = calls_below(root);
  for (const Line& line : lines) {
    const auto known = std::ranges::count_if(k_source_calls, [&](const SourceCall& call) { return is(call, line); });
    require(known == 1,
            line.file + ": this call of the seam is not in tests/lab/failures/source_calls.cc (once): " + line.text);
  }
  for (const SourceCall& call : k_source_calls) {
    const auto found = std::ranges::count_if(lines, [&](const Line& line) { return is(call, line); });
    const std::string what = std::string(call.file) + ": " + std::string(call.text);
    require(found == 1, "tests/lab/failures/source_calls.cc names what is not there (once): " + what);
    require(site_number(call.site).has_value(), "its site is not in tests/lab/failures/sites.cc: " + what);
  }
  return lines.size();
}

}  // namespace actable::lab
