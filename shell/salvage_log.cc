#include "shell/interrupt.h"
#include "shell/salvage.h"
#include "wal/frame_reader.h"
#include "wal/segments.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>

namespace shell {

namespace base = actable::base;
namespace wal = actable::wal;
using actable::Result;
using actable::Seq;

namespace {

// Where a segment's header has its store (docs/log-format.md).
constexpr std::size_t k_store_id_at = 16;

[[nodiscard]] std::string frames_text(std::uint64_t first, std::uint64_t last) {
  if (first == last) return "frame " + std::to_string(first) + " of the log";
  return "frames " + std::to_string(first) + " to " + std::to_string(last) + " of the log";
}

}  // namespace

std::unexpected<Failure> cannot_read(const actable::Error& error) {
  if (error.code == actable::ErrorCode::closed) return failed("interrupted", k_status_interrupted);
  return failed(error.message +
                    "; copy the directory to a sound disk first, with a tool that passes over what cannot "
                    "be read, and repair the copy",
                k_status_not_asked);
}

struct LogSalvage::At {
  const Run* last = nullptr;
  std::uint64_t frame = 0;
  std::uint64_t era = 0;
  std::uint64_t generation = 0;
  Seq cut = 0;
  // Of the era: the cut before its first gap, where it has one; the highest number known to be on disk;
  // its first part.
  std::optional<Seq> sure{};
  Seq durable = 0;
  std::size_t era_begin = 0;
  // The first marker's cut since the last gap, while the second one's is awaited.
  bool unsettled = false;
  Seq seen_cut = 0;
  // Gaps whose end is not known yet are from here on; the last one is not before `needed`.
  std::size_t open_damages = 0;
  bool gap_needed = false;
};

Got<void> LogSalvage::list() {
  const auto names = files_.list(directory_);
  if (!names) return cannot_read(names.error());
  for (const std::string& name : *names) {
    const std::string digits = name.starts_with("log-") ? name.substr(4) : std::string();
    if (digits.empty() || digits.size() > 20 || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    if (wal::segment_file_name(std::strtoull(digits.c_str(), nullptr, 10)) != name) continue;
    auto file = files_.open(directory_ / name, {});
    if (!file) return cannot_read(file.error());
    std::array<std::byte, wal::k_segment_header_bytes> head{};
    const auto read = (*file)->read(0, head);
    const auto size = (*file)->size();
    if (!read || !size) return cannot_read(read ? size.error() : read.error());
    const auto id = base::load_le<std::uint64_t>(head.data() + k_store_id_at);
    const wal::DecodedHeader decoded = wal::decode_segment_header(std::span(head).first(*read), id);
    if (decoded.state == wal::HeaderState::newer) {
      return failed((directory_ / name).string() + ": written in a newer format: use the actable-shell of that version",
                    k_status_not_asked);
    }
    Segment segment{.name = name, .bytes = *size, .store_id = {}, .state = decoded.state, .header = decoded.header};
    if (decoded.state == wal::HeaderState::whole) segment.store_id = id;
    segments_.push_back(std::move(segment));
  }
  return {};
}

std::optional<std::uint64_t> LogSalvage::store_id() const {
  std::map<std::uint64_t, std::size_t> votes;
  for (const Segment& segment : segments_) {
    if (segment.store_id) ++votes[*segment.store_id];
  }
  const auto most = std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
  return most == votes.end() ? std::nullopt : std::optional(most->first);
}

std::uint64_t LogSalvage::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments_) bytes += segment.bytes;
  return bytes;
}

std::uint64_t LogSalvage::segment_bytes() const noexcept {
  // Larger than the others is one that a large record needed.
  std::uint64_t least = 0;
  for (const Segment& segment : segments_) {
    const bool whole = segment.state == wal::HeaderState::whole && segment.bytes % base::k_block_bytes == 0;
    if (whole && (least == 0 || segment.bytes < least)) least = segment.bytes;
  }
  return least;
}

Got<void> LogSalvage::scan(std::uint64_t store_id) {
  store_id_ = store_id;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i].store_id && *segments_[i].store_id != store_id) {
      damages_.push_back({.file = segments_[i].name, .what = "is of another store, and left out", .lost = false});
      continue;
    }
    if (auto scanned = scan(i, store_id); !scanned) return scanned;
  }
  return {};
}

Got<void> LogSalvage::scan(std::size_t segment, std::uint64_t store_id) {
  auto file = files_.open(directory_ / segments_[segment].name, {});
  if (!file) return cannot_read(file.error());
  wal::FrameReader reader(**file, segments_[segment].bytes, store_id);
  const wal::SegmentHeader& header = segments_[segment].header;
  for (std::uint64_t at = base::k_block_bytes; at < segments_[segment].bytes;) {
    if (interrupted) return failed("interrupted", k_status_interrupted);
    const auto frame = reader.frame_at(at);
    if (!frame) return cannot_read(frame.error());
    // An earlier use of the file left what is of an earlier generation. A later one may have lost its header.
    if (*frame && (*frame)->header.generation >= header.generation) add(segment, at, (*frame)->header);
    at += *frame ? wal::frame_bytes((*frame)->header.payload_bytes) : base::k_block_bytes;
  }
  return {};
}

