#include "shell/store_files.h"

#include "base/hash.h"
#include "base/process.h"
#include "checkpoint/file_reader.h"
#include "debug/printable.h"
#include "debug/protocol.h"
#include "shell/interrupt.h"
#include "shell/passing_files.h"
#include "shell/text.h"
#include "shell/words.h"
#include "store/backup_record.h"
#include "store/catalog.h"
#include "store/log_beginning.h"
#include "wal/frame_reader.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace shell {
namespace {

namespace checkpoint = actable::checkpoint;
namespace debug = actable::debug;
namespace fs = std::filesystem;
namespace store = actable::store;
namespace wal = actable::wal;
using actable::ErrorCode;
using actable::Result;
using actable::debug::Bytes;
using actable::debug::Document;
using List = Document::List;
using Map = Document::Map;

/// Of the newest version of a key, key and value together.
struct Size {
  actable::Seq seq = 0;
  bool tombstone = false;
  std::size_t bytes = 0;
};

// What stops a replay that was interrupted: no error of the store's has it.
constexpr const char* k_interrupted = "interrupted";
constexpr const char* k_enough = "enough";

[[nodiscard]] std::unexpected<Failure> unreadable(const actable::Error& error) {
  if (error.message == k_interrupted) return failed(k_interrupted, k_status_interrupted);
  // Damage is an answer; what cannot be looked at is none.
  return failed(error.message, error.code == ErrorCode::corrupt ? k_status_failed : k_status_not_asked);
}

}  // namespace

Got<std::unique_ptr<StoreFiles>> StoreFiles::open(const fs::path& directory) {
  std::error_code error;
  const fs::file_status status = fs::status(directory, error);
  if (status.type() == fs::file_type::not_found) {
    return failed(directory.string() + " does not exist: give the path of a store's directory", k_status_not_asked);
  }
  if (error) return failed("cannot look at " + directory.string() + ": " + error.message(), k_status_not_asked);
  if (status.type() != fs::file_type::directory) {
    return failed(directory.string() + " is no directory: give the path of a store's directory", k_status_not_asked);
  }
  std::unique_ptr<StoreFiles> files(new StoreFiles(directory));
  if (auto closed = files->expect_closed(); !closed) return std::unexpected(std::move(closed.error()));
  if (auto read = files->read_identity(); !read) {
    if (!files->damaged_only()) return std::unexpected(std::move(read.error()));
    files->no_identity_ = std::move(read.error());
    files->no_identity_->message += "; `repair NEWDIR` makes a store of what is left";
  }
  if (auto whole = files->expect_no_unfinished_backup(); !whole) files->no_identity_ = std::move(whole.error());
  return files;
}

/// What lies in such a directory is of two states of the store, and is no store.
Got<void> StoreFiles::expect_no_unfinished_backup() {
  const auto record = store::read_backup_record(files_, directory_);
  if (!record) return unreadable(record.error());
  if (!*record || (*record)->complete) return {};
  return failed(directory_.string() +
                " holds a backup that was not finished: have the store make it again (Store::backup), or take another; "
                "`repair NEWDIR` makes a store of what is there");
}

Got<void> StoreFiles::read_identity() {
  auto identity = wal::read_identity(files_, directory_);
  if (!identity) return unreadable(identity.error());
  if (!*identity) {
    return failed(directory_.string() + " holds no store: it has no file " + wal::k_identity_file, k_status_not_asked);
  }
  identity_ = **identity;
  return {};
}

/// `STORE` is damaged, on a disk that cannot be read there, or missing; and other files of
/// a store are there.
bool StoreFiles::damaged_only() {
  PassingFiles passing(files_);
  const auto identity = wal::read_identity(passing, directory_);
  if (!identity && identity.error().code != ErrorCode::corrupt) return false;
  const auto names = files_.list(directory_);
  return names && std::ranges::any_of(*names, [](const std::string& name) {
           return name.starts_with("log-") || name.starts_with(checkpoint::k_file_prefix);
         });
}

