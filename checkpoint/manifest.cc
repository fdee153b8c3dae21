#include "checkpoint/manifest.h"

#include "base/control_record.h"
#include "base/park.h"

#include <algorithm>
#include <exception>
#include <new>
#include <set>
#include <tuple>

namespace actable::checkpoint {
namespace {

// "ACTCKPT1".
constexpr std::uint64_t k_magic = 0x3154504b43544341;
constexpr std::size_t k_file_bytes_max = std::size_t{1} << 30;
// No store comes near them; above them what the next life writes might not fit its fields.
constexpr std::uint64_t k_file_number_max = std::uint64_t{1} << 62;
constexpr std::uint64_t k_frame_number_max = std::uint64_t{1} << 62;
constexpr Seq k_seq_max = Seq{1} << 61;
constexpr std::uint32_t k_space_id_max = ~std::uint32_t{0} - 1;

using PackedGroup = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;
using PackedFile = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>;
using PackedSpace = std::tuple<std::uint32_t, std::string, std::uint64_t>;

std::vector<std::byte> encode(const Manifest& manifest) {
  std::vector<PackedGroup> groups;
  for (const Group& group : manifest.groups) groups.emplace_back(group.file, group.cut, group.first_frame);
  std::vector<PackedFile> files;
  for (const FileEntry& file : manifest.files) {
    files.emplace_back(file.number, file.bytes, file.blocks, file.records, file.seq_end, file.checksum);
  }
  std::vector<PackedSpace> spaces;
  for (const SpaceEntry& space : manifest.spaces) spaces.emplace_back(space.id, space.name, space.keys);
  msgpack::sbuffer packed;
  msgpack::pack(packed, std::make_tuple(manifest.format_version, manifest.store_id, manifest.hash_seed, manifest.serial,
                                        manifest.next_space_id, groups, files, spaces, manifest.log_generation,
                                        manifest.log_first_frame));
  return base::seal_control_record(k_magic, std::span(packed.data(), packed.size()));
}

/// Empty when the fields do not fit together.
std::optional<Manifest> unpack(const msgpack::object& fields) {
  const auto [version, store_id, hash_seed, serial, next_space_id, groups, files, spaces] =
      fields.as<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t,
                           std::vector<PackedGroup>, std::vector<PackedFile>, std::vector<PackedSpace>>>();
  // The last two may be missing.
  const bool tells_of_log = fields.via.array.size >= 10;
  const auto log_generation = tells_of_log ? fields.via.array.ptr[8].as<std::uint64_t>() : 0;
  const auto log_first_frame = tells_of_log ? fields.via.array.ptr[9].as<std::uint64_t>() : 0;
  Manifest manifest{.format_version = version,
                    .store_id = store_id,
                    .hash_seed = hash_seed,
                    .serial = serial,
                    .next_space_id = next_space_id,
                    .log_generation = log_generation,
                    .log_first_frame = log_first_frame};
  if (groups.size() != k_groups || files.size() > k_groups) return std::nullopt;
  for (const auto& [number, bytes, blocks, records, seq_end, checksum] : files) {
    const bool follows = manifest.files.empty() || number > manifest.files.back().number;
    if (number == 0 || number > k_file_number_max || seq_end > k_seq_max || !follows) return std::nullopt;
    manifest.files.push_back({number, bytes, blocks, records, seq_end, checksum});
  }
  for (unsigned i = 0; i < k_groups; ++i) {
    const auto& [file, cut, first_frame] = groups[i];
    if (file != 0 && manifest.file(file) == nullptr) return std::nullopt;
    if (cut > k_seq_max || first_frame > k_frame_number_max) return std::nullopt;
    manifest.groups[i] = {file, cut, first_frame};
  }
  for (const auto& [id, name, keys] : spaces) {
    if (id > k_space_id_max) return std::nullopt;
    manifest.spaces.push_back({id, name, keys});
  }
  // No group needs what was before the log.
  if ((log_generation == 0) != (log_first_frame == 0) || manifest.first_frame() < log_first_frame) return std::nullopt;
  return manifest;
}

Result<Manifest> decode(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const auto damaged = [&path](std::string_view what, std::size_t offset) {
    return fail(ErrorCode::corrupt, path.string() + ": " + std::string(what) + " at offset " + std::to_string(offset) +
                                        "; restore the directory from a backup");
  };
  const auto body = base::open_control_record(k_magic, bytes);
  if (!body) {
    return damaged(body.error().offset == 0 ? "this is no store's manifest, damaged" : body.error().what,
                   body.error().offset);
  }
  try {
    const auto unpacked = base::unpack_fields(*body, body->size());
    const msgpack::object& fields = unpacked.get();
    // Read alone: what follows is for those who know the version.
    const auto version = std::get<0>(fields.as<std::tuple<std::uint32_t>>());
    if (version > k_format_version) {
      return fail(ErrorCode::unsupported, path.string() + ": written in format " + std::to_string(version) +
                                              ", this build reads up to " + std::to_string(k_format_version) +
                                              "; open it with a newer version");
    }
    if (fields.via.array.size < 8) return damaged("fields missing", base::k_control_head_bytes);
    auto manifest = unpack(fields);
    if (!manifest) return damaged("impossible fields", base::k_control_head_bytes);
    return *std::move(manifest);
  } catch (const std::bad_alloc&) {
    // Says nothing about the bytes.
    throw;
  } catch (const std::exception&) {
    return damaged("fields cannot be read", base::k_control_head_bytes);
  }
}

/// From here on either manifest may count after a crash.
Published replace(base::FileSystem& files, const std::filesystem::path& directory, const std::filesystem::path& aside,
                  const std::filesystem::path& path) noexcept {
  try {
    if (auto renamed = files.rename(aside, path); !renamed) return {std::move(renamed.error()), true};
    // The name is changed, and perhaps not after a crash of the machine.
    ACTABLE_FAIL_POINT("checkpoint.manifest.renamed");
    if (auto synced = files.sync_directory(directory); !synced) return {std::move(synced.error()), true};
    return {};
  } catch (const std::bad_alloc&) {
    return {Error{ErrorCode::no_memory, "no memory"}, true};
  }
}

}  // namespace

Seq Manifest::seq_end() const noexcept {
  Seq end = 0;
  for (const FileEntry& file : files) end = std::max(end, file.seq_end);
  return end;
}

Seq Manifest::cut_max() const noexcept { return std::ranges::max(groups, {}, &Group::cut).cut; }

std::uint64_t Manifest::first_frame() const noexcept {
  return std::ranges::min(groups, {}, &Group::first_frame).first_frame;
}

std::uint64_t Manifest::records() const noexcept {
  std::uint64_t records = 0;
  for (const FileEntry& file : files) records += file.records;
  return records;
}

std::uint64_t Manifest::bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const FileEntry& file : files) bytes += file.bytes;
  return bytes;
}

