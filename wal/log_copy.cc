#include "wal/log_copy.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "wal/segments.h"

#include <algorithm>
#include <array>
#include <utility>

namespace actable::wal {
namespace {

constexpr std::string_view k_prefix = "log-";

std::uint64_t next_checksum(std::uint64_t before, std::span<const std::byte> frame) noexcept {
  // The frame's own is at the end of its header.
  return base::checksum(frame.subspan(k_frame_header_bytes - sizeof before, sizeof before), before);
}

}  // namespace

std::string copied_segment_name(std::uint64_t generation) { return segment_file_name(generation); }

LogCopy::LogCopy(base::FileSystem& files, Directories directories, const Identity& identity, std::uint64_t marker,
                 const Events& events)
    : files_(files),
      from_(directories.from),
      to_(directories.to),
      identity_(identity),
      marker_(marker),
      events_(events) {}

/// Headers that make no sense now are of files that are not needed: the log's thread may be writing them.
Result<void> LogCopy::find_sources() {
  auto names = files_.list(from_);
  if (!names) return std::unexpected(std::move(names.error()));
  for (const std::string& name : *names) {
    if (!name.starts_with(k_prefix)) continue;
    Source source{.path = from_ / name, .header = {}};
    auto file = files_.open(source.path, {});
    // Removed since it was listed.
    if (!file && file.error().code == ErrorCode::not_found) continue;
    if (!file) return std::unexpected(std::move(file.error()));
    std::array<std::byte, k_segment_header_bytes> head;
    auto read = (*file)->read(0, head);
    if (!read) return std::unexpected(std::move(read.error()));
    const DecodedHeader decoded = decode_segment_header(std::span(head).first(*read), identity_.store_id);
    if (decoded.state != HeaderState::whole || segment_file_name(decoded.header.file_number) != name) continue;
    source.header = decoded.header;
    sources_.push_back(std::move(source));
  }
  return {};
}

std::optional<std::size_t> LogCopy::first() const {
  const auto found = std::ranges::find_if(sources_, [this](const Source& source) {
    return source.header.generation == identity_.first_generation && source.header.first_frame == identity_.first_frame;
  });
  if (found == sources_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - sources_.begin());
}

/// As recovery chooses it.
std::optional<std::size_t> LogCopy::successor() const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const SegmentHeader& header = sources_[i].header;
    if (header.first_frame != at_.next_frame || header.era < at_.era) continue;
    if (header.generation <= sources_[at_.source].header.generation) continue;
    if (!best || header.generation > sources_[*best].header.generation) best = i;
  }
  return best;
}

std::unexpected<Error> LogCopy::missing_frame() const {
  return fail(ErrorCode::corrupt, sources_[at_.source].path.string() + ": offset " + std::to_string(at_.offset) +
                                      ": frame " + std::to_string(at_.next_frame) +
                                      ", which is on disk, is damaged or missing: the store would not open again. "
                                      "Its content is in memory still: save it with `dump` of actable-shell, or "
                                      "`Store::checkpoint` and then another backup");
}

Result<void> LogCopy::run(std::span<const CopiedSegment> there) {
  if (auto found = find_sources(); !found) return found;
  const auto beginning = first();
  if (!beginning) {
    return fail(ErrorCode::corrupt, from_.string() + ": the log's first segment (generation " +
                                        std::to_string(identity_.first_generation) +
                                        ") is missing: the store would not open again. Its content is in memory "
                                        "still: save it with `dump` of actable-shell");
  }
  at_ = {.next_frame = identity_.first_frame, .era = sources_[*beginning].header.era};
  if (auto entered = enter(*beginning, there); !entered) return entered;
  while (at_.next_frame <= marker_) {
    if (auto may = events_.look(); !may) return may;
    auto frame = next_frame();
    if (!frame) return std::unexpected(std::move(frame.error()));
    if (*frame) {
      if (auto appended = append(**frame); !appended) return appended;
      continue;
    }
    const auto next = successor();
    if (!next) return missing_frame();
    if (auto finished = finish_segment(); !finished) return finished;
    if (auto entered = enter(*next, there); !entered) return entered;
  }
  if (cut_ == 0) return missing_frame();
  return finish_segment();
}