Got<void> StoreFiles::readable() const {
  return no_identity_ ? Got<void>(std::unexpected(*no_identity_)) : Got<void>();
}

std::optional<wal::Identity> StoreFiles::identity() const {
  return no_identity_ ? std::nullopt : std::optional(identity_);
}

void StoreFiles::begin_reading(std::uint64_t bytes) noexcept {
  bytes_read_ = 0;
  bytes_in_all_ = bytes;
}

Got<void> StoreFiles::read_again() {
  known_ = false;
  ids_.clear();
  spaces_.reset();
  return read_identity();
}

Got<std::uint64_t> StoreFiles::segment_bytes() {
  const auto files = segments();
  if (!files) return std::unexpected(files.error());
  // Larger than the others is one that a large record needed. Those of a backup end where
  // their frames end, and say nothing.
  constexpr std::uint64_t k_least = std::uint64_t{1} << 20, k_most = std::uint64_t{4} << 30;
  std::uint64_t least = 0;
  for (const wal::SegmentFile& file : *files) {
    if (file.state != wal::HeaderState::whole || file.bytes < k_least || file.bytes > k_most) continue;
    if (file.file_number == file.header.generation && file.bytes % (std::uint64_t{1} << 20) != 0) continue;
    if (least == 0 || file.bytes < least) least = file.bytes;
  }
  return least;
}

Got<void> StoreFiles::expect_closed() const {
  // As opening a store does, for as long as one that was killed has writes in flight.
  constexpr auto k_patience = std::chrono::seconds(30);
  const auto give_up_at = std::chrono::steady_clock::now() + k_patience;
  auto holder = lock_holder(directory_);
  while (holder && actable::base::has_died(*holder) && std::chrono::steady_clock::now() < give_up_at) {
    std::this_thread::yield();
    holder = lock_holder(directory_);
  }
  if (!holder) return {};
  return failed(directory_.string() + " is open in process " + std::to_string(*holder) +
                    ", which has no debug socket: set Options::debug_socket there, or look at the files when it has "
                    "closed them",
                k_status_not_asked);
}

Got<Document> StoreFiles::ask(const std::string& command, Map arguments) {
  const Document with(std::move(arguments));
  Got<Document> answer = failed(command + ": only a running process can tell", k_status_not_asked);
  if (command == "stats") answer = stats();
  if (command == "spaces") answer = spaces();
  if (command == "get") answer = get(with);
  if (command == "scan") answer = scan(with);
  if (command == "count") answer = count(with);
  if (command == "big") answer = big(with);
  return answer;
}

void StoreFiles::progressed(std::uint64_t bytes) {
  bytes_read_ += bytes;
  const auto now = std::chrono::steady_clock::now();
  if (!show_ || bytes_in_all_ == 0 || now - shown_at_ < std::chrono::milliseconds(100)) return;
  shown_at_ = now;
  const auto all = static_cast<double>(bytes_in_all_);
  show_(bar_text(static_cast<double>(bytes_read_), all) + " of " + bytes_text(all));
}

Got<std::vector<wal::SegmentFile>> StoreFiles::segments() {
  auto listed = wal::list_segments(files_, directory_, identity_.store_id);
  if (!listed) return unreadable(listed.error());
  bytes_read_ = 0;
  bytes_in_all_ = 0;
  for (const wal::SegmentFile& segment : *listed) bytes_in_all_ += segment.bytes;
  return *std::move(listed);
}