void LogSalvage::add(std::size_t segment, std::uint64_t offset, const wal::FrameHeader& header) {
  const bool goes_on = !runs_.empty() && runs_.back().segment == segment && runs_.back().end == offset &&
                       runs_.back().generation == header.generation && runs_.back().era == header.era &&
                       runs_.back().last() + 1 == header.number;
  if (!goes_on) {
    const bool recovery = (header.flags & wal::FrameHeader::k_recovery) != 0;
    runs_.push_back({.segment = segment,
                     .generation = header.generation,
                     .era = header.era,
                     .first = header.number,
                     .frames = 0,
                     .begin = offset,
                     .end = offset,
                     .recovery = recovery,
                     .durable = 0,
                     .first_cut = 0,
                     .second_cut = 0,
                     .last_cut = 0});
  }
  Run& run = runs_.back();
  ++run.frames;
  run.end = offset + wal::frame_bytes(header.payload_bytes);
  run.durable = std::max(run.durable, header.durable);
  if (header.cut == 0) return;
  if (run.first_cut == 0) run.first_cut = header.cut;
  if (run.second_cut == 0 && header.cut > run.first_cut) run.second_cut = header.cut;
  run.last_cut = std::max(run.last_cut, header.cut);
}

/// The run that goes on with the log: directly behind the last one in its segment, or in the segment of the highest
/// generation (wal/reader.cc).
const LogSalvage::Run* LogSalvage::next(const At& at) const {
  const Run* best = nullptr;
  for (const Run& run : runs_) {
    if (run.first != at.frame || run.generation < at.generation) continue;
    const bool era_follows = at.last == nullptr || run.era == at.era || (run.era > at.era && run.recovery);
    if (!era_follows) continue;
    if (at.last != nullptr && run.segment == at.last->segment && run.begin == at.last->end) return &run;
    if (best == nullptr || std::tie(run.generation, run.era) > std::tie(best->generation, best->era)) best = &run;
  }
  return best;
}

/// The run that goes on with the log behind a gap; null where nothing shows that what is missing had been synced, so
/// that it is a torn tail, and what is behind it is void.
const LogSalvage::Run* LogSalvage::behind(const At& at) const {
  std::vector<const Run*> candidates;
  bool synced = at.last == nullptr;
  for (const Run& run : runs_) {
    if (run.first <= at.frame || run.generation < at.generation || run.era < at.era) continue;
    candidates.push_back(&run);
    synced |= run.durable > at.cut || (run.era > at.era && !(run.recovery && run.frames == 1));
  }
  if (!synced) return nullptr;
  // The newest of those that begin with the lowest number.
  std::ranges::sort(candidates, [](const Run* a, const Run* b) {
    return a->first != b->first ? a->first < b->first : a->generation > b->generation;
  });
  // A later era took its place: it is void.
  const auto is_void = [&candidates](const Run* run) {
    return std::ranges::any_of(
        candidates, [run](const Run* other) { return other->era > run->era && other->first <= run->last(); });
  };
  const auto found = std::ranges::find_if_not(candidates, is_void);
  return found == candidates.end() ? nullptr : *found;
}

void LogSalvage::note_gap(const At& at, const Run& to, std::uint64_t needed) {
  Damage damage{.what = frames_text(at.frame, to.first - 1), .from = at.cut};
  damage.replaced = to.first <= needed;
  if (damage.replaced) damage.what += ", which the checkpoint replaces";
  const Segment& there = segments_[to.segment];
  if (at.last != nullptr && at.last->segment == to.segment && to.begin >= at.last->end) {
    damage.file = there.name;
    damage.offset = at.last->end;
    damage.bytes = to.begin - at.last->end;
    damage.what += to.begin == at.last->end ? ": missing" : ": damaged";
  } else if (to.begin > base::k_block_bytes &&
             (there.state != wal::HeaderState::whole || there.header.first_frame <= at.frame)) {
    damage.file = there.name;
    damage.offset = base::k_block_bytes;
    damage.bytes = to.begin - base::k_block_bytes;
    damage.what += ": damaged";
  } else {
    damage.what += ": missing, with the file that they were in, or the end of the file before";
  }
  damages_.push_back(std::move(damage));
}

/// The era ends here. What no marker covers is void; so may be what came behind a gap, where the era's end is not
/// there.
void LogSalvage::end_era(At& at, bool gap) {
  Seq cut = at.cut;
  if (gap && at.sure) cut = std::min(cut, std::max(*at.sure, at.durable));
  for (std::size_t i = at.era_begin; i < log_.size(); ++i) log_[i].cut = cut;
  at.era_begin = log_.size();
  at.sure.reset();
  at.durable = 0;
}

