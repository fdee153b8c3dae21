#include "wal/reader.h"

#include "base/park.h"
#include "base/planted.h"
#include "base/read_ahead.h"
#include "base/simulation.h"
#include "wal/frame_reader.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace actable::wal {
namespace {

// With less, threads cost more than they bring. What is read without them comes through
// the system's cache, each MiB in 3 to 7 ms where it is not there (docs/measurements.md).
constexpr std::uint64_t k_bytes_for_threads = std::uint64_t{2} << 20;
// Two have always one request on its way to the disk while the other one's is done.
constexpr unsigned k_threads_reading = 2;

// So much behind a clean end is looked at: as much as the writer fills with
// zeros ahead of its frames, and read in a millisecond.
constexpr std::uint64_t k_blank_bytes = std::uint64_t{1} << 20;

/// Records that no marker has covered yet, frame by frame.
///
/// Thread safety: *confined*.
class Pending {
 public:
  /// Takes a frame's records. False when they are not all records at or above
  /// `cut`.
  [[nodiscard]] bool add(const ReadFrame& frame, Seq cut) {
    Payload payload{frame.payload, 0};
    std::span<const std::byte> rest = payload.records.bytes;
    std::uint32_t records = 0;
    while (!rest.empty()) {
      const auto record = take_record(rest);
      if (!record || record->seq < cut) return false;
      payload.seq_max = std::max(payload.seq_max, record->seq);
      ++records;
    }
    if (records != frame.header.records) return false;
    seq_max_ = std::max(seq_max_, payload.seq_max);
    if (records != 0) payloads_.push_back(std::move(payload));
    return true;
  }

  /// Delivers the records in [from, cut) and forgets frames that hold no later ones.
  Result<void> deliver(Seq from, Seq cut, Delivery& to) {
    for (const Payload& payload : payloads_) {
      if (auto taken = to.take({payload.records, from, cut}); !taken) return taken;
    }
    std::erase_if(payloads_, [cut](const Payload& payload) { return payload.seq_max < cut; });
    return {};
  }

  /// Forgets all; returns how many records at or above `cut` that were.
  std::uint64_t discard(Seq cut) {
    std::uint64_t records = 0;
    for (const Payload& payload : payloads_) {
      std::span<const std::byte> rest = payload.records.bytes;
      while (const auto record = take_record(rest)) records += record->seq >= cut ? 1 : 0;
    }
    payloads_.clear();
    return records;
  }

  [[nodiscard]] Seq seq_max() const noexcept { return seq_max_; }

 private:
  struct Payload {
    base::FileView records;
    Seq seq_max;
  };
  std::vector<Payload> payloads_;
  Seq seq_max_ = 0;
};

/// Thread safety: *confined*; used once.
class Replay {
 public:
  Replay(const std::filesystem::path& directory, const Identity& identity, std::span<SegmentFile> segments,
         const Apply& apply, const Help& help, const Passed& passed)
      : directory_(directory), identity_(identity), segments_(segments), passed_(passed), delivery_(apply, help) {}

  Result<LogEnd> run() {
    if (auto possible = check_headers(); !possible) return std::unexpected(possible.error());
    if (auto distinct = check_distinct(); !distinct) return std::unexpected(distinct.error());
    if (auto found = find_first(); !found) return std::unexpected(found.error());
    while (true) {
      auto more = step();
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
      if (ahead_ == nullptr && end_.bytes >= k_bytes_for_threads) hurry();
    }
    reader_->take_from(nullptr);
    ahead_.reset();
    if (auto done = delivery_.finish(); !done) return std::unexpected(std::move(done.error()));
    if (auto sound = check_for_damage(); !sound) return std::unexpected(sound.error());
    if (ACTABLE_PLANTED(applied_above_cut)) {
      if (auto done = pending_.deliver(end_.cut, ~Seq{0}, delivery_); !done) return std::unexpected(done.error());
      if (auto done = delivery_.finish(); !done) return std::unexpected(done.error());
    }
    end_.records_applied = delivery_.applied();
    end_.records_discarded += pending_.discard(end_.cut);
    end_.numbers_end = std::max({end_.numbers_end, end_.cut, pending_.seq_max() + 1});
    if (end_.era > k_opening_era_max || end_.next_frame > k_frame_number_max || end_.numbers_end > k_opening_seq_max) {
      return corrupt(current_, offset_, "the log's numbers are higher than those of any store");
    }
    return std::move(end_);
  }