Got<wal::LogEnd> StoreFiles::replay(const wal::TakeRecord& take_record) {
  auto files = segments();
  if (!files) return std::unexpected(std::move(files.error()));
  const auto take = [&take_record](const wal::LogRecord& record) -> Result<void> {
    if (interrupted) return actable::fail(ErrorCode::closed, k_interrupted);
    return take_record(record);
  };
  auto manifest =
      checkpoint::manifest_before(files_, directory_, {identity_.store_id, identity_.hash_seed, identity_.first_frame});
  if (!manifest) return unreadable(manifest.error());
  checkpoint_ = *manifest;
  bytes_in_all_ += manifest->bytes();
  // What is read ahead is by other threads: what is passed over counts instead.
  struct Counting {
    bool& reads_count;
    ~Counting() { reads_count = true; }
  } const counting{reads_count_};
  reads_count_ = false;
  if (auto read = read_checkpoint(*manifest, take); !read) return std::unexpected(std::move(read.error()));
  const wal::Identity identity = actable::store::with_beginning(identity_, *manifest);
  std::uint64_t passed_over = 0;
  const auto behind = [&](const wal::LogRecord& record) -> Result<void> {
    const std::uint64_t hash = actable::base::hash_key(record.key, identity_.hash_seed);
    // The checkpoint has what became of it.
    if (record.seq < manifest->groups[checkpoint::group_of(hash)].cut) {
      ++passed_over;
      return {};
    }
    return take(record);
  };
  auto end = wal::replay(directory_, identity, *files, wal::each_record(behind), {},
                         [this](std::uint64_t bytes) { progressed(bytes); });
  if (show_) show_("");
  // A process may have begun to write meanwhile: then what was read is a mixture.
  if (auto closed = expect_closed(); !closed) return std::unexpected(std::move(closed.error()));
  if (!end) return unreadable(end.error());
  if (end->cut < manifest->seq_end()) {
    return failed(directory_.string() +
                  ": the log ends before what the checkpoint holds; restore the directory from "
                  "a backup");
  }
  end->records_applied -= passed_over;
  return *std::move(end);
}

Got<void> StoreFiles::read_checkpoint(const checkpoint::Manifest& manifest, const wal::TakeRecord& take) {
  for (const checkpoint::FileEntry& file : manifest.files) {
    checkpoint::FileReader reader(files_, directory_ / checkpoint::file_name(file.number), file, manifest.store_id);
    const auto each = [&](const checkpoint::Record& record) -> Result<void> {
      const std::uint64_t hash = actable::base::hash_key(record.key, manifest.hash_seed);
      // Another file has the group now.
      if (manifest.groups[checkpoint::group_of(hash)].file != file.number) return {};
      return take({record.seq, record.space, false, record.key, record.value});
    };
    auto read = reader.read(each, [this](std::uint64_t bytes) { progressed(bytes); });
    if (!read) return unreadable(read.error());
  }
  return {};
}

Got<void> StoreFiles::know() {
  if (known_) return {};
  const auto began = std::chrono::steady_clock::now();
  Content catalog;
  auto end = replay([&catalog](const wal::LogRecord& record) -> Result<void> {
    if (record.space != store::k_catalog_id) return {};
    Version& version = catalog[std::string(record.key)];
    if (version.seq < record.seq) version = {record.seq, record.tombstone, std::string(record.value)};
    return {};
  });
  if (!end) return std::unexpected(std::move(end.error()));
  for (const auto& [name, version] : catalog) {
    if (version.tombstone) continue;
    const auto id = store::decode_space(version.value);
    if (!id) return failed("the catalog's entry of the space " + as_word(name) + " is of a later version");
    ids_.emplace(name, *id);
  }
  end_ = *std::move(end);
  duration_ = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
  known_ = true;
  return {};
}

Got<std::uint32_t> StoreFiles::space_id(const std::string& space) {
  if (auto known = know(); !known) return std::unexpected(std::move(known.error()));
  const auto found = ids_.find(space);
  if (found != ids_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [name, id] : ids_) names.push_back(name);
  const std::string near = nearest(space, names);
  return failed("there is no space " + as_word(space) +
                (near.empty() ? "; `spaces` lists them" : "; do you mean " + as_word(near) + "?"));
}

Got<std::string> StoreFiles::space_name(std::uint32_t id) {
  if (auto known = know(); !known) return std::unexpected(std::move(known.error()));
  for (const auto& [name, of] : ids_) {
    if (of == id) return name;
  }
  return std::string();
}

