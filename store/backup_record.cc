#include "store/backup_record.h"

#include "base/control_record.h"

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace actable::store {
namespace {

// "ACTBKUP1".
constexpr std::uint64_t k_magic = 0x3150554b42544341;
constexpr std::uint64_t k_file_bytes_max = std::uint64_t{1} << 30;

using PackedFile = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>;
using PackedSegment = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
using PackedRecord =
    std::tuple<std::uint32_t, std::uint64_t, bool, std::uint64_t, std::vector<PackedFile>, std::vector<PackedSegment>>;

std::vector<std::byte> encode(const BackupRecord& record) {
  std::vector<PackedFile> files;
  for (const auto& file : record.files) {
    files.emplace_back(file.number, file.bytes, file.blocks, file.records, file.seq_end, file.checksum);
  }
  std::vector<PackedSegment> segments;
  for (const auto& segment : record.segments) {
    segments.emplace_back(segment.generation, segment.bytes, segment.checksum);
  }
  msgpack::sbuffer packed;
  msgpack::pack(packed, PackedRecord{record.format_version, record.store_id, record.complete, record.cut,
                                     std::move(files), std::move(segments)});
  return base::seal_control_record(k_magic, std::span(packed.data(), packed.size()));
}

Result<BackupRecord> decode(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const auto damaged = [&path](std::string_view what, std::size_t offset) {
    return fail(ErrorCode::corrupt, path.string() + ": " + std::string(what) + " at offset " + std::to_string(offset) +
                                        "; empty the directory and make the backup anew");
  };
  const auto body = base::open_control_record(k_magic, bytes);
  if (!body) {
    return damaged(body.error().offset == 0 ? "this is no backup's record, damaged" : body.error().what,
                   body.error().offset);
  }
  try {
    const auto unpacked = base::unpack_fields(*body, body->size());
    const msgpack::object& fields = unpacked.get();
    // Read alone: what follows is for those who know the version.
    const auto version = std::get<0>(fields.as<std::tuple<std::uint32_t>>());
    if (version > k_backup_format_version) {
      return fail(ErrorCode::unsupported, path.string() + ": written in format " + std::to_string(version) +
                                              ", this build reads up to " + std::to_string(k_backup_format_version) +
                                              "; use a newer version, or another directory for the backup");
    }
    if (fields.via.array.size < std::tuple_size_v<PackedRecord>) {
      return damaged("fields missing", base::k_control_head_bytes);
    }
    const auto [format_version, store_id, complete, cut, files, segments] = fields.as<PackedRecord>();
    BackupRecord record{format_version, store_id, complete, cut, {}, {}};
    for (const auto& [number, file_bytes, blocks, records, seq_end, checksum] : files) {
      record.files.push_back({number, file_bytes, blocks, records, seq_end, checksum});
    }
    for (const auto& [generation, segment_bytes, checksum] : segments) {
      record.segments.push_back({generation, segment_bytes, checksum});
    }
    return record;
  } catch (const std::bad_alloc&) {
    // Says nothing about the bytes.
    throw;
  } catch (const std::exception&) {
    return damaged("fields cannot be read", base::k_control_head_bytes);
  }
}

}  // namespace

Result<void> write_backup_record(base::FileSystem& files, const std::filesystem::path& directory,
                                 const BackupRecord& record) {
  const std::filesystem::path path = directory / k_backup_file;
  std::filesystem::path aside = path;
  aside += ".new";
  (void)files.remove(aside);  // Left by a crash, if it is there.
  auto file = files.open(aside, {.create = true, .write = true, .direct = false});
  if (!file) return std::unexpected(std::move(file.error()));
  const std::vector<std::byte> bytes = encode(record);
  if (auto written = (*file)->write(0, bytes); !written) return written;
  if (auto synced = (*file)->sync(); !synced) return synced;
  if (auto renamed = files.rename(aside, path); !renamed) return renamed;
  return files.sync_directory(directory);
}

Result<std::optional<BackupRecord>> read_backup_record(base::FileSystem& files,
                                                       const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / k_backup_file;
  auto file = files.open(path, {});
  if (!file) {
    if (file.error().code == ErrorCode::not_found) return std::nullopt;
    return std::unexpected(std::move(file.error()));
  }
  auto size = (*file)->size();
  if (!size) return std::unexpected(std::move(size.error()));
  if (*size > k_file_bytes_max) {
    return fail(ErrorCode::corrupt, path.string() +
                                        ": too long to be a backup's record, damaged at offset 0; "
                                        "empty the directory and make the backup anew");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(*size));
  auto read = (*file)->read(0, bytes);
  if (!read) return std::unexpected(std::move(read.error()));
  bytes.resize(*read);
  auto record = decode(bytes, path);
  if (!record) return std::unexpected(std::move(record.error()));
  return *std::move(record);
}

Result<bool> holds_backup(base::FileSystem& files, const std::filesystem::path& directory) {
  auto record = read_backup_record(files, directory);
  if (!record) return std::unexpected(std::move(record.error()));
  if (!*record) return false;
  if (!(*record)->complete) {
    return fail(ErrorCode::corrupt, (directory / k_backup_file).string() +
                                        ": the directory holds a backup that was not finished, and no store; call "
                                        "Store::backup with this directory again, or open another backup");
  }
  return true;
}

Result<void> forget_backup(base::FileSystem& files, const std::filesystem::path& directory) {
  auto removed = files.remove(directory / k_backup_file);
  return removed ? files.sync_directory(directory) : removed;
}

}  // namespace actable::store