void LogSalvage::take(At& at, const Run& run, bool gap) {
  if (at.last != nullptr && run.era != at.era) end_era(at, gap);
  if (gap && at.last != nullptr && !at.sure) at.sure = at.cut;
  if (gap) {
    at.unsettled = true;
    at.seen_cut = 0;
  }
  log_.push_back({.run = run});
  segments_[run.segment].used = true;
  at.durable = std::max(at.durable, run.durable);
  at.cut = std::max(at.cut, run.last_cut);
  at.frame = run.last() + 1;
  at.era = run.era;
  at.generation = std::max(at.generation, run.generation);
  at.last = &run;
  if (!at.unsettled || run.first_cut == 0) return;
  // A frame may hold numbers above the cut of the marker that comes next, but not above that of the one after it.
  const Seq settled = at.seen_cut == 0 ? run.second_cut : run.first_cut > at.seen_cut ? run.first_cut : run.second_cut;
  if (at.seen_cut == 0) at.seen_cut = run.first_cut;
  if (settled == 0) return;
  at.unsettled = false;
  settled_in_all_ = settled;
  if (at.gap_needed) settled_ = settled;
  for (; at.open_damages < damages_.size(); ++at.open_damages) damages_[at.open_damages].to = settled;
}

void LogSalvage::follow(const std::optional<wal::Identity>& identity, std::uint64_t needed) {
  At at{.frame = needed};
  at.open_damages = damages_.size();
  if (identity) {
    at.frame = identity->first_frame;
    at.generation = identity->first_generation;
  } else {
    // Of the runs that have the frame, the last that was written.
    const Run* first = nullptr;
    for (const Run& run : runs_) {
      if (run.first > needed || run.last() < needed) continue;
      if (first == nullptr || std::tie(run.era, run.generation) > std::tie(first->era, first->generation)) first = &run;
    }
    if (first != nullptr) at.frame = first->first;
  }
  const std::uint64_t first_frame = at.frame;
  // Of a round that began before the log does, a part may be there.
  at.unsettled = first_frame != 1;
  bool gaps = false;
  while (true) {
    const Run* run = next(at);
    const bool gap = run == nullptr;
    if (gap) run = behind(at);
    if (run == nullptr) break;
    if (gap) {
      gaps = true;
      at.gap_needed |= run->first > needed;
      note_gap(at, *run, needed);
    }
    take(at, *run, gap);
  }
  end_era(at, false);
  cut_ = at.cut;
  if (at.unsettled) {
    settled_in_all_ = cut_;
    if (at.gap_needed) settled_ = cut_;
    for (; at.open_damages < damages_.size(); ++at.open_damages) damages_[at.open_damages].to = cut_;
  }
  from_the_first_ = first_frame == 1 && !gaps && !log_.empty();
  if (log_.empty()) {
    damages_.push_back({.what = "the log: no whole frame of it is left"});
    settled_ = settled_in_all_ = ~Seq{0};
  }
  for (const Segment& segment : segments_) {
    if (!segment.used || segment.state == wal::HeaderState::whole) continue;
    damages_.push_back({.file = segment.name,
                        .bytes = wal::k_segment_header_bytes,
                        .what = "the segment's header: damaged; its frames are found without it",
                        .lost = false});
  }
}

bool LogSalvage::may_go_on_in(const std::string& file, std::uint64_t end) const {
  const auto segment = std::ranges::find(segments_, file, &Segment::name);
  // The header's block has no frames.
  if (segment == segments_.end() || end <= base::k_block_bytes) return false;
  if (log_.empty()) return true;
  const Run& last = log_.back().run;
  if (segment->name == segments_[last.segment].name) return end > last.end;
  if (segment->used) return false;
  return segment->state != wal::HeaderState::whole || segment->header.generation > last.generation;
}

Got<void> LogSalvage::deliver(const wal::TakeRecord& take) {
  discarded_ = 0;
  for (const Part& part : log_) {
    auto read = read_frames(part.run, [&](const wal::LogRecord& record) -> Result<void> {
      if (record.seq < part.cut) return take(record);
      ++discarded_;
      return {};
    });
    if (!read) return read;
  }
  return {};
}

Got<void> LogSalvage::read_frames(const Run& run, const std::function<Result<void>(const wal::LogRecord&)>& take) {
  const Segment& segment = segments_[run.segment];
  auto file = files_.open(directory_ / segment.name, {});
  if (!file) return cannot_read(file.error());
  wal::FrameReader reader(**file, segment.bytes, store_id_);
  for (std::uint64_t at = run.begin; at < run.end;) {
    if (interrupted) return failed("interrupted", k_status_interrupted);
    const auto frame = reader.frame_at(at);
    if (!frame) return cannot_read(frame.error());
    if (!*frame) {
      return failed((directory_ / segment.name).string() + ": offset " + std::to_string(at) +
                    ": what was read there before is not there any more: the files, or the disk, change");
    }
    std::span<const std::byte> rest = (*frame)->payload.bytes;
    while (const auto record = wal::take_record(rest)) {
      if (auto taken = take(*record); !taken) return failed(taken.error());
    }
    at += wal::frame_bytes((*frame)->header.payload_bytes);
  }
  return {};
}

}  // namespace shell
