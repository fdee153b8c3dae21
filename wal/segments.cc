#include "wal/segments.h"

#include "base/assert.h"
#include "base/park.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <new>
#include <utility>

namespace actable::wal {
namespace {

constexpr std::string_view k_prefix = "log-";
// Zeros are written once they reach no further than this beyond the last frame.
constexpr std::uint64_t k_prewrite_ahead_bytes = std::uint64_t{512} << 10;
constexpr std::size_t k_prewrite_step_bytes = std::size_t{256} << 10;

/// A block, or a few, of zeros, aligned for direct writes.
template <std::size_t Bytes>
struct alignas(base::k_block_bytes) Blocks {
  std::array<std::byte, Bytes> bytes{};
};

/// True for the first block of a file that a crash may have left of ours: none
/// at all, zeros, or the beginning of a header.
bool may_be_ours(std::span<const std::byte> block) {
  std::array<std::byte, sizeof(k_segment_magic)> magic;
  base::store_le(magic.data(), k_segment_magic);
  const auto begin = block.first(std::min(block.size(), magic.size()));
  return std::ranges::all_of(begin, [](std::byte b) { return b == std::byte{0}; }) ||
         std::ranges::equal(begin, std::span(magic).first(begin.size()));
}

/// The number in a segment's name; nothing for another name.
std::optional<std::uint64_t> file_number_of(const std::string& name) {
  const std::string_view digits = std::string_view(name).substr(std::min(k_prefix.size(), name.size()));
  std::uint64_t number = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (segment_file_name(number) != name) return std::nullopt;
  return number;
}

}  // namespace

std::string segment_file_name(std::uint64_t file_number) {
  constexpr std::size_t k_digits_min = 8;
  const std::string digits = std::to_string(file_number);
  const std::size_t zeros = digits.size() < k_digits_min ? k_digits_min - digits.size() : 0;
  return std::string(k_prefix) + std::string(zeros, '0') + digits;
}

Result<std::vector<SegmentFile>> list_segments(base::FileSystem& files, const std::filesystem::path& directory,
                                               std::uint64_t store_id) {
  auto names = files.list(directory);
  if (!names) return std::unexpected(names.error());
  std::vector<SegmentFile> segments;
  for (const std::string& name : *names) {
    const auto number = file_number_of(name);
    if (!number) continue;
    SegmentFile segment{.file_number = *number, .path = directory / name, .files = &files};
    auto file = segment.opened();
    if (!file) return std::unexpected(file.error());
    Blocks<base::k_block_bytes> block;
    auto read = (*file)->read(0, block.bytes);
    if (!read) return std::unexpected(read.error());
    auto size = (*file)->size();
    if (!size) return std::unexpected(size.error());
    segment.close();
    const auto found = std::span(block.bytes).first(*read);
    const DecodedHeader decoded = decode_segment_header(found, store_id);
    const std::string path = segment.path.string();
    if (decoded.state == HeaderState::newer) {
      return fail(ErrorCode::unsupported, path + ": written in format " + std::to_string(decoded.version) +
                                              ", this build reads " + std::to_string(k_format_version) +
                                              "; open it with a newer version");
    }
    if (decoded.state == HeaderState::foreign) {
      return fail(ErrorCode::corrupt, path + ": offset 0: this file is of another store; move it out of the directory");
    }
    if (decoded.state == HeaderState::whole && decoded.header.file_number != *number) {
      return fail(ErrorCode::corrupt, path + ": offset 0: this is the header of " +
                                          segment_file_name(decoded.header.file_number) +
                                          "; give the file that name again, move it out of the directory if it is a "
                                          "copy, or restore the directory from a backup");
    }
    segment.header = decoded.header;
    segment.state = decoded.state;
    segment.bytes = *size;
    segment.ours = may_be_ours(found);
    segments.push_back(std::move(segment));
  }
  return segments;
}

Result<base::File*> SegmentFile::opened() {
  if (file == nullptr) {
    auto now = files->open(path, {.create = false, .write = true, .direct = true});
    if (!now) return std::unexpected(now.error());
    file = std::move(*now);
  }
  return file.get();
}

Segments::Segments(base::FileSystem& files, std::filesystem::path directory, std::uint64_t store_id,
                   std::uint64_t segment_bytes)
    : files_(files), directory_(std::move(directory)), store_id_(store_id), segment_bytes_(segment_bytes) {}

void Segments::take_over(std::vector<SegmentFile> live, std::uint64_t offset, std::vector<SegmentFile> spare,
                         std::uint64_t era) {
  for (const auto* group : {&live, &spare}) {
    for (const SegmentFile& segment : *group) {
      taken_numbers_.insert(segment.file_number);
      if (segment.state == HeaderState::whole) {
        generation_last_ = std::max(generation_last_, segment.header.generation);
      }
    }
  }
  std::erase_if(spare, [](const SegmentFile& segment) { return !segment.ours; });
  // A file whose header was lost in a crash may hold frames of a generation
  // that nothing else tells of; used again with that one it would bring void
  // frames back. So each era has generations of its own: frames of an era are
  // written when its recovery frame is on disk, and then the next era is another.
  generation_last_ = std::max(generation_last_, era << k_generation_bits);
  std::ranges::move(live, std::back_inserter(live_));
  spare_ = std::move(spare);
  offset_ = offset;
}

Result<void> Segments::begin_beside(std::uint64_t era) {
  auto names = files_.list(directory_);
  if (!names) return std::unexpected(std::move(names.error()));
  for (const std::string& name : *names) {
    if (const auto number = file_number_of(name)) taken_numbers_.insert(*number);
  }
  // Those below are left to a life that takes the same era because this one's headers
  // were lost; see wal/beginning.h.
  generation_last_ = (era << k_generation_bits) + (std::uint64_t{1} << (k_generation_bits - 1));
  return {};
}

void Segments::remove_all() noexcept {
  dirty_.clear();
  const auto remove = [this](SegmentFile& segment) {
    segment.close();
    try {
      (void)files_.remove(segment.path);
    } catch (const std::bad_alloc&) {
      // It stays.
    }
    // Of several files some are gone.
    ACTABLE_FAIL_POINT("wal.segment.removed");
  };
  for (SegmentFile& segment : live_) remove(segment);
  for (SegmentFile& segment : spare_) remove(segment);
  if (unfinished_.file_number != 0) remove(unfinished_);
}

void Segments::mark_dirty(base::File* file, std::uint64_t frame_number) {
  const auto found = std::ranges::find(dirty_, file, &Dirty::file);
  if (found == dirty_.end()) {
    dirty_.push_back({file, frame_number});
  } else {
    found->last_frame = std::max(found->last_frame, frame_number);
  }
}

std::vector<base::File*> Segments::take_dirty(std::uint64_t completed_through) {
  std::vector<base::File*> files;
  for (const Dirty& dirty : dirty_) files.push_back(dirty.file);
  std::erase_if(dirty_, [completed_through](const Dirty& dirty) { return dirty.last_frame <= completed_through; });
  return files;
}

Result<SegmentFile> Segments::create_file(std::uint64_t bytes) {
  // A number that was tried and failed is not tried again: its file may be there.
  do {
    ++file_number_tried_;
  } while (taken_numbers_.contains(file_number_tried_));
  SegmentFile segment{.file_number = file_number_tried_,
                      .path = directory_ / segment_file_name(file_number_tried_),
                      .bytes = bytes,
                      .files = &files_};
  auto file = files_.open(segment.path, {.create = true, .write = true, .direct = true});
  if (!file) return std::unexpected(file.error());
  unfinished_ = {.file_number = segment.file_number, .path = segment.path};
  // A segment's name with nothing in it.
  ACTABLE_FAIL_POINT("wal.segment.created");
  if (auto allocated = (*file)->allocate(bytes); !allocated) return std::unexpected(allocated.error());
  // Full size, no header, and a name that the directory may forget.
  ACTABLE_FAIL_POINT("wal.segment.allocated");
  if (auto synced = files_.sync_directory(directory_); !synced) return std::unexpected(synced.error());
  segment.file = std::move(*file);
  return segment;
}

Result<void> Segments::begin_segment(std::uint64_t frame_number, std::uint64_t era, std::uint64_t bytes_min) {
  const std::uint64_t bytes = std::max(segment_bytes_, base::k_block_bytes + bytes_min);
  const auto fits = [bytes](const SegmentFile& spare) { return spare.bytes >= bytes; };
  const auto found = std::ranges::find_if(spare_, fits);
  const bool reused = found != spare_.end();
  SegmentFile segment;
  if (reused) {
    segment = std::move(*found);
    spare_.erase(found);
    // It still bears its old header, and frames of old generations.
    ACTABLE_FAIL_POINT("wal.segment.recycled");
  } else {
    auto created = create_file(bytes);
    if (!created) return std::unexpected(created.error());
    segment = std::move(*created);
  }
  segment.header = {++generation_last_, frame_number, era, segment.file_number};
  Blocks<base::k_block_bytes> block;
  encode(segment.header, store_id_, block.bytes);
  if (auto opened = segment.opened(); !opened) return std::unexpected(opened.error());
  if (auto written = segment.file->write(0, block.bytes); !written) return written;
  // A header whose first frame is not there.
  ACTABLE_FAIL_POINT("wal.segment.switched");
  offset_ = base::k_block_bytes;
  prewritten_ = reused ? segment.bytes : offset_;
  live_.push_back(std::move(segment));
  unfinished_ = {};
  return {};
}

Result<Segments::Place> Segments::place(std::uint64_t bytes, std::uint64_t frame_number, std::uint64_t era) {
  ACTABLE_ASSERT(bytes % base::k_block_bytes == 0);
  if (live_.empty() || offset_ + bytes > live_.back().bytes) {
    if (auto begun = begin_segment(frame_number, era, bytes); !begun) return std::unexpected(begun.error());
  }
  SegmentFile& segment = live_.back();
  const Place place{segment.file.get(), offset_, segment.header.generation};
  offset_ += bytes;
  prewritten_ = std::max(prewritten_, offset_);
  mark_dirty(segment.file.get(), frame_number);
  return place;
}

Result<bool> Segments::prewrite() {
  SegmentFile& segment = live_.back();
  const std::uint64_t end = segment.bytes - segment.bytes % base::k_block_bytes;
  if (prewritten_ >= end || prewritten_ > offset_ + k_prewrite_ahead_bytes) return false;
  static const Blocks<k_prewrite_step_bytes> zeros;
  const std::uint64_t bytes = std::min<std::uint64_t>(k_prewrite_step_bytes, end - prewritten_);
  const auto piece = std::span(zeros.bytes).first(static_cast<std::size_t>(bytes));
  if (auto written = segment.file->write(prewritten_, piece); !written) return std::unexpected(written.error());
  prewritten_ += piece.size();
  mark_dirty(segment.file.get(), 0);
  // Zeros behind the last frame.
  ACTABLE_FAIL_POINT("wal.segment.prewritten");
  return true;
}

void Segments::close_full() {
  // They fill and are synced in their order, so those before the first closed
  // one are closed too.
  for (std::size_t i = live_.size(); i-- > 0;) {
    SegmentFile& segment = live_[i];
    if (segment.file == nullptr) return;
    if (i + 1 != live_.size() && std::ranges::find(dirty_, segment.file.get(), &Dirty::file) == dirty_.end()) {
      segment.close();
      // Full and synced, its successor perhaps not.
      ACTABLE_FAIL_POINT("wal.segment.closed");
    }
  }
}

std::pair<std::uint64_t, std::uint64_t> Segments::beginning_at(std::uint64_t frame_number) const {
  std::size_t first = 0;
  while (first + 1 < live_.size() && live_[first + 1].header.first_frame <= frame_number) ++first;
  return {live_[first].header.generation, live_[first].header.first_frame};
}

void Segments::release_before(std::uint64_t frame_number) {
  while (live_.size() > 1 && live_[1].header.first_frame <= frame_number) {
    live_.front().close();
    spare_.push_back(std::move(live_.front()));
    live_.pop_front();
  }
}

bool Segments::remove_surplus(std::uint64_t bytes_max) noexcept {
  if (spare_.empty() || spare_bytes() <= bytes_max) return false;
  const auto smallest = std::ranges::min_element(spare_, {}, &SegmentFile::bytes);
  // Of different sizes, as after a change of the option, the large ones fit what comes;
  // what is left must not be less than was asked for.
  if (spare_bytes() - smallest->bytes < bytes_max) return false;
  try {
    (void)files_.remove(smallest->path);
  } catch (const std::bad_alloc&) {
    // It is left.
  }
  spare_.erase(smallest);
  // Perhaps the directory forgets that, and the file is spare again.
  ACTABLE_FAIL_POINT("wal.surplus.removed");
  return true;
}

std::uint64_t Segments::live_bytes() const noexcept {
  std::uint64_t bytes = offset_;
  for (std::size_t i = 0; i + 1 < live_.size(); ++i) bytes += live_[i].bytes;
  return bytes;
}

std::uint64_t Segments::spare_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const SegmentFile& segment : spare_) bytes += segment.bytes;
  return bytes;
}

}  // namespace actable::wal