Got<StoreFiles::Content> StoreFiles::content(const std::string& space, std::string_view prefix, bool with_values) {
  const Got<std::uint32_t> id = space_id(space);
  if (!id) return std::unexpected(id.error());
  Content found;
  auto end = replay([&](const wal::LogRecord& record) -> Result<void> {
    if (record.space != *id || !record.key.starts_with(prefix)) return {};
    Version& version = found[std::string(record.key)];
    if (version.seq >= record.seq) return {};
    version.seq = record.seq;
    version.tombstone = record.tombstone;
    version.value = with_values ? std::string(record.value) : std::to_string(record.value.size());
    return {};
  });
  if (!end) return std::unexpected(std::move(end.error()));
  std::erase_if(found, [](const auto& entry) { return entry.second.tombstone; });
  return found;
}

Got<Document> StoreFiles::stats() {
  if (auto known = know(); !known) return std::unexpected(std::move(known.error()));
  return Map{{"store", Map{{"last_seq", end_.cut == 0 ? 0 : end_.cut - 1},
                           {"format_version", identity_.format_version},
                           {"spaces", ids_.size()}}},
             {"recovery", Map{{"cut", end_.cut},
                              {"records_applied", end_.records_applied},
                              {"records_discarded", end_.records_discarded},
                              {"log_bytes", end_.bytes},
                              {"checkpoint_records", checkpoint_.records()},
                              {"checkpoint_bytes", checkpoint_.bytes()},
                              {"duration_us", duration_.count()},
                              {"clean", end_.clean}}}};
}

/// The sizes need another reading, of all keys: only their versions are kept.
Got<Document> StoreFiles::spaces() {
  if (spaces_) return *spaces_;
  if (auto known = know(); !known) return std::unexpected(std::move(known.error()));
  std::map<std::uint32_t, std::map<std::string, Size>> sizes;
  auto end = replay([&sizes](const wal::LogRecord& record) -> Result<void> {
    Size& size = sizes[record.space][std::string(record.key)];
    if (size.seq < record.seq) size = {record.seq, record.tombstone, record.key.size() + record.value.size()};
    return {};
  });
  if (!end) return std::unexpected(std::move(end.error()));
  List list;
  for (const auto& [name, id] : ids_) {
    std::uint64_t keys = 0, payload_bytes = 0;
    for (const auto& [key, size] : sizes[id]) {
      keys += size.tombstone ? 0 : 1;
      payload_bytes += size.tombstone ? 0 : size.bytes;
    }
    list.emplace_back(Map{{"name", name}, {"logged", true}, {"keys", keys}, {"payload_bytes", payload_bytes}});
  }
  spaces_ = Document(std::move(list));
  return *spaces_;
}

Got<Document> StoreFiles::get(const Document& arguments) {
  const Got<std::uint32_t> id = space_id(std::string(arguments["space"].text()));
  if (!id) return std::unexpected(id.error());
  const std::string key(arguments["key"].bytes());
  std::optional<Version> newest;
  auto end = replay([&](const wal::LogRecord& record) -> Result<void> {
    if (record.space != *id || record.key != key || (newest && newest->seq >= record.seq)) return {};
    newest = Version{record.seq, record.tombstone, std::string(record.value)};
    return {};
  });
  if (!end) return std::unexpected(std::move(end.error()));
  if (!newest || newest->tombstone) return Document();
  return Map{{"seq", newest->seq}, {"durable", true}, {"value", Bytes{std::move(newest->value)}}};
}

Got<Document> StoreFiles::scan(const Document& arguments) {
  auto found = content(std::string(arguments["space"].text()), arguments["prefix"].bytes(), true);
  if (!found) return std::unexpected(std::move(found.error()));
  List entries;
  for (auto& [key, version] : *found) {
    if (entries.size() == arguments["limit"].number()) break;
    entries.emplace_back(List{Bytes{key}, version.seq, Bytes{std::move(version.value)}});
  }
  return Map{{"entries", std::move(entries)}, {"more", false}};
}

