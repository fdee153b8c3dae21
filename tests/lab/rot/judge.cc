#include "tests/lab/rot/judge.h"

#include "store/access.h"
#include "store/catalog.h"
#include "tests/lab/leg.h"
#include "wal/identity.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <span>
#include <utility>

namespace actable::lab::rot {
namespace {

using test::FrameOnDisk;
using test::Record;
using test::Records;
using test::SimulatedDisk;

using Content = std::map<std::string, std::map<std::string, std::string>>;

/// A refusal tells where the damage is and what can be done. Of a file that is
/// gone nothing tells the name: then the directory has to do.
void check_refusal(const Damage& damage, const Error& error) {
  const auto says = [&error](std::string_view words) { return error.message.contains(words); };
  require(error.code == ErrorCode::corrupt, "fails with " + test::describe(error) + " where corrupt is due");
  if (damage.kind == Damage::Kind::file && says("missing")) {
    require(says("/simulated"), "names no directory: " + error.message);
  } else {
    require(says("/simulated/log-") || says("/simulated/STORE"), "names no file: " + error.message);
    require(says("offset "), "names no offset: " + error.message);
  }
  require(says("restore") || says("move ") || says("give "), "says not what to do: " + error.message);
}

/// True when some file still has the frame, at its offset.
bool left_anywhere(SmallLog& log, const FrameOnDisk& frame) {
  const auto store_id = test::must(wal::read_identity(*log.disk, "/simulated"))->store_id;
  for (const std::string& name : log.disk->names()) {
    const std::span<const std::byte> bytes = log.disk->bytes(name);
    const std::uint64_t end = frame.offset + wal::frame_bytes(frame.header.payload_bytes);
    if (end > bytes.size()) continue;
    const auto at = bytes.subspan(frame.offset, static_cast<std::size_t>(end - frame.offset));
    const auto header = wal::decode_frame_header(at);
    if (!header || header->number != frame.header.number || header->generation != frame.header.generation) continue;
    if (header->era == frame.header.era && wal::frame_whole(*header, store_id, at)) return true;
  }
  return false;
}

/// Records that had been on disk are gone. That is the store's fault where a
/// frame is left that tells of them.
Verdict judge_loss(SmallLog& log, const Damage& damage, const wal::LogEnd& end) {
  // What the sync before the last one made durable: told at the latest by the
  // marker that the last one put on disk.
  Seq durable_before = 0;
  for (const FrameOnDisk& frame : log.frames) {
    if (frame.header.durable < log.durable) durable_before = std::max(durable_before, frame.header.durable);
    const bool later_era = frame.header.era > end.era && (frame.header.flags & wal::FrameHeader::k_recovery) == 0;
    if (frame.header.durable <= end.cut && !later_era) continue;
    require(!left_anywhere(log, frame), "opens with all below " + std::to_string(end.cut) + ", though frame " +
                                            std::to_string(frame.header.number) + " in " + frame.file + " at " +
                                            std::to_string(frame.offset) + " is whole and tells that all below " +
                                            std::to_string(frame.header.durable) + " was on disk");
  }
  if (end.cut >= durable_before) return Verdict::limit;
  require(damage.may_shorten, "opens with all below " + std::to_string(end.cut) + ", and below " +
                                  std::to_string(log.durable) + " was on disk, several syncs more");
  return Verdict::shortened;
}

/// What a store with these records holds.
Content content_of(const Records& records) {
  std::map<std::pair<std::uint32_t, std::string>, const Record*> newest;
  for (const Record& record : records) {
    const Record*& held = newest[{record.space, record.key}];
    if (held == nullptr || held->seq < record.seq) held = &record;
  }
  Content content;
  std::map<std::uint32_t, std::string> names;
  for (const auto& [key, record] : newest) {
    if (record->tombstone) continue;
    if (record->space == store::k_catalog_id) {
      names[*store::decode_space(record->value)] = record->key;
      content[record->key];
    } else if (const auto name = names.find(record->space); name != names.end()) {
      content[name->second][record->key] = record->value;
    }
  }
  return content;
}

Content content_of(Store& store) {
  Content content;
  for (const std::string& name : store.spaces()) {
    const Space space = test::must(store.space(name));
    auto& held = content[name];
    for (Cursor cursor = space.scan(); test::must(cursor.next());) {
      held.emplace(cursor.entry().key, cursor.entry().value);
    }
  }
  return content;
}

Result<Store> open(SimulatedDisk& disk) {
  Options options;
  options.directory = "/simulated";
  options.log_io = LogIo::pwrite;
  options.write_interval = std::chrono::milliseconds(1);
  options.shards = 1;
  // A segment that is begun is memory here: the smallest.
  options.segment_bytes = std::uint64_t{1} << 20;
  return store::Access::open(std::move(options), disk);
}

/// Writes, closes, and opens again.
void use(SimulatedDisk& disk, Store store, Content content) {
  Space space = test::must(store.space("accounts"));
  test::must(space.put("written", "after the damage"));
  content["accounts"]["written"] = "after the damage";
  test::must(store.close());
  auto again = open(disk);
  require(again.has_value(), "what was written after the damage cannot be opened: " + test::message(again));
  require(content_of(*again) == content, "what was written after the damage does not come back");
}

}  // namespace

Verdict judge(SmallLog& log, const Damage& damage) {
  const auto found = test::look(*log.disk, small_options());
  if (!found) {
    // The fixture's word for a missing STORE; a store looks closer.
    if (found.error().code == ErrorCode::not_found) return Verdict::refused;
    require(damage.meaningful, "is refused, though no reader uses these bytes: " + found.error().message);
    check_refusal(damage, found.error());
    return Verdict::refused;
  }
  const auto end = std::ranges::lower_bound(log.records, found->end.cut, {}, &Record::seq);
  const Records prefix(log.records.begin(), end);
  if (found->records != prefix) throw Found("opens with other content: " + test::difference(found->records, prefix));
  if (end == log.records.end()) return Verdict::harmless;
  require(damage.meaningful, "something is gone, though no reader uses these bytes");
  if (end->seq >= log.durable) return Verdict::torn;
  return judge_loss(log, damage, found->end);
}

void judge_store(SmallLog& log, const Damage& damage, Verdict verdict, bool use_it) {
  const auto copy = log.disk->killed();
  auto opened = open(*copy);
  if (!opened) {
    require(verdict == Verdict::refused, "replay reads it, but opening says " + test::describe(opened.error()));
    check_refusal(damage, opened.error());
    return;
  }
  require(verdict != Verdict::refused, "replay refuses it, but a store opens");
  const Content content = content_of(test::must(test::look(*log.disk, small_options())).records);
  require(content_of(*opened) == content, "the store's spaces hold other than the log says");
  if (use_it) use(*copy, *std::move(opened), content);
}

}  // namespace actable::lab::rot