const FileEntry* Manifest::file(std::uint64_t number) const noexcept {
  const auto found = std::ranges::lower_bound(files, number, {}, &FileEntry::number);
  return found == files.end() || found->number != number ? nullptr : &*found;
}

Published write_manifest(base::FileSystem& files, const std::filesystem::path& directory, const Manifest& manifest) {
  const std::filesystem::path path = directory / k_manifest_file;
  std::filesystem::path aside = path;
  aside += ".new";
  (void)files.remove(aside);  // Left by a crash, if it is there.
  auto file = files.open(aside, {.create = true, .write = true, .direct = false});
  if (!file) return {file.error()};
  // An empty file aside, which the next writing has to replace.
  ACTABLE_FAIL_POINT("checkpoint.manifest.created");
  const std::vector<std::byte> bytes = encode(manifest);
  if (auto written = (*file)->write(0, bytes); !written) return {written.error()};
  // Whole, and perhaps not after a crash of the machine.
  ACTABLE_FAIL_POINT("checkpoint.manifest.written");
  if (auto synced = (*file)->sync(); !synced) return {synced.error()};
  // New files that nothing names; the checkpoint before is the one that counts.
  ACTABLE_FAIL_POINT("checkpoint.manifest.synced");
  return replace(files, directory, aside, path);
}

Result<std::optional<Manifest>> read_manifest(base::FileSystem& files, const std::filesystem::path& directory,
                                              std::uint64_t store_id) {
  const std::filesystem::path path = directory / k_manifest_file;
  auto file = files.open(path, {});
  if (!file) {
    if (file.error().code == ErrorCode::not_found) return std::nullopt;
    return std::unexpected(file.error());
  }
  auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  if (*size > k_file_bytes_max) {
    return fail(ErrorCode::corrupt, path.string() +
                                        ": too long to be a store's manifest, damaged at offset 0; "
                                        "restore the directory from a backup");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(*size));
  auto read = (*file)->read(0, bytes);
  if (!read) return std::unexpected(read.error());
  bytes.resize(*read);
  auto manifest = decode(bytes, path);
  if (!manifest) return std::unexpected(manifest.error());
  if (manifest->store_id != store_id) {
    return fail(ErrorCode::corrupt, path.string() +
                                        ": this is the checkpoint of another store; move it out of the "
                                        "directory and restore this store's own from a backup");
  }
  return *std::move(manifest);
}

Result<Manifest> manifest_before(base::FileSystem& files, const std::filesystem::path& directory,
                                 const LogBeginning& log) {
  auto found = read_manifest(files, directory, log.store_id);
  if (!found) return std::unexpected(std::move(found.error()));
  const std::string path = (directory / k_manifest_file).string();
  if (!*found) {
    if (log.first_frame != 1) {
      return fail(ErrorCode::corrupt, path +
                                          ": offset 0: the file is missing, and the log begins behind a checkpoint; "
                                          "restore the directory from a backup");
    }
    return Manifest{.store_id = log.store_id, .hash_seed = log.hash_seed};
  }
  if ((*found)->hash_seed != log.hash_seed || (*found)->first_frame() < log.first_frame) {
    return fail(ErrorCode::corrupt, path +
                                        ": offset 0: the checkpoint is older than the log behind it; restore the "
                                        "directory from a backup");
  }
  return **std::move(found);
}

}  // namespace actable::checkpoint
