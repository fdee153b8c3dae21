#include "base/hash.h"
#include "checkpoint/compression.h"
#include "shell/interrupt.h"
#include "shell/salvage.h"

#include <algorithm>
#include <array>
#include <utility>

namespace shell {

namespace base = actable::base;
namespace checkpoint = actable::checkpoint;
namespace wal = actable::wal;
using actable::ErrorCode;
using actable::Result;
using checkpoint::BlockHeader;

namespace {

constexpr const char* k_damaged_blocks = "blocks of the checkpoint: damaged";
constexpr std::size_t k_record_bytes_max =
    checkpoint::record_bytes(actable::k_key_bytes_max, actable::k_value_bytes_max);

}  // namespace

/// The whole blocks of one file, in their order, and what lies between them.
///
/// Thread safety: *confined*.
class CheckpointSalvage::Blocks {
 public:
  Blocks(base::File& file, std::uint64_t bytes, std::uint64_t number, std::uint64_t store_id)
      : file_(file), bytes_(bytes), number_(number), store_id_(store_id) {}

  struct Block {
    BlockHeader header;
    std::uint64_t offset;
    // As it was before it was compressed; valid until the next one is asked for.
    std::span<const std::byte> payload;
    // Bytes before it that are no whole block, and whether blocks are missing there.
    std::uint64_t skipped;
    bool gap;
  };

  /// Empty at the end; `skipped` says then how much is damaged there.
  [[nodiscard]] Result<std::optional<Block>> next() {
    const std::uint64_t begin = at_;
    for (; at_ < bytes_; at_ += base::k_block_bytes) {
      if (interrupted) return actable::fail(ErrorCode::closed, "interrupted");
      buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(checkpoint::k_block_bytes_max, bytes_ - at_)));
      const auto read = file_.read(at_, buffer_);
      if (!read) return std::unexpected(read.error());
      const std::span<const std::byte> there = std::span<const std::byte>(buffer_).first(*read);
      const auto header = checkpoint::decode_block_header(there);
      if (!header || header->file_number != number_ || header->number < expected_) continue;
      if (!checkpoint::whole_block_sum(*header, store_id_, there)) continue;
      auto payload = payload_of(*header, there.subspan(checkpoint::k_block_header_bytes, header->payload_bytes));
      if (!payload && payload.error().code != ErrorCode::corrupt) return std::unexpected(std::move(payload.error()));
      if (!payload) continue;
      const std::uint64_t skipped = at_ - begin;
      const bool gap = skipped != 0 || header->number != expected_;
      expected_ = header->number + 1;
      const Block block{*header, at_, *payload, skipped, gap};
      at_ += checkpoint::block_bytes(header->payload_bytes);
      return block;
    }
    skipped_ = bytes_ - std::min(begin, bytes_);
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

 private:
  /// A kind that is not known is for the caller to refuse.
  [[nodiscard]] Result<std::span<const std::byte>> payload_of(const BlockHeader& header,
                                                              std::span<const std::byte> stored) {
    const bool known = (header.flags & ~BlockHeader::k_known_flags) == 0;
    if (!known || (header.flags & BlockHeader::k_compressed) == 0) return stored;
    return decompressor_.decompress(stored);
  }

  base::File& file_;
  const std::uint64_t bytes_;
  const std::uint64_t number_;
  const std::uint64_t store_id_;
  std::vector<std::byte> buffer_;
  checkpoint::Decompressor decompressor_;
  std::uint64_t at_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t expected_ = 0;
};

Got<std::optional<std::uint64_t>> CheckpointSalvage::store_id() {
  const auto names = files_.list(directory_);
  if (!names) return cannot_read(names.error());
  for (const std::string& name : *names) {
    const auto number = checkpoint::file_number_of(name);
    if (!number) continue;
    auto file = files_.open(directory_ / name, {});
    if (!file) return cannot_read(file.error());
    std::array<std::byte, checkpoint::k_block_header_bytes> head{};
    const auto read = (*file)->read(0, head);
    if (!read) return cannot_read(read.error());
    const auto header = checkpoint::decode_block_header(std::span(head).first(*read));
    if (header && header->file_number == *number) return header->store_id;
  }
  return std::nullopt;
}

Got<void> CheckpointSalvage::find(std::uint64_t store_id, const std::optional<wal::Identity>& identity) {
  store_id_ = store_id;
  const auto names = files_.list(directory_);
  if (!names) return cannot_read(names.error());
  for (const std::string& name : *names) {
    if (const auto number = checkpoint::file_number_of(name)) files_there_.insert(*number);
  }
  auto found = checkpoint::read_manifest(files_, directory_, store_id);
  if (!found && found.error().code != ErrorCode::corrupt) return failed(found.error());
  if (found && *found && (!identity || (*found)->hash_seed == identity->hash_seed)) manifest_ = **std::move(found);
  if (manifest_) return {};
  // Without one there was none, where the log begins with the store and no file lies there.
  const bool damaged = !found || *found;
  const bool needed = identity ? identity->first_frame != 1 : !files_there_.empty();
  manifest_lost_ = damaged || needed;
  if (manifest_lost_) {
    note({.file = checkpoint::k_manifest_file,
          .what = std::string(damaged ? "the checkpoint's manifest: damaged" : "the checkpoint's manifest: missing") +
                  "; which files count, and whether all are there, is not known"});
  }
  return {};
}

std::uint64_t CheckpointSalvage::bytes() const noexcept { return manifest_ ? manifest_->bytes() : 0; }