 private:
  [[nodiscard]] std::unexpected<Error> corrupt(std::size_t segment, std::uint64_t offset, const std::string& what) {
    return fail(ErrorCode::corrupt, segments_[segment].path.string() + ": offset " + std::to_string(offset) + ": " +
                                        what +
                                        "; restore the directory from a backup; `actable-shell DIR -c verify` and "
                                        "`-c dump` show what can be read of this one");
  }

  Result<void> check_headers() {
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      // Of a broken one all is 0.
      const SegmentHeader& header = segments_[i].header;
      if (header.era > k_opening_era_max || header.first_frame > k_frame_number_max ||
          header.generation >> k_generation_bits > header.era) {
        return corrupt(i, 0, "impossible segment header");
      }
    }
    return {};
  }

  /// No generation is used twice: two files of one are a copy and its original,
  /// and which one goes on with the log is not to be known.
  Result<void> check_distinct() {
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      if (segments_[i].state != HeaderState::whole) continue;
      for (std::size_t j = 0; j < i; ++j) {
        if (segments_[j].state != HeaderState::whole) continue;
        if (segments_[i].header.generation != segments_[j].header.generation) continue;
        return fail(ErrorCode::corrupt, segments_[i].path.string() + ": offset 0: the segment is there twice, " +
                                            "also as " + segments_[j].path.string() +
                                            "; move the copy out of the directory");
      }
    }
    return {};
  }

  Result<void> find_first() {
    const auto is_first = [this](const SegmentFile& segment) {
      return segment.state == HeaderState::whole && segment.header.generation == identity_.first_generation &&
             segment.header.first_frame == identity_.first_frame;
    };
    if (const auto first = std::ranges::find_if(segments_, is_first); first != segments_.end()) {
      end_.next_frame = identity_.first_frame;
      // The log may begin in the middle of an era.
      end_.era = first->header.era;
      return enter(static_cast<std::size_t>(first - segments_.begin()));
    }
    if (auto whole = check_for_broken_header(); !whole) return whole;
    return fail(ErrorCode::corrupt, directory_.string() + ": the log's first segment (generation " +
                                        std::to_string(identity_.first_generation) +
                                        ") is missing; restore the directory from a backup");
  }

  Result<void> check_for_broken_header() {
    const auto broken = std::ranges::find(segments_, HeaderState::broken, &SegmentFile::state);
    if (broken == segments_.end()) return {};
    return corrupt(static_cast<std::size_t>(broken - segments_.begin()), 0, "the segment's header is damaged");
  }

  Result<void> enter(std::size_t segment) {
    auto file = segments_[segment].opened();
    if (!file) return std::unexpected(file.error());
    reader_ = std::make_unique<FrameReader>(**file, segments_[segment].bytes, identity_.store_id);
    if (!end_.live.empty()) leave(segment);
    pass(base::k_block_bytes);
    current_ = segment;
    offset_ = base::k_block_bytes;
    end_.live.push_back(segment);
    if (ahead_ != nullptr) go_ahead(guessed_ == segment);
    return {};
  }

  /// Closes the present segment, and the one that was taken for the next if it is not.
  void leave(std::size_t next) {
    if (ahead_ != nullptr) {
      ahead_->drop(*segments_[current_].file);
      if (guessed_ && *guessed_ != next) {
        ahead_->drop(*segments_[*guessed_].file);
        segments_[*guessed_].close();
      }
    }
    pass(segments_[current_].bytes - std::min(offset_, segments_[current_].bytes));
    segments_[current_].close();
  }

  void pass(std::uint64_t bytes) const {
    if (passed_) passed_(bytes);
  }

  /// From here on there is so much that it is worth several threads. A simulation goes
  /// on with one, which it knows.
  void hurry() {
    if (base::simulated()) return;
    delivery_.employ();
    ahead_ = std::make_unique<base::ReadAhead>(k_threads_reading);
    go_ahead(false);
  }

  /// Has the rest of the present segment read ahead, unless that is being done, and then
  /// the one that is likely to come next.
  void go_ahead(bool begun) {
    const auto add = [this](std::size_t segment, std::uint64_t from) {
      ahead_->add(*segments_[segment].file, from, segments_[segment].bytes);
    };
    if (!begun) add(current_, offset_);
    reader_->take_from(ahead_.get());
    guessed_ = likely_successor();
    // What is the matter with it is told when it is read.
    if (guessed_ && !segments_[*guessed_].opened()) guessed_.reset();
    if (guessed_) add(*guessed_, base::k_block_bytes);
  }

  /// Where the log goes on, as far as the headers tell before the frames do.
  [[nodiscard]] std::optional<std::size_t> likely_successor() const {
    const SegmentHeader& now = segments_[current_].header;
    std::optional<std::size_t> best;
    const auto comes_first = [this](std::size_t a, std::size_t b) {
      const SegmentHeader &one = segments_[a].header, &other = segments_[b].header;
      return one.first_frame != other.first_frame ? one.first_frame < other.first_frame
                                                  : one.generation > other.generation;
    };
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      const SegmentHeader& header = segments_[i].header;
      if (segments_[i].state != HeaderState::whole || header.first_frame < end_.next_frame) continue;
      if (header.era < now.era || header.generation <= now.generation) continue;
      if (!best || comes_first(i, *best)) best = i;
    }
    return best;
  }

  /// Goes one frame on, or into the next segment. False at the end.
  Result<bool> step() {
    auto frame = reader_->frame_at(offset_);
    if (!frame) return std::unexpected(frame.error());
    if (*frame && follows((*frame)->header)) {
      if (auto taken = take(**frame); !taken) return std::unexpected(taken.error());
      return true;
    }
    const auto next = successor();
    if (!next) return false;
    if (auto entered = enter(*next); !entered) return std::unexpected(entered.error());
    return true;
  }

  [[nodiscard]] bool follows(const FrameHeader& header) const noexcept {
    const bool era_follows =
        header.era == end_.era || (header.era > end_.era && (header.flags & FrameHeader::k_recovery) != 0);
    return header.number == end_.next_frame && era_follows &&
           header.generation == segments_[current_].header.generation;
  }

  /// The segment that begins with the next frame: of the latest era, for one of
  /// an earlier era with the same first frame holds void frames.
  [[nodiscard]] std::optional<std::size_t> successor() const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      const SegmentHeader& header = segments_[i].header;
      if (segments_[i].state != HeaderState::whole || header.first_frame != end_.next_frame) continue;
      if (header.era < end_.era || header.generation <= segments_[current_].header.generation) continue;
      if (!best || header.generation > segments_[*best].header.generation) best = i;
    }
    return best;
  }

  Result<void> take(const ReadFrame& frame) {
    const FrameHeader& header = frame.header;
    // Some of the log is in the tables. Reading has changed nothing on disk.
    ACTABLE_FAIL_POINT("recovery.read");
    if ((header.flags & FrameHeader::k_recovery) != 0) {
      end_.records_discarded += pending_.discard(end_.cut);
      end_.era = header.era;
      if (header.cut < end_.cut || header.records != 0) return corrupt(current_, offset_, "impossible recovery frame");
    }
    if (!pending_.add(frame, end_.cut)) return corrupt(current_, offset_, "the frame's records make no sense");
    if (header.cut != 0 && header.cut < end_.cut) return corrupt(current_, offset_, "the cut went back");
    durable_ = std::max(durable_, header.durable);
    offset_ += frame_bytes(header.payload_bytes);
    end_.bytes += frame_bytes(header.payload_bytes);
    pass(frame_bytes(header.payload_bytes));
    ++end_.next_frame;
    last_clean_ = (header.flags & FrameHeader::k_clean) != 0;
    if (header.cut == 0) return {};
    if (auto done = pending_.deliver(end_.cut, header.cut, delivery_); !done) return done;
    end_.cut = header.cut;
    end_.segment = current_;
    end_.offset = offset_;
    marker_next_frame_ = end_.next_frame;
    return {};
  }

  Result<void> check_for_damage() {
    if (end_.cut == 0) return corrupt(current_, offset_, "the log's first frame is damaged");
    end_.clean = last_clean_;
    auto quiet = nothing_behind();
    if (!quiet) return std::unexpected(quiet.error());
    if (!*quiet) {
      if (auto seen = look_behind(); !seen) return seen;
    }
    if (durable_ > end_.cut || later_era_) {
      auto blank = reader_->blank_at(offset_);
      if (!blank) return std::unexpected(blank.error());
      // Nothing was ever written here: the log went on in a file that cannot be told for its part.
      if (*blank) {
        if (auto whole = check_for_broken_header(); !whole) return whole;
      }
      return corrupt(current_, offset_,
                     "a frame that had been synced is damaged or missing (frame " + std::to_string(end_.next_frame) +
                         "; the log is known to have been on disk up to number " + std::to_string(durable_ - 1) +
                         ", and reads back up to " + std::to_string(end_.cut - 1) + ")");
    }
    end_.next_frame = marker_next_frame_;
    return {};
  }

  /// True when the log ends as a clean close leaves it, so that no frame can
  /// lie behind its end.
  Result<bool> nothing_behind() {
    if (!last_clean_ || end_.offset != offset_ || end_.segment != current_) return false;
    const auto later = [this](const SegmentFile& segment) {
      return segment.state != HeaderState::whole || segment.header.generation > segments_[current_].header.generation;
    };
    if (std::ranges::any_of(segments_, later)) return false;
    // More than one block: the next era's first frame may be what was damaged.
    const std::uint64_t end = std::min(offset_ + k_blank_bytes, reader_->file_bytes());
    for (std::uint64_t at = offset_; at < end; at += base::k_block_bytes) {
      auto blank = reader_->blank_at(at);
      if (!blank || !*blank) return blank;
    }
    return true;
  }

  /// Looks for whole frames behind the end: they tell how far the log had been
  /// synced, and which numbers were in use.
  Result<void> look_behind() {
    std::vector<bool> read(segments_.size(), false);
    for (const std::size_t i : end_.live) read[i] = i != current_;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      const bool older =
          segments_[i].state == HeaderState::whole && segments_[i].header.generation < identity_.first_generation;
      if (read[i] || older) continue;
      auto file = segments_[i].opened();
      if (!file) return std::unexpected(file.error());
      FrameReader reader(**file, segments_[i].bytes, identity_.store_id);
      std::uint64_t at = i == current_ ? offset_ : base::k_block_bytes;
      while (at < reader.file_bytes()) {
        auto frame = reader.frame_at(at);
        if (!frame) return std::unexpected(frame.error());
        at += *frame ? frame_bytes((*frame)->header.payload_bytes) : base::k_block_bytes;
        if (*frame) note(**frame, segments_[i]);
      }
      if (i != current_) segments_[i].close();
      // Looking for damage has changed nothing either.
      ACTABLE_FAIL_POINT("recovery.looked_behind");
    }
    return {};
  }

  void note(const ReadFrame& frame, const SegmentFile& segment) {
    // An earlier use of the file says nothing of this log's end. A later one
    // does, though its header is not here: lost in a crash, or exchanged.
    if (segment.state == HeaderState::whole && frame.header.generation < segment.header.generation) return;
    durable_ = std::max(durable_, frame.header.durable);
    // An era's recovery frame is on disk before any other frame of it is written.
    if (frame.header.era > end_.era && (frame.header.flags & FrameHeader::k_recovery) == 0) later_era_ = true;
    // Not the durable number: a log that shows one above its cut does not open.
    end_.numbers_end = std::max(end_.numbers_end, frame.header.cut);
    std::span<const std::byte> rest = frame.payload.bytes;
    while (const auto record = take_record(rest)) end_.numbers_end = std::max(end_.numbers_end, record->seq + 1);
  }

  const std::filesystem::path& directory_;
  const Identity& identity_;
  const std::span<SegmentFile> segments_;
  const Passed& passed_;
  LogEnd end_;
  Delivery delivery_;
  Pending pending_;
  // Null while the log is not known to be long.
  std::unique_ptr<base::ReadAhead> ahead_;
  // What is being read ahead of the present segment's end.
  std::optional<std::size_t> guessed_;
  std::unique_ptr<FrameReader> reader_;
  std::size_t current_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t marker_next_frame_ = 0;
  Seq durable_ = 0;
  bool last_clean_ = false;
  bool later_era_ = false;
};

}  // namespace

std::uint64_t log_bytes_max(const Identity& identity, std::span<const SegmentFile> segments) noexcept {
  std::uint64_t bytes = 0;
  for (const SegmentFile& segment : segments) {
    const bool goes_on = segment.state == HeaderState::whole && segment.header.generation >= identity.first_generation;
    if (goes_on) bytes += segment.bytes;
  }
  return bytes;
}

Result<LogEnd> replay(const std::filesystem::path& directory, const Identity& identity, std::span<SegmentFile> segments,
                      const Apply& apply, const Help& help, const Passed& passed) {
  return Replay(directory, identity, segments, apply, help, passed).run();
}

}  // namespace actable::wal