Result<void> LogCopy::enter(std::size_t source, std::span<const CopiedSegment> there) {
  auto file = files_.open(sources_[source].path, {});
  if (!file) return std::unexpected(std::move(file.error()));
  reader_.reset();
  file_ = std::move(*file);
  auto size = file_->size();
  if (!size) return std::unexpected(std::move(size.error()));
  reader_ = std::make_unique<FrameReader>(*file_, *size, identity_.store_id);
  at_.source = source;
  at_.offset = base::k_block_bytes;
  segment_ = {.generation = sources_[source].header.generation};
  const auto known = std::ranges::find(there, segment_.generation, &CopiedSegment::generation);
  if (known != there.end()) {
    const Place before = at_;
    auto passed = pass_over(*known);
    if (!passed) return std::unexpected(std::move(passed.error()));
    if (*passed) return {};
    at_ = before;
    segment_ = {.generation = segment_.generation};
    cut_ = 0;
    if (auto may = events_.replacing(segment_.generation); !may) return may;
  }
  return begin_anew();
}

/// Reads what is in the copy already. False where the copy does not have it, or has
/// something else: of a store that was copied and had a life of its own.
Result<bool> LogCopy::pass_over(const CopiedSegment& there) {
  auto is = is_there(there);
  if (!is || !*is) return is;
  while (at_.offset < there.bytes && at_.next_frame <= marker_) {
    if (auto may = events_.look(); !may) return std::unexpected(std::move(may.error()));
    auto frame = next_frame();
    if (!frame) return std::unexpected(std::move(frame.error()));
    if (!*frame) return false;
    went_over(**frame);
  }
  if (at_.offset != there.bytes || segment_.checksum != there.checksum) return false;
  segment_.bytes = there.bytes;
  present_bytes_ += there.bytes;
  return true;
}

Result<bool> LogCopy::is_there(const CopiedSegment& there) const {
  auto file = files_.open(to_ / copied_segment_name(there.generation), {});
  if (!file && file.error().code == ErrorCode::not_found) return false;
  if (!file) return std::unexpected(std::move(file.error()));
  auto size = (*file)->size();
  if (!size) return std::unexpected(std::move(size.error()));
  return *size == there.bytes;
}

Result<void> LogCopy::begin_anew() {
  const std::filesystem::path path = to_ / copied_segment_name(segment_.generation);
  auto removed = files_.remove(path);
  if (!removed && removed.error().code != ErrorCode::not_found) return removed;
  auto writer = base::BlockAppender::open(files_, path, 0);
  if (!writer) return std::unexpected(std::move(writer.error()));
  writer_ = std::move(*writer);
  SegmentHeader header = sources_[at_.source].header;
  header.file_number = header.generation;
  std::array<std::byte, base::k_block_bytes> block;
  encode(header, identity_.store_id, block);
  return writer_->append(block);
}

/// The frame that the log goes on with, if it is in this segment.
Result<std::optional<ReadFrame>> LogCopy::next_frame() {
  auto frame = reader_->frame_at(at_.offset);
  if (!frame || !*frame) return frame;
  const FrameHeader& header = (*frame)->header;
  const bool era_follows =
      header.era == at_.era || (header.era > at_.era && (header.flags & FrameHeader::k_recovery) != 0);
  const bool follows =
      header.number == at_.next_frame && era_follows && header.generation == sources_[at_.source].header.generation;
  if (!follows) return std::nullopt;
  return frame;
}

void LogCopy::went_over(const ReadFrame& frame) {
  const FrameHeader& header = frame.header;
  segment_.checksum = next_checksum(segment_.checksum, frame.bytes);
  if (header.number == marker_) cut_ = header.cut;
  at_.offset += frame_bytes(header.payload_bytes);
  at_.era = header.era;
  ++at_.next_frame;
}

Result<void> LogCopy::append(const ReadFrame& frame) {
  if (writer_ == nullptr) {
    auto writer = base::BlockAppender::open(files_, to_ / copied_segment_name(segment_.generation), at_.offset);
    if (!writer) return std::unexpected(std::move(writer.error()));
    writer_ = std::move(*writer);
  }
  if (auto appended = writer_->append(frame.bytes); !appended) return appended;
  if (auto padded = writer_->pad(); !padded) return padded;
  went_over(frame);
  return {};
}

Result<void> LogCopy::finish_segment() {
  const std::uint64_t before = segment_.bytes;
  if (writer_ != nullptr) {
    if (auto finished = writer_->finish(); !finished) return finished;
    writer_.reset();
    segment_.bytes = at_.offset;
  }
  copied_bytes_ += segment_.bytes - before;
  segments_.push_back(segment_);
  return events_.copied(segment_);
}

}  // namespace actable::wal