void CheckpointSalvage::note(Damage damage) {
  if (!told_) damages_.push_back(std::move(damage));
}

bool CheckpointSalvage::whole(unsigned group) const noexcept {
  if (!manifest_) return false;
  return !broken_files_.contains(manifest_->groups[group].file);
}

Got<void> CheckpointSalvage::deliver(const Take& take) {
  if (manifest_) {
    for (const checkpoint::FileEntry& entry : manifest_->files) {
      if (auto done = read(entry, true, take); !done) return done;
    }
  } else {
    for (const std::uint64_t number : files_there_) {
      if (auto done = read({.number = number, .seq_end = ~actable::Seq{0}}, false, take); !done) return done;
    }
  }
  told_ = true;
  return {};
}

/// Joins the pieces that a long record lies in. Behind a gap those up to the end of a
/// record are left out: what they belong to may have begun in it.
///
/// Thread safety: *confined*.
class CheckpointSalvage::Pieces {
 public:
  void gap() {
    bytes_.clear();
    headless_ = true;
  }

  /// The records that the block has or ends: valid until the next call.
  [[nodiscard]] std::span<const std::byte> take(const BlockHeader& header, std::span<const std::byte> payload) {
    if (std::exchange(ended_, false)) bytes_.clear();
    if ((header.flags & BlockHeader::k_piece) == 0) {
      gap();
      headless_ = false;
      return payload;
    }
    const bool last = (header.flags & BlockHeader::k_last_piece) != 0;
    if (headless_) {
      headless_ = !last;
      return {};
    }
    bytes_.insert(bytes_.end(), payload.begin(), payload.end());
    // No record is as long: it is none.
    if (bytes_.size() > k_record_bytes_max) gap();
    ended_ = last;
    return last ? std::span<const std::byte>(bytes_) : std::span<const std::byte>();
  }

 private:
  std::vector<std::byte> bytes_;
  bool headless_ = false;
  bool ended_ = false;
};

Got<void> CheckpointSalvage::read(const checkpoint::FileEntry& entry, bool named, const Take& take) {
  const std::string name = checkpoint::file_name(entry.number);
  auto file = files_.open(directory_ / name, {});
  if (!file && file.error().code != ErrorCode::not_found) return cannot_read(file.error());
  if (!file) {
    broken(entry, {{.bytes = entry.bytes, .what = "a file of the checkpoint: missing"}}, entry.records);
    return {};
  }
  const auto size = (*file)->size();
  if (!size) return cannot_read(size.error());
  const std::uint64_t bytes = named ? std::min(*size, entry.bytes) : *size;
  Blocks blocks(**file, bytes, entry.number, store_id_);
  std::vector<Damage> found;
  const auto records = read(blocks, entry, found, take);
  if (!records) return std::unexpected(records.error());
  if (blocks.skipped() != 0) {
    found.push_back({.offset = bytes - blocks.skipped(), .bytes = blocks.skipped(), .what = k_damaged_blocks});
  }
  if (!named) {
    broken(entry, std::move(found), std::nullopt);
    return {};
  }
  if (bytes < entry.bytes) {
    found.push_back(
        {.offset = bytes, .bytes = entry.bytes - bytes, .what = "the end of a file of the checkpoint: missing"});
  }
  if (found.empty() && *records != entry.records) {
    found.push_back({.bytes = entry.bytes, .what = "a file of the checkpoint: not the one that the manifest names"});
  }
  broken(entry, std::move(found), entry.records - std::min(*records, entry.records));
  return {};
}

/// How many records there are, those too that do not count.
Got<std::uint64_t> CheckpointSalvage::read(Blocks& blocks, const checkpoint::FileEntry& entry,
                                           std::vector<Damage>& found, const Take& take) {
  Pieces pieces;
  std::uint64_t records = 0;
  while (true) {
    const auto next = blocks.next();
    if (!next && next.error().code == ErrorCode::no_memory) return failed(next.error());
    if (!next) return cannot_read(next.error());
    if (!*next) return records;
    const auto& [header, offset, payload, skipped, gap] = **next;
    if ((header.flags & ~BlockHeader::k_known_flags) != 0) {
      return failed((directory_ / checkpoint::file_name(entry.number)).string() +
                        ": has a kind of block of a newer version: use its actable-shell",
                    k_status_not_asked);
    }
    if (gap) {
      const char* const what = skipped != 0 ? k_damaged_blocks : "blocks of the checkpoint: missing";
      found.push_back({.offset = offset - skipped, .bytes = skipped, .what = what});
      pieces.gap();
    }
    std::span<const std::byte> rest = pieces.take(header, payload);
    while (const auto record = checkpoint::take_record(rest)) {
      ++records;
      if (!counts(*record, entry)) continue;
      if (auto taken = take(*record); !taken) return failed(taken.error());
    }
  }
}

bool CheckpointSalvage::counts(const checkpoint::Record& record, const checkpoint::FileEntry& entry) const {
  if (record.seq >= entry.seq_end) return false;
  if (!manifest_) return true;
  // Another file may have the group now.
  return manifest_->groups[checkpoint::group_of(base::hash_key(record.key, manifest_->hash_seed))].file == entry.number;
}

/// How many records were in which of the places is not known: the first one is given all.
void CheckpointSalvage::broken(const checkpoint::FileEntry& entry, std::vector<Damage> found,
                               std::optional<std::uint64_t> records) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].file = checkpoint::file_name(entry.number);
    if (i == 0) found[i].records = records;
    broken_files_.insert(entry.number);
    note(std::move(found[i]));
  }
}

}  // namespace shell