Got<Document> StoreFiles::count(const Document& arguments) {
  const auto found = content(std::string(arguments["space"].text()), arguments["prefix"].bytes(), false);
  if (!found) return std::unexpected(found.error());
  return Map{{"count", found->size()}, {"looked_at", found->size()}, {"more", false}};
}

Got<Document> StoreFiles::big(const Document& arguments) {
  const auto found = content(std::string(arguments["space"].text()), {}, false);
  if (!found) return std::unexpected(found.error());
  std::vector<std::pair<std::uint64_t, std::string>> sizes;
  for (const auto& [key, version] : *found) sizes.emplace_back(std::stoull(version.value), key);
  const auto top = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(arguments["top"].number(), sizes.size()));
  std::ranges::partial_sort(sizes, sizes.begin() + top, std::greater<>());
  List entries;
  for (auto at = sizes.begin(); at != sizes.begin() + top; ++at)
    entries.emplace_back(
        List{Bytes{std::string(debug::cut(at->second, debug::k_listed_key_bytes_max))}, at->first, at->second.size()});
  return Map{{"looked_at", sizes.size()}, {"entries", std::move(entries)}, {"more", false}};
}

Got<void> StoreFiles::each(const std::string& space, const SeeEntry& see) {
  const Got<std::uint32_t> id = space_id(space);
  if (!id) return std::unexpected(id.error());
  std::unordered_map<std::string, Size> newest;
  auto end = replay([&](const wal::LogRecord& record) -> Result<void> {
    if (record.space != *id) return {};
    Size& size = newest[std::string(record.key)];
    if (size.seq < record.seq) size = {.seq = record.seq, .tombstone = record.tombstone};
    return {};
  });
  if (!end) return std::unexpected(std::move(end.error()));
  std::erase_if(newest, [](const auto& entry) { return entry.second.tombstone; });
  end = replay([&](const wal::LogRecord& record) -> Result<void> {
    if (record.space != *id) return {};
    const auto found = newest.find(std::string(record.key));
    if (found == newest.end() || found->second.seq != record.seq) return {};
    newest.erase(found);
    if (see(record.key, record.value)) return {};
    return actable::fail(ErrorCode::closed, k_enough);
  });
  if (!end && end.error().message == k_enough) return {};
  if (!end) return std::unexpected(std::move(end.error()));
  if (newest.empty()) return {};
  return failed("the files in " + directory_.string() + " changed while they were read: try again");
}

Got<wal::LogEnd> StoreFiles::verify() {
  return replay([](const wal::LogRecord&) -> Result<void> { return {}; });
}

Got<void> StoreFiles::walk_frames(const SeeSegment& see_segment, const SeeFrame& see_frame) {
  auto files = segments();
  if (!files) return std::unexpected(std::move(files.error()));
  std::ranges::sort(*files, {}, [](const wal::SegmentFile& file) { return file.header.generation; });
  for (wal::SegmentFile& file : *files) {
    if (!see_segment({file.path.filename().string(), file.state, file.header, file.bytes})) return {};
    auto opened = file.opened();
    if (!opened) return unreadable(opened.error());
    wal::FrameReader reader(**opened, file.bytes, identity_.store_id);
    for (std::uint64_t at = actable::base::k_block_bytes; at < file.bytes;) {
      if (interrupted) return failed(k_interrupted, k_status_interrupted);
      auto frame = reader.frame_at(at);
      if (!frame) return unreadable(frame.error());
      // An earlier use of the file left what is of another generation.
      const bool ours = *frame && (*frame)->header.generation == file.header.generation;
      if (ours && !see_frame(at, (*frame)->header, (*frame)->payload.bytes)) return {};
      at += *frame ? wal::frame_bytes((*frame)->header.payload_bytes) : actable::base::k_block_bytes;
    }
    file.close();
  }
  if (show_) show_("");
  return {};
}

}  // namespace shell
